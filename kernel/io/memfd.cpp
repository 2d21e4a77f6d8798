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

// What a stock keeps is memory that mail may need: a megabyte at most.
constexpr std::size_t kMostKept = 16;
constexpr std::uint64_t kLargestKept = 64 * 1024;

Error no_memory(const char *what) {
  return {Status::Busy, std::string{"memfd: "} + what + ": " + std::strerror(errno), {4, 3, 1}};
}

}  // namespace

Result<Memfd> Memfd::create(const char *name) {
  UniqueFd fd{::memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING)};
  if (!fd) return no_memory("create");
  return Memfd{std::move(fd), 0};
}

Memfd::Memfd(Memfd &&from) noexcept
    : fd_(std::move(from.fd_)), size_(from.size_), frozen_(from.frozen_.load()), stock_(std::move(from.stock_)) {}

Memfd::~Memfd() {
  if (fd_ && stock_ && !frozen_) stock_->give_back(std::move(fd_), size_);
}

Memfd &Memfd::operator=(Memfd &&from) noexcept {
  Memfd mine{std::move(*this)};  // whose end is as any other
  fd_ = std::move(from.fd_);
  size_ = from.size_;
  frozen_ = from.frozen_.load();
  stock_ = std::move(from.stock_);
  return *this;
}

Result<void> Memfd::write(std::string_view bytes) {
  while (!bytes.empty()) {
    const auto n = ::pwrite(fd_.get(), bytes.data(), bytes.size(), static_cast<off_t>(size_));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return no_memory("write");
    size_ += static_cast<std::uint64_t>(n);
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return {};
}

Result<void> Memfd::freeze() const {
  constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL;
  if (frozen_) return {};
  if (stock_ && ::ftruncate(fd_.get(), static_cast<off_t>(size_)) != 0) return no_memory("truncate");
  if (::fcntl(fd_.get(), F_ADD_SEALS, kSeals) != 0 && ::fcntl(fd_.get(), F_GET_SEALS) != kSeals)
    return no_memory("seal");  // another thread's was not first either
  frozen_ = true;
  return {};
}

Result<UniqueFd> Memfd::seal() && {
  if (auto done = freeze(); !done) return done.error();
  return std::move(fd_);
}

Result<UniqueFd> Memfd::sealed() const {
  if (auto done = freeze(); !done) return done.error();
  UniqueFd copy{::fcntl(fd_.get(), F_DUPFD_CLOEXEC, 0)};
  if (!copy) return no_memory("dup");
  return copy;
}

Result<Memfd> MemfdStock::take() {
  UniqueFd kept;
  {
    const std::lock_guard lock{mutex_};
    if (!kept_.empty()) {
      kept = std::move(kept_.back());
      kept_.pop_back();
    }
  }
  auto memfd = kept ? Result<Memfd>{Memfd{std::move(kept), 0}} : Memfd::create("message");
  if (memfd) memfd->stock_ = shared_from_this();
  return memfd;
}

void MemfdStock::give_back(UniqueFd fd, std::uint64_t size) {
  if (size > kLargestKept) return;
  const std::lock_guard lock{mutex_};
  if (kept_.size() < kMostKept) kept_.push_back(std::move(fd));
}

}  // namespace mansio::io
