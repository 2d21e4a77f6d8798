// Signals, loop and launcher round a Supervisor.
#include <boost/asio/signal_set.hpp>
#include <csignal>
#include <functional>
#include <optional>

#include "kernel/supervisor/supervisor.hpp"

namespace mansio::supervisor {

int run_main(const Options &options, bool single, RoleMain main) {
  ::signal(SIGPIPE, SIG_IGN);
  asio::io_context loop{1};
  const SystemClock clock;
  auto launcher = single ? thread_launcher(loop, std::move(main)) : process_launcher(loop);
  Supervisor supervisor{loop, clock, *launcher, options};

  asio::signal_set signals{loop, SIGTERM, SIGINT, SIGHUP};
  signals.add(SIGUSR1);
  std::function<void(ErrorCode, int)> on_signal = [&](ErrorCode e, int signal) {
    if (e) return;
    if (signal == SIGHUP)
      supervisor.request_reload();
    else if (signal == SIGUSR1)
      supervisor.reopen_log();
    else
      supervisor.request_stop();
    signals.async_wait(on_signal);
  };
  signals.async_wait(on_signal);

  std::optional<int> status;
  asio::co_spawn(loop, supervisor.run(), [&](const std::exception_ptr &e, int code) {
    if (e) std::rethrow_exception(e);  // an impossible state: abort loudly
    status = code;
    loop.stop();
  });
  loop.run();
  return status.value_or(kExitFailed);
}

}  // namespace mansio::supervisor
