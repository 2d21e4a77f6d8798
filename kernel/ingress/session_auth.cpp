// AUTH (RFC 4954): who a client is, as the listener's auth plugin says. The session relays the exchange between the two
// and waits for either; nobody is let in but by the plugin's word, and what the client says is written down nowhere.
#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "kernel/ingress/client_rates.hpp"
#include "kernel/ingress/session.hpp"
#include "kernel/mail/base64.hpp"
#include "kernel/mail/utf8.hpp"
#include "kernel/spool/wait.hpp"
#include "mansio/draft/filter.h"

namespace mansio::ingress {
namespace {

constexpr std::uint64_t kAuthLine = 12288;  // RFC 4954 section 4, whatever the limit for commands is
constexpr std::uint32_t kMostSteps = 20;    // no mechanism has so many

std::string upper_case(std::string_view name) {
  std::string out{name};
  for (auto &c : out)
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 32);
  return out;
}

// `list`: names separated by blanks.
bool is_listed(std::string_view list, std::string_view name) {
  while (!list.empty()) {
    const auto word = list.substr(0, list.find(' '));
    if (word == name) return true;
    list.remove_prefix(std::min(word.size() + 1, list.size()));
  }
  return false;
}

Reply no_base64() { return {501, {5, 5, 2}, "Error: that is no base64"}; }
Reply auth_later() { return {454, {4, 7, 0}, "Temporary authentication failure"}; }

}  // namespace

// Of the step that is waited for. It outlives the session when that ends first.
struct Session::AuthWait {
  std::optional<wire::AuthResult> result;
  spool::Event done;
};

bool Session::auth_enabled() const {
  if (service_.auth.instance == nullptr) return false;
  const auto &discarded = smtpd_.discard_ehlo_keywords;
  if (std::any_of(discarded.begin(), discarded.end(), [](const auto &k) { return equals_nocase(k, "AUTH"); }))
    return false;
  const auto &except = smtpd_.sasl_exceptions_networks;
  return client_.address == "unix" ||
         std::none_of(except.begin(), except.end(), [&](const config::Network &n) { return n.contains(client_.key); });
}

std::string Session::auth_mechanisms() const { return service_.auth.instance->mechanisms(!connection_.secure()); }

// To be offered now.
bool Session::may_auth() const {
  if (!auth_enabled()) return false;
  const bool wants_tls = smtpd_.tls_auth_only || smtpd_.tls_security_level == config::TlsLevel::Encrypt;
  return (connection_.secure() || !wants_tls) && !auth_mechanisms().empty();
}

// Why there is no exchange at all.
std::optional<Reply> Session::auth_refusal(const Command &command) const {
  if (!auth_enabled()) return Reply{502, {5, 5, 1}, "Error: command not implemented"};
  if (smtpd_.tls_security_level == config::TlsLevel::Encrypt && !connection_.secure())
    return Reply{530, {5, 7, 0}, "Must issue a STARTTLS command first"};
  if (helo_.empty()) return Reply{503, {5, 5, 1}, "Error: send HELO/EHLO first"};
  if (transaction_) return Reply{503, {5, 5, 1}, "Error: MAIL transaction in progress"};
  if (client_.authenticated()) return Reply{503, {5, 5, 1}, "Error: already authenticated"};
  if (smtpd_.tls_auth_only && !connection_.secure())
    return Reply{538, {5, 7, 11}, "Encryption required for requested authentication mechanism"};
  if (command.syntax != Syntax::Ok) return std::nullopt;  // said elsewhere
  if (auth_mechanisms().empty()) return auth_later();     // its process has never been there
  if (!is_listed(auth_mechanisms(), upper_case(command.mechanism)))
    return Reply{504, {5, 5, 4}, "Unrecognized authentication type"};
  return std::nullopt;
}

