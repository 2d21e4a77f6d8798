// Launcher: starts a role with its end of a channel, as a process or, with --single, as a thread, and tells when it
// has ended.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "kernel/base/result.hpp"
#include "kernel/io/asio.hpp"
#include "kernel/io/fd.hpp"
#include "kernel/wire/process_messages.hpp"

namespace mansio::supervisor {

struct Exit {
  int code = 0;
  int signal = 0;
  bool clean() const { return code == 0 && signal == 0; }
};
std::string to_string(const Exit &exit);  // "exit status 1", "signal 9 (Killed)"

class Launched {
 public:
  virtual ~Launched() = default;
  virtual int pid() const = 0;
  // At once. A thread cannot be killed: closing its channel has to do. False then.
  virtual bool kill() = 0;
};

// Runs one role on its end of the channel and returns the exit status.
using RoleMain = std::function<int(wire::RoleKind kind, io::UniqueFd channel)>;

class Launcher {
 public:
  virtual ~Launcher() = default;
  // `ended` is called once, on the loop, after the process was reaped (or the thread joined).
  virtual Result<std::unique_ptr<Launched>> launch(wire::RoleKind kind, const std::string &name, io::UniqueFd channel,
                                                   std::function<void(const Exit &)> ended) = 0;
  virtual bool threads() const = 0;
};

// Executes this binary anew: `mansio --role NAME` with the channel as descriptor 3.
std::unique_ptr<Launcher> process_launcher(asio::io_context &loop);
std::unique_ptr<Launcher> thread_launcher(asio::io_context &loop, RoleMain main);

inline constexpr int kChannelFd = 3;
inline constexpr const char *kRoleFlag = "--role";

// "ingress.0" -> Ingress; Supervisor if it is none.
wire::RoleKind kind_of(std::string_view role_name);
std::string_view kind_name(wire::RoleKind kind);

}  // namespace mansio::supervisor
