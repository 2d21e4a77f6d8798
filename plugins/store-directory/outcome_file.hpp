// What is in the file of a message's newest outcome: a line with its sequence, and its record.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace mansio::store_directory {

struct OutcomeFile {
  std::uint64_t sequence = 0;
  std::string record;
};
std::string outcome_text(std::uint64_t sequence, std::string_view record);
// Nothing: it is no such file, or only a part of one.
std::optional<OutcomeFile> parse_outcome(std::string_view text);

}  // namespace mansio::store_directory
