// mansio/rate.hpp: plugins that own limits (mansio/draft/rate.h) as C++20, header-only.
//
//   class Half {
//    public:
//     static constexpr mansio::plugin::Info info{"rate-half", "1.0"};
//     static constexpr mansio_option options[] = {{}};
//     explicit Half(mansio::plugin::Host) {}
//     mansio::plugin::Reply lease(const mansio::plugin::LeaseRequest &request) {
//       return mansio::plugin::permits((request.want + 1) / 2, std::chrono::seconds{10});
//     }
//   };
//   MANSIO_RATE_PLUGIN(Half)
//
// The class has `Reply lease(const LeaseRequest &)`, which answers at once (or, with MANSIO_BLOCKING, when it likes),
// or `void lease(LeaseRequest, Token)`, which answers later, as in mansio/plugin.hpp. Besides, if it likes: `void
// give_back(std::string_view limit, std::string_view key, std::uint32_t unused)` and `void cancel(mansio_op)`; and for
// limits of deliveries at once and delays, `Reply hold(const PlacesRequest &)` or `void hold(PlacesRequest, Token)`.
//
// The kind is a draft: a plugin loads only where MANSIO_DRAFT_BUILD is the host's.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "mansio/draft/rate.h"
#include "mansio/plugin.hpp"

namespace mansio::plugin {

// mansio_rate_request, owned.
struct LeaseRequest {
  std::string limit, key;
  std::uint32_t want = 1;
  double per_second = 0;  // as configured
  std::uint32_t burst = 1;
  std::int64_t deadline = 0;  // monotonic ns

  LeaseRequest() = default;
  explicit LeaseRequest(const mansio_rate_request &borrowed) {
    const auto r = read_record<mansio_rate_request>(&borrowed);
    limit = view(r.limit);
    key = view(r.key);
    want = r.want;
    per_second = r.per_second;
    burst = r.burst;
    deadline = r.deadline;
  }
};

// mansio_rate_places, owned.
struct PlacesRequest {
  std::string limit, key, holder;
  std::uint64_t number = 1;
  std::uint32_t held = 0, want = 0, capacity = 1;
  std::chrono::nanoseconds rest{};
  std::int64_t deadline = 0;  // monotonic ns

  PlacesRequest() = default;
  explicit PlacesRequest(const mansio_rate_places &borrowed) {
    const auto r = read_record<mansio_rate_places>(&borrowed);
    limit = view(r.limit);
    key = view(r.key);
    holder = view(r.holder);
    number = r.number;
    held = r.held;
    want = r.want;
    capacity = r.capacity;
    rest = std::chrono::nanoseconds{r.rest};
    deadline = r.deadline;
  }
};

// So many, permits or places, for so long; not to be asked again before `retry`. defer("why") is the answer when nobody
// can say.
inline Reply permits(std::uint32_t units, std::chrono::nanoseconds ttl, std::chrono::nanoseconds retry = {}) {
  Reply r{MANSIO_OK};
  r.value(std::to_string(units)).ttl(ttl.count()).retry(retry.count());
  return r;
}

template <class P>
struct RateKind {
  static constexpr const char *id = "mansio.rate/1~draft";
  static constexpr bool draft = true;
  static constexpr std::uint32_t draft_build = MANSIO_DRAFT_BUILD;
  static constexpr bool later = requires(P &p, Token t) { p.lease(LeaseRequest{}, std::move(t)); };

  static void lease(void *self, mansio_op op, const mansio_rate_request *request) noexcept {
    auto &box = *static_cast<detail::Box<P> *>(self);
    detail::guard(box.host, op, [&] {
      Token token{box.host, op};
      if constexpr (later)
        box.plugin.lease(LeaseRequest{*request}, std::move(token));
      else
        token.complete(box.plugin.lease(LeaseRequest{*request}));
    });
  }
  static void give_back(void *self, mansio_str limit, mansio_str key, std::uint32_t unused) noexcept {
    auto &box = *static_cast<detail::Box<P> *>(self);
    if constexpr (requires { box.plugin.give_back(view(limit), view(key), unused); })
      detail::guard(box.host, mansio_op{}, [&] { box.plugin.give_back(view(limit), view(key), unused); });
  }
  static constexpr bool holds_later = requires(P &p, Token t) { p.hold(PlacesRequest{}, std::move(t)); };
  static constexpr bool holds = holds_later || requires(P &p) { p.hold(PlacesRequest{}); };
  static void hold(void *self, mansio_op op, const mansio_rate_places *request) noexcept {
    auto &box = *static_cast<detail::Box<P> *>(self);
    detail::guard(box.host, op, [&] {
      Token token{box.host, op};
      if constexpr (holds_later)
        box.plugin.hold(PlacesRequest{*request}, std::move(token));
      else if constexpr (holds)
        token.complete(box.plugin.hold(PlacesRequest{*request}));
    });
  }
  static constexpr mansio_rate table{lease, give_back, detail::cancel<P>, holds ? hold : nullptr};
};

}  // namespace mansio::plugin

#define MANSIO_RATE_PLUGIN(Class) MANSIO_PLUGIN(Class, ::mansio::plugin::RateKind)
