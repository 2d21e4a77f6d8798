#include "kernel/process/memfd.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "kernel/io/memfd.hpp"

namespace mansio::process {
namespace {

constexpr std::uint64_t kLargest = 256ull << 20;  // nothing passed this way is near it; a wrong size is refused

Error unavailable(const char *what) { return {Status::Busy, std::string{what} + ": " + std::strerror(errno)}; }

}  // namespace

Result<io::UniqueFd> sealed_memfd(const char *name, std::string_view bytes) {
  auto memfd = io::Memfd::create(name);
  if (!memfd) return memfd.error();
  if (auto written = memfd->write(bytes); !written) return written.error();
  return std::move(*memfd).seal();
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
