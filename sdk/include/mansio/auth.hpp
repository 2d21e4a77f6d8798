// mansio/auth.hpp: auth plugins (mansio/draft/auth.h) as C++20, header-only.
//
//   class OneUser {
//    public:
//     static constexpr mansio::plugin::Info info{"auth-one", "1.0"};
//     static constexpr mansio_option options[] = {{"password", MANSIO_OPT_TEXT, MANSIO_OPT_SECRET, "", "..."}, {}};
//     explicit OneUser(mansio::plugin::Host host) : password_(host.option("password")) {}
//     std::string_view mechanisms(bool clear) const { return clear ? "" : "PLAIN"; }
//     mansio::plugin::Reply step(const mansio::plugin::AuthStep &step) {
//       if (!step.has_response) return mansio::plugin::challenge("");
//       const auto given = mansio::plugin::parse_plain(step.response);
//       if (!given || given->password != password_) return mansio::plugin::wrong_credentials("no such user");
//       return mansio::plugin::authenticated("someone");
//     }
//   };
//   MANSIO_AUTH_PLUGIN(OneUser)
//
// step() is either `Reply step(const AuthStep &)`, which answers at once (or, with MANSIO_BLOCKING, when it likes), or
// `void step(AuthStep, Token)`, which answers later, as in mansio/plugin.hpp. What mechanisms() returns lives as long
// as the instance. Besides, if it likes: `void cancel(mansio_op)` and `void forget(std::uint64_t exchange)`.
//
// The kind is a draft: a plugin loads only where MANSIO_DRAFT_BUILD is the host's.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "mansio/draft/auth.h"
#include "mansio/plugin.hpp"

namespace mansio::plugin {

// ---- answers -----------------------------------------------------------------------------------------------------
// defer("the server is down") is in mansio/host.hpp.

inline Reply challenge(std::string bytes) {
  Reply r{MANSIO_SKIP};
  r.value(std::move(bytes));
  return r;
}
// `identity`: as whom the user acts; "" = as itself.
inline Reply authenticated(std::string user, std::string identity = {}) {
  Reply r{MANSIO_OK};
  r.value(std::move(user));
  if (!identity.empty()) r.value(std::move(identity));
  return r;
}
inline Reply wrong_credentials(std::string why) { return Reply{MANSIO_FAIL, {5, 7, 8}, std::move(why)}; }

// ---- a step ------------------------------------------------------------------------------------------------------

// mansio_auth_step, owned, so that it may outlive start().
struct AuthStep {
  std::uint32_t number = 0;  // of the step; 0: the first
  std::uint64_t exchange = 0;
  std::string mechanism, response;
  bool has_response = false;  // false: a first step without one
  std::string client_address, client_helo;
  std::string tls;            // "" = in clear
  std::int64_t deadline = 0;  // monotonic ns

  AuthStep() = default;
  explicit AuthStep(const mansio_auth_step &borrowed) {
    const auto s = read_record<mansio_auth_step>(&borrowed);
    number = s.step;
    exchange = s.exchange;
    mechanism = view(s.mechanism);
    response = view(s.response);
    has_response = s.response.p != nullptr || s.step > 0;
    client_address = view(s.client_address);
    client_helo = view(s.client_helo);
    tls = view(s.tls);
    deadline = s.deadline;
  }
};

// The one message of PLAIN (RFC 4616): [authzid] NUL authcid NUL passwd. Nothing: it is none.
struct PlainMessage {
  std::string identity, user, password;
};
inline std::optional<PlainMessage> parse_plain(std::string_view message) {
  const auto first = message.find('\0');
  if (first == message.npos) return std::nullopt;
  const auto second = message.find('\0', first + 1);
  if (second == message.npos || message.find('\0', second + 1) != message.npos) return std::nullopt;
  PlainMessage plain{std::string{message.substr(0, first)}, std::string{message.substr(first + 1, second - first - 1)},
                     std::string{message.substr(second + 1)}};
  if (plain.user.empty() || plain.password.empty()) return std::nullopt;
  return plain;
}

// ---- glue --------------------------------------------------------------------------------------------------------

template <class P>
struct AuthKind {
  static constexpr const char *id = "mansio.auth/1~draft";
  static constexpr bool draft = true;
  static constexpr std::uint32_t draft_build = MANSIO_DRAFT_BUILD;
  static mansio_str mechanisms(void *self, int clear) noexcept {
    auto &box = *static_cast<detail::Box<P> *>(self);
    mansio_str names{};
    detail::guard(box.host, mansio_op{}, [&] { names = str(box.plugin.mechanisms(clear != 0)); });
    return names;
  }
  static void start(void *self, mansio_op op, const mansio_auth_step *step) noexcept {
    auto &box = *static_cast<detail::Box<P> *>(self);
    detail::guard(box.host, op, [&] {
      Token token{box.host, op};
      if constexpr (requires(Token t) { box.plugin.step(AuthStep{}, std::move(t)); }) {
        box.plugin.step(AuthStep{*step}, std::move(token));
      } else {
        const AuthStep owned{*step};
        token.complete(box.plugin.step(owned));
      }
    });
  }
  static void forget(void *self, std::uint64_t exchange) noexcept {
    auto &box = *static_cast<detail::Box<P> *>(self);
    if constexpr (requires { box.plugin.forget(exchange); })
      detail::guard(box.host, mansio_op{}, [&] { box.plugin.forget(exchange); });
  }
  static constexpr mansio_auth table{mechanisms, start, detail::cancel<P>, forget};
};

}  // namespace mansio::plugin

#define MANSIO_AUTH_PLUGIN(Class) MANSIO_PLUGIN(Class, ::mansio::plugin::AuthKind)
