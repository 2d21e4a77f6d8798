// Processes that are killed in the middle of what they do to the shared memory: whatever they held of it must not stay
// held.
#pragma once

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdint>
#include <vector>

#include "kernel/process/shared.hpp"

namespace mansio::process {

// A process for each of the slots 0 to 2 maps the memory and calls what `begin(its view, slot)` returned with 0, 1, ...
// without pause. Once each has come to 1000 all are killed, and their slots released.
template <class Begin>
void kill_in_the_middle(SharedMemory &memory, const Begin &begin) {
  int started[2];
  ASSERT_EQ(::pipe(started), 0);
  std::vector<pid_t> children;
  for (std::uint32_t slot = 0; slot < 3; ++slot) {
    const pid_t pid = ::fork();
    ASSERT_GE(pid, 0);
    if (pid == 0) {
      auto view = SharedMemory::map(io::UniqueFd{::dup(memory.fd().get())});
      if (!view) ::_exit(1);
      auto step = begin(**view, slot);
      for (std::uint32_t i = 0;; ++i) {
        step(i);
        if (i == 1000 && ::write(started[1], "x", 1) != 1) ::_exit(1);
      }
    }
    children.push_back(pid);
  }
  ::close(started[1]);
  char x[3];
  for (std::size_t got = 0; got < sizeof x;) {
    const auto n = ::read(started[0], x, sizeof x - got);
    ASSERT_GT(n, 0);
    got += static_cast<std::size_t>(n);
  }
  for (const auto pid : children) ::kill(pid, SIGKILL);
  for (const auto pid : children) ::waitpid(pid, nullptr, 0);
  ::close(started[0]);
  for (std::uint32_t slot = 0; slot < 3; ++slot) memory.release_slot(slot);
}

}  // namespace mansio::process
