// Memfd: bytes gathered in memory for others to read, in this process or another. Sealed at the end, so that nobody
// changes them later.
#pragma once

#include <string_view>
#include <utility>

#include "kernel/base/result.hpp"
#include "kernel/io/fd.hpp"

namespace mansio::io {

// Errors are Status::Busy with 4.3.1: there is no memory, or no descriptor.
class Memfd {
 public:
  static Result<Memfd> create(const char *name);

  int get() const { return fd_.get(); }
  Result<void> write(std::string_view bytes);  // behind what is there
  Result<UniqueFd> seal() &&;                  // neither size nor content can change any more

 private:
  explicit Memfd(UniqueFd fd) : fd_(std::move(fd)) {}
  UniqueFd fd_;
};

}  // namespace mansio::io
