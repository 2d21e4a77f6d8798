// `mansio spool bench`: how long the disk under a spool takes to sync, and how many messages one sync can carry. It
// tells what rate a machine can promise, and whether its disk honours a sync at all. A file of its own in the spool
// directory is written and removed; a running Mansio is not disturbed otherwise.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "kernel/base/result.hpp"
#include "kernel/cli/load/histogram.hpp"
#include "kernel/io/file.hpp"

namespace mansio::cli {

// No device with a volatile cache or without its own power reserve syncs faster than this: it says so without doing so.
inline constexpr std::uint64_t kImplausibleSync = 15;  // microseconds

// How long a sync takes after one small write, in microseconds, over that time.
Result<load::Histogram> measure_syncs(io::FileSystem &files, const std::string &directory, double seconds);

struct SpoolBench {
  double seconds = 2;                  // for each line of the table
  std::uint64_t message_bytes = 5120;  // of a message as it lies in the spool
};

// Ok when all was measured; `out` gets the table, a line at a time.
Result<void> bench_spool(io::FileSystem &files, const std::string &directory, const SpoolBench &bench,
                         const std::function<void(std::string_view)> &out);

}  // namespace mansio::cli
