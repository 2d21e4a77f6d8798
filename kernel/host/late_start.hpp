// Plugins in a process that has more to do than to run them: one that fails to start is no reason for that process not
// to. In its place is an instance that answers as one whose process is not there, so that on_failure says what becomes
// of the mail that needs it, and that is tried again from time to time, when somebody asks it.
//
// What the configuration is to blame for (Status::BadConfig, Unsupported) is an error all the same: a start or a reload
// shall fail while the operator is looking.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "kernel/base/clock.hpp"
#include "kernel/base/log.hpp"
#include "kernel/base/result.hpp"
#include "kernel/host/auth.hpp"
#include "kernel/host/filter.hpp"
#include "kernel/host/transport.hpp"

namespace mansio::host {

// As create() of the kind; all of `around` outlives the instance.
Result<std::unique_ptr<FilterInstance>> start_filter(const Surroundings &around, const mansio_plugin &plugin,
                                                     InstanceOptions options, const char *kind);
Result<std::unique_ptr<AuthInstance>> start_auth(const Surroundings &around, const mansio_plugin &plugin,
                                                 InstanceOptions options);
Result<std::unique_ptr<TransportInstance>> start_transport(const Surroundings &around, const mansio_plugin &plugin,
                                                           InstanceOptions options, TransportInstance::Events events);

// An instance that did not start, and perhaps does when it is asked for.
template <class Kind>
class LateStart {
 public:
  using Make = std::function<Result<std::unique_ptr<Kind>>()>;

  static constexpr Nanos kAgain = 10 * kSecond;

  // `why`: the error of the first attempt, which was made just now.
  LateStart(const Clock &clock, Logger &log, Make make, const Error &why)
      : clock_(clock), log_(log), make_(std::move(make)) {
    failed(why);
  }

  // Tries again when the last attempt was a while ago. Null: it is not there.
  Kind *get() {
    if (instance_ || clock_.mono() - tried_at_ < kAgain) return instance_.get();
    auto made = make_();
    if (made) {
      instance_ = std::move(*made);
      log_.info("plugin started after all", {{"reason", why_}});
    } else {
      failed(made.error());
    }
    return instance_.get();
  }
  Kind *there() const { return instance_.get(); }
  const std::string &why() const { return why_; }  // it is not there

 private:
  void failed(const Error &why) {
    why_ = why.text;
    tried_at_ = clock_.mono();
    log_.error("plugin not started; on_failure answers until it is", {{"reason", why_}});
  }

  const Clock &clock_;
  Logger &log_;
  Make make_;
  std::string why_;
  Nanos tried_at_ = 0;
  std::unique_ptr<Kind> instance_;
};

}  // namespace mansio::host
