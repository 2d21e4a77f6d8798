// A server's side of AUTH for FakeServer's on_command: GNU SASL's own servers, so that both ends are not of one mind
// only because we wrote both. One user; one connection at a time.
#pragma once

#include <gsasl.h>

#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <utility>

namespace mansio::smtp::test {

class SaslSide {
 public:
  SaslSide(std::string user, std::string password) : user_(std::move(user)), password_(std::move(password)) {
    Gsasl *library = nullptr;
    if (gsasl_init(&library) != GSASL_OK) throw std::runtime_error{"gsasl_init"};
    library_.reset(library);
    gsasl_callback_hook_set(library, this);
    gsasl_callback_set(library, &asked);
  }
  SaslSide(const SaslSide &) = delete;
  SaslSide &operator=(const SaslSide &) = delete;

  // "" for what is not ours to answer.
  std::string answer(const std::string &line) {
    const std::lock_guard lock{mutex_};
    if (line.starts_with("AUTH ")) return begin(line.substr(5));
    if (!session_) return {};
    if (line == "*") return end("501 5.7.0 cancelled");
    if (proven_) return end(line.empty() ? "235 2.7.0 welcome" : "501 5.5.4 nothing was expected");
    return step(line);
  }

 private:
  struct Free {
    void operator()(Gsasl *library) const { gsasl_done(library); }
    void operator()(Gsasl_session *session) const { gsasl_finish(session); }
  };

  std::string begin(const std::string &words) {
    const auto blank = words.find(' ');
    const auto name = words.substr(0, blank);
    Gsasl_session *session = nullptr;
    if (gsasl_server_start(library_.get(), name.c_str(), &session) != GSASL_OK) return "504 5.5.4 no such mechanism";
    session_.reset(session);
    proven_ = false;
    if (blank == std::string::npos) {
      // Who speaks first is the mechanism's choice.
      return name.starts_with("SCRAM") || name == "PLAIN" ? "334 " : step("");
    }
    const auto first = words.substr(blank + 1);
    return step(first == "=" ? "" : first);
  }
  std::string step(const std::string &response) {
    char *out = nullptr;
    const int rc = gsasl_step64(session_.get(), response.c_str(), &out);
    if (rc != GSASL_OK && rc != GSASL_NEEDS_MORE) return end("535 5.7.8 authentication failed");
    const std::string said = out ? out : "";
    gsasl_free(out);
    if (rc == GSASL_NEEDS_MORE) return "334 " + said;
    if (said.empty()) return end("235 2.7.0 welcome");
    proven_ = true;  // the server's proof goes as a challenge, and its answer is empty
    return "334 " + said;
  }
  std::string end(std::string reply) {
    session_.reset();
    return reply;
  }
  static int asked(Gsasl *library, Gsasl_session *session, Gsasl_property what) {
    const auto &self = *static_cast<SaslSide *>(gsasl_callback_hook_get(library));
    const auto is = [&](Gsasl_property property, const std::string &value) {
      const char *given = gsasl_property_fast(session, property);
      return given && given == value;
    };
    if (what == GSASL_PASSWORD) return gsasl_property_set(session, what, self.password_.c_str());
    if (what == GSASL_VALIDATE_SIMPLE)
      return is(GSASL_AUTHID, self.user_) && is(GSASL_PASSWORD, self.password_) ? GSASL_OK : GSASL_AUTHENTICATION_ERROR;
    return GSASL_NO_CALLBACK;
  }

  std::mutex mutex_;
  std::string user_, password_;
  std::unique_ptr<Gsasl, Free> library_;
  std::unique_ptr<Gsasl_session, Free> session_;
  bool proven_ = false;
};

}  // namespace mansio::smtp::test
