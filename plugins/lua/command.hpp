// A command of the script's, for operators: `mansio plugin call INSTANCE NAME ARGUMENT...`.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "plugins/lua/work.hpp"

namespace mansio::lua {

class CommandWork final : public Work {
 public:
  explicit CommandWork(std::vector<std::string> arguments) : arguments_(std::move(arguments)) {}

  int push(lua_State *L, Call &call) override;
  // Nothing, a text, a list of texts, or mansio.reject() or defer() where it failed.
  plugin::Reply result(lua_State *L, Call &call) override;
  std::optional<plugin::Reply> thrown(const Verdict &verdict) override;
  std::int64_t deadline() const override { return 0; }

 private:
  const std::vector<std::string> arguments_;
};

// mansio.command, into the table on top.
void add_command(lua_State *L);

}  // namespace mansio::lua
