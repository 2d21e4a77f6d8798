// A program run over some bytes: its standard input is fed, its outputs are gathered, and it is ended in time. Blocks
// its thread; one that has started a program can be told from another thread to end it.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

#include "plugins/pipe-common/process.hpp"

namespace mansio::filter_pipe {

struct Ran {
  enum class End { Exited, Killed, TimedOut, Refused, TooMuch } end = End::Refused;
  int status = 0;             // exit status, or the signal
  std::string output, error;  // what it wrote; `error` up to 4 KiB
  bool complete = false;      // nobody holds its output open any more
  std::string why;            // Refused: it could not be run, or could not be fed
};

// Up to n bytes from an offset; 0 at the end, -1 when they cannot be read.
using Read = std::function<std::int64_t(std::uint64_t offset, char *to, std::size_t n)>;

// `most`: bytes of output before it is ended. `until`: CLOCK_MONOTONIC, ns. `stop` set: it is ended within a tenth of a
// second. Its errors have to be apart.
Ran run_program(const pipe::Program &program, const Read &content, std::size_t most, std::int64_t until,
                const std::atomic<bool> &stop);

}  // namespace mansio::filter_pipe