Task<void> Session::auth(const Command &command) {
  ++counts_.auth;
  if (const auto why = auth_refusal(command)) {
    if (why->code < 500)
      reply(*why);
    else
      refuse(*why);
    co_return;
  }
  if (!syntax_ok(command)) co_return;
  if (const auto why = over_rate(env_, service_, client_, process::ClientEvent::Auth)) {
    ++service_.counters.authentications_deferred;
    refuse(*why);
    co_return;
  }
  wire::AuthCall call;
  call.mechanism = upper_case(command.mechanism);
  call.client_address = client_.address;
  call.client_helo = helo_;
  call.tls = connection_.tls_version();
  call.time_limit = service_.auth.time_limit;
  if (!command.initial_response.empty()) {
    call.has_response = true;
    if (command.initial_response != "=") {  // which stands for an empty one
      auto decoded = base64_decode(command.initial_response);
      if (!decoded) {
        refuse(no_base64());
        co_return;
      }
      call.response = std::move(*decoded);
    }
  }
  // The command's text is gone with the next read.
  auto &plugin = *service_.auth.instance;
  call.exchange = plugin.exchange();
  for (;;) {
    auto request = call;
    auto result = co_await auth_step(std::move(request));
    if (result.outcome == wire::AuthOutcome::Continue && call.step + 1 >= kMostSteps) {
      plugin.forget(call.exchange);
      result = host::auth_failure("it does not come to an end");
    }
    if (result.outcome != wire::AuthOutcome::Continue) {
      auto mechanism = std::move(call.mechanism);
      co_await auth_over(std::move(mechanism), std::move(result));
      co_return;
    }
    out_ += "334 " + base64_encode(result.challenge) + "\r\n";
    auto response = co_await auth_response();
    if (!response) {
      plugin.forget(call.exchange);
      co_return;
    }
    ++call.step;
    call.has_response = true;
    call.response = std::move(*response);
  }
}

Task<wire::AuthResult> Session::auth_step(wire::AuthCall call) {
  const auto wait = std::make_shared<AuthWait>();
  auth_wait_ = wait;
  host::AuthInstance::Done done = [wait, &loop = env_.loop](wire::AuthResult &&result) {
    wait->result = std::move(result);
    wait->done.set(loop);
  };
  service_.auth.instance->start(std::move(call), std::move(done));
  if (!wait->result) co_await wait->done.wait();
  auth_wait_ = nullptr;
  if (!wait->result) co_return host::auth_failure("it was not waited for");
  auto result = std::move(*wait->result);
  co_return result;
}

// The client's answer to a challenge; nullopt: the exchange is over, and what there was to say is said.
Task<std::optional<std::string>> Session::auth_response() {
  for (;;) {
    const auto line = take_line(kAuthLine);
    if (line) {
      command_taken();
      transcript_.out(out_);
      transcript_.in("[...]");
      const bool told = co_await tarpit();
      if (!told) co_return std::nullopt;
      if (line->too_long) {
        refuse({500, {5, 5, 6}, "Error: authentication exchange line is too long"});
        co_return std::nullopt;
      }
      if (line->text == "*") {
        refuse({501, {5, 7, 0}, "Authentication aborted"});
        co_return std::nullopt;
      }
      auto decoded = base64_decode(line->text);
      if (!decoded) refuse(no_base64());
      co_return decoded;
    }
    if (open_ && draining_) hang_up(goodbye({4, 3, 2}, "Service shutting down"));
    if (!open_) co_return std::nullopt;
    if (!co_await flush()) co_return std::nullopt;
    if (!co_await wait_command()) {
      open_ = false;
      co_return std::nullopt;
    }
  }
}

Task<void> Session::auth_over(std::string mechanism, wire::AuthResult result) {
  const auto note = [&](LogLevel level, std::string_view event) {
    env_.log.log(level, event,
                 {{"client", client_.address},
                  {"client_name", client_.name},
                  {"sasl_method", mechanism},
                  {"sasl_username", result.user},
                  {"sasl_login", result.login},
                  {"reason", result.text},
                  {"auth", service_.auth.name},
                  {"listener", service_.name}});
  };
  switch (result.outcome) {
    case wire::AuthOutcome::Ok:
      break;
    case wire::AuthOutcome::Fail:
      ++service_.counters.authentications_failed;
      note(LogLevel::Warn, "authentication failed");
      co_await pause_after_error();  // whoever guesses passwords waits
      refuse({535, {5, 7, 8}, "Error: authentication failed"});
      co_return;
    default:
      ++service_.counters.authentications_deferred;
      note(LogLevel::Warn, "authentication not possible");
      reply(auth_later());
      co_return;
  }
  if (filters_) {
    std::vector<std::string> arguments{mechanism, result.user};
    const auto why = co_await ask_filters(MANSIO_STAGE_AUTH, std::move(arguments));
    if (why) {
      log_reject("AUTH", *why);
      if (why->code >= 500)
        refuse(*why);
      else
        reply(*why);
      co_return;
    }
  }
  ++service_.counters.authentications;
  note(LogLevel::Info, "authenticated");
  client_.sasl_method = std::move(mechanism);
  client_.sasl_username = std::move(result.user);
  screening_ = {};  // access tables may say something else of one who is known
  reply({235, {2, 7, 0}, "Authentication successful"});
}

void Session::abandon_auth() {
  if (const auto wait = std::exchange(auth_wait_, nullptr)) {
    const auto waiters = std::exchange(wait->done, {});  // the coroutine's frame refers to the answer
  }
}

}  // namespace mansio::ingress
