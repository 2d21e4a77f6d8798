// Memfd: bytes gathered in memory for others to read, in this process or another. Who is in another process gets them
// sealed, so that nobody changes them later.
//
// To make one, and to give its pages back, costs more than to fill it with a usual message. So one whose descriptor
// nobody was given goes back to the MemfdStock that it came from, and what comes next is written over its bytes.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string_view>
#include <utility>
#include <vector>

#include "kernel/base/result.hpp"
#include "kernel/io/fd.hpp"

namespace mansio::io {

class MemfdStock;

// Errors are Status::Busy with 4.3.1: there is no memory, or no descriptor.
class Memfd {
 public:
  static Result<Memfd> create(const char *name);
  Memfd() = default;                                                                   // none
  Memfd(UniqueFd filled, std::uint64_t size) : fd_(std::move(filled)), size_(size) {}  // by another process
  ~Memfd();
  Memfd(Memfd &&from) noexcept;
  Memfd &operator=(Memfd &&from) noexcept;

  // Of size() bytes from its start; others may be behind them.
  int get() const { return fd_.get(); }
  std::uint64_t size() const { return size_; }
  Result<void> write(std::string_view bytes);  // behind what is there
  // Neither size nor content can change any more, and there is nothing behind the bytes. Before anybody is given the
  // descriptor: he may map it, or send pages of it that are read long after. From any thread.
  Result<void> freeze() const;
  // Frozen, for another process: its descriptor, or one more.
  Result<UniqueFd> seal() &&;
  Result<UniqueFd> sealed() const;

 private:
  friend class MemfdStock;
  UniqueFd fd_;
  std::uint64_t size_ = 0;
  mutable std::atomic<bool> frozen_ = false;
  std::shared_ptr<MemfdStock> stock_{};
};

// Safe from any thread, as the last who reads a message may be on one of its own.
class MemfdStock : public std::enable_shared_from_this<MemfdStock> {
 public:
  Result<Memfd> take();

 private:
  friend class Memfd;
  void give_back(UniqueFd fd, std::uint64_t size);

  std::mutex mutex_;
  std::vector<UniqueFd> kept_;
};

}  // namespace mansio::io
