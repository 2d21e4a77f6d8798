// Bytes handed to another process as a sealed memfd: too large for a message, and nobody can change them later.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "kernel/base/result.hpp"
#include "kernel/io/fd.hpp"

namespace mansio::process {

Result<io::UniqueFd> sealed_memfd(const char *name, std::string_view bytes);
// Exactly `size` bytes from the start of the file; the file position is neither used nor changed.
Result<std::string> read_exactly(const io::UniqueFd &fd, std::uint64_t size);
Result<io::UniqueFd> duplicate(const io::UniqueFd &fd);  // close-on-exec

}  // namespace mansio::process
