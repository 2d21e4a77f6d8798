// One thread of Lua that a call runs on: the first, which its handlers run on, or one that mansio.spawn() began. It is
// ready, waits for one thing at a time, or has ended and is kept until somebody joins it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "plugins/lua/state.hpp"
#include "plugins/lua/wait.hpp"

namespace mansio::lua {

struct Strand {
  State::Thread thread{};
  std::uint64_t number = 0;  // among those of its call; 0: the first
  int arguments = 0;         // on its stack, for its next step
  Wait *wait = nullptr;
  WaitAnswer answer{};
  std::string waits_for{};
  std::size_t reserved = 0;  // octets outside of Lua that its wait may take

  bool ended = false, failed = false;  // then its results or its error are on its stack
  int results = 0;
  bool joined = false;
  Wait *joiner = nullptr;  // of another one, that waits for its end
};

}  // namespace mansio::lua
