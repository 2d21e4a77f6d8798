// Postfix's socketmap protocol (socketmap_table(5)): "NAME KEY" in a netstring, answered by one netstring. Pure.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "plugins/lookup-common/answer.hpp"

namespace mansio::lookup {

std::string netstring(std::string_view content);

// A netstring at the beginning of what has come so far.
struct Netstring {
  enum class State { Complete, Partial, Bad };
  State state = State::Bad;
  std::string_view content;  // of Complete
  std::size_t size = 0;      // of Complete: bytes that it takes, with length, ':' and ','
};
// `limit`: the longest content that is not Bad.
Netstring parse_netstring(std::string_view bytes, std::size_t limit);

// "OK value", "NOTFOUND", "TEMP why", "TIMEOUT why", "PERM why". Nothing: none of these. That the server will never
// answer (PERM) is no reason to call the key unknown, so it is "try later" too.
std::optional<Answer> parse_answer(std::string_view content);

}  // namespace mansio::lookup
