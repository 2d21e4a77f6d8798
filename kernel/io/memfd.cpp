#include "kernel/io/memfd.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

namespace mansio::io {
namespace {

Error no_memory(const char *what) {
  return {Status::Busy, std::string{"memfd: "} + what + ": " + std::strerror(errno), {4, 3, 1}};
}

}  // namespace

Result<Memfd> Memfd::create(const char *name) {
  UniqueFd fd{::memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING)};
  if (!fd) return no_memory("create");
  return Memfd{std::move(fd)};
}

Result<void> Memfd::write(std::string_view bytes) {
  while (!bytes.empty()) {
    const auto n = ::write(fd_.get(), bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return no_memory("write");
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return {};
}

Result<UniqueFd> Memfd::seal() && {
  if (::fcntl(fd_.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) != 0)
    return no_memory("seal");
  return std::move(fd_);
}

}  // namespace mansio::io
