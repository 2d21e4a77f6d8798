#include "plugins/lookup-redis/command.hpp"

#include <algorithm>
#include <utility>

#include "mansio/config.hpp"

namespace mansio::lookup {

RedisCommand::RedisCommand(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r\n";
  for (auto at = text.find_first_not_of(kBlanks); at != std::string_view::npos;) {
    const auto end = std::min(text.find_first_of(kBlanks, at), text.size());
    words_.emplace_back("query", text.substr(at, end - at));
    at = text.find_first_not_of(kBlanks, end);
  }
  if (words_.size() < 2 || words_.front().has_expansions())
    throw plugin::BadConfig{"query", "is \"" + std::string{text} + "\", expected a command such as \"GET alias:%s\""};
}

std::optional<std::vector<std::string>> RedisCommand::arguments(std::string_view key) const {
  std::vector<std::string> all;
  all.reserve(words_.size());
  for (const auto &word : words_) {
    auto argument = word.expand(key, key);
    if (!argument) return std::nullopt;
    all.push_back(std::move(*argument));
  }
  return all;
}

}  // namespace mansio::lookup
