// Which instance a subcommand speaks to: --config names its file, --spool overrides the spool (and the control socket
// that lies in it).
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "kernel/base/result.hpp"
#include "kernel/io/fd.hpp"

namespace mansio::cli {

struct Where {
  std::string config = "/etc/mansio/mansio.toml";
  std::string spool;  // "" = as configured
};

// Reads the configuration only if it has to.
Result<std::string> spool_of(const Where &where);

// What one request may name: a message to the queue process holds them with room to spare.
inline constexpr std::size_t kIdsAtOnce = 1000;

// One request on the control socket; `line` gets each data line (without newline). Returns how many messages were
// affected, or what went wrong as a sentence.
class ControlClient {
 public:
  static Result<ControlClient> connect(const Where &where);
  Result<std::uint64_t> ask(const std::string &request, const std::function<void(std::string_view)> &line);

 private:
  explicit ControlClient(io::UniqueFd socket) : socket_(std::move(socket)) {}
  io::UniqueFd socket_;
  std::string input_;
};

}  // namespace mansio::cli
