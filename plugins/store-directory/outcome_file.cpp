#include "outcome_file.hpp"

#include <charconv>

namespace mansio::store_directory {
namespace {

constexpr std::string_view kMark = "outcome ";

// The number that `text` is, and nothing else.
std::optional<std::uint64_t> number_in(std::string_view text) {
  std::uint64_t n = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return n;
}

}  // namespace

std::string outcome_text(std::uint64_t sequence, std::string_view record) {
  std::string out{kMark};
  out += std::to_string(sequence) + ' ' + std::to_string(record.size()) + '\n';
  out += record;
  return out;
}

std::optional<OutcomeFile> parse_outcome(std::string_view text) {
  if (!text.starts_with(kMark)) return std::nullopt;
  text.remove_prefix(kMark.size());
  const auto line = text.substr(0, text.find('\n'));
  const auto blank = line.find(' ');
  if (line.size() == text.size() || blank == line.npos) return std::nullopt;
  const auto sequence = number_in(line.substr(0, blank)), length = number_in(line.substr(blank + 1));
  text.remove_prefix(line.size() + 1);
  if (!sequence || !length || *length != text.size()) return std::nullopt;
  return OutcomeFile{*sequence, std::string{text}};
}

}  // namespace mansio::store_directory
