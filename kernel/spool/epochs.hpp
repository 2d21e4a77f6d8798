// Epochs: numbers for segment fillings, each given once for ever. A block of them is on stable storage before the
// first of the block is used; what a crash leaves of a block is skipped.
#pragma once

#include <memory>
#include <string>

#include "kernel/base/result.hpp"
#include "kernel/io/file.hpp"

namespace mansio::spool {

class Epochs {
 public:
  // `seen`: the highest epoch found anywhere in the spool, in case the file was lost.
  Result<void> open(io::FileSystem &files, const std::string &directory, std::uint32_t seen);
  Result<std::uint32_t> next();
  std::uint32_t coming() const { return next_; }  // what next() gives, or less

 private:
  Result<void> reserve();

  std::unique_ptr<io::File> file_;
  std::uint64_t writes_ = 0;
  std::uint32_t next_ = 1, limit_ = 1;
};

}  // namespace mansio::spool
