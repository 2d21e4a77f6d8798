// The command that a lookup sends to Redis, as a template: words divided by blanks, each with expansions. A word stays
// one argument whatever the key has in it, so nothing needs quoting. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "plugins/lookup-common/expansion.hpp"

namespace mansio::lookup {

class RedisCommand {
 public:
  // Throws BadConfig for the option "query".
  explicit RedisCommand(std::string_view text);
  // Nothing: the key does not have what the command names, which is "not found" without asking.
  std::optional<std::vector<std::string>> arguments(std::string_view key) const;

 private:
  std::vector<Template> words_;
};

}  // namespace mansio::lookup
