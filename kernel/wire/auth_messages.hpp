// Messages between an ingress process and the host process of an auth plugin (kernel/host). Types 182..189.
//
// They carry passwords: nothing logs them, and they are in no descriptor. As in filter_messages.hpp nothing is
// acknowledged; an exchange that is under way when either process dies comes to nothing.
#pragma once

#include <cstdint>
#include <string>

namespace mansio::wire {

// One step of a SASL exchange (RFC 4422).
struct AuthCall {  // client -> host
  static constexpr std::uint16_t kType = 182;
  std::uint64_t number = 0;    // of this channel
  std::uint64_t exchange = 0;  // of this channel
  std::uint32_t step = 0;      // 0: the first
  std::string mechanism;       // "PLAIN", in capitals
  std::string response;        // decoded
  bool has_response = false;   // false: a first step without one
  std::string client_address, client_helo;
  std::string tls;              // "TLSv1.3"; "" = in clear
  std::int64_t time_limit = 0;  // ns
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.number, s.exchange, s.step, s.mechanism, s.response, s.has_response, s.client_address, s.client_helo, s.tls,
      s.time_limit);
  }
};

// Continue: the client has to answer `challenge`. Ok: it is `user`. Fail: it is not who it says. Defer: nobody can say
// now. Failed: the plugin did not do its duty, which lets nobody in either.
enum class AuthOutcome : std::uint8_t { Continue, Ok, Fail, Defer, Failed };

struct AuthResult {  // host -> client
  static constexpr std::uint16_t kType = 183;
  std::uint64_t number = 0;
  AuthOutcome outcome = AuthOutcome::Failed;
  std::string challenge;  // Continue
  std::string user;       // Ok: as whom it acts
  std::string login;      // Ok: whose password it was, where that is another
  std::string text;       // for the log
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.number, s.outcome, s.challenge, s.user, s.login, s.text);
  }
};

struct AuthForget {  // client -> host: the exchange is given up
  static constexpr std::uint16_t kType = 184;
  std::uint64_t exchange = 0;
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.exchange);
  }
};

struct AuthOffer {  // host -> client, first: mechanisms, separated by blanks
  static constexpr std::uint16_t kType = 185;
  std::string clear, secure;
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.clear, s.secure);
  }
};

}  // namespace mansio::wire
