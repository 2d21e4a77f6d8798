#include "kernel/process/memfd.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace mansio::process {
namespace {

constexpr std::uint64_t kLargest = 256ull << 20;  // nothing passed this way is near it; a wrong size is refused

Error unavailable(const char *what) { return {Status::Busy, std::string{what} + ": " + std::strerror(errno)}; }

}  // namespace

Result<io::UniqueFd> sealed_memfd(const char *name, std::string_view bytes) {
  io::UniqueFd fd{::memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING)};
  if (!fd) return unavailable("memfd_create");
  for (std::size_t done = 0; done < bytes.size();) {
    const auto n = ::pwrite(fd.get(), bytes.data() + done, bytes.size() - done, static_cast<off_t>(done));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return unavailable("memfd write");
    done += static_cast<std::size_t>(n);
  }
  if (::fcntl(fd.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) != 0)
    return unavailable("memfd seal");
  return fd;
}

Result<std::string> read_exactly(const io::UniqueFd &fd, std::uint64_t size) {
  if (!fd || size > kLargest) return Error{Status::Internal, "descriptor missing or of a wrong size"};
  std::string out(size, '\0');
  for (std::size_t done = 0; done < out.size();) {
    const auto n = ::pread(fd.get(), out.data() + done, out.size() - done, static_cast<off_t>(done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return unavailable("read");
    if (n == 0) return Error{Status::Internal, "read: file shorter than announced"};
    done += static_cast<std::size_t>(n);
  }
  return out;
}

Result<io::UniqueFd> duplicate(const io::UniqueFd &fd) {
  io::UniqueFd copy{::fcntl(fd.get(), F_DUPFD_CLOEXEC, 0)};
  if (!copy) return unavailable("dup");
  return copy;
}

}  // namespace mansio::process
