// The world of a script that has been loaded into a state.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "plugins/lua/check/world.hpp"
#include "plugins/lua/lua_api.hpp"

namespace mansio::lua {

class LiveWorld final : public World {
 public:
  // No function of Lua's is called, and no metamethod.
  explicit LiveWorld(lua_State *L) : lua_(L) {}

  bool has_global(std::string_view name) override;
  std::vector<std::string> globals() override;
  std::optional<Fields> fields_at(std::string_view path) override;
  std::optional<Fields> methods_of(std::string_view type) override;
  std::string objection(std::string_view path, const std::vector<Argument> &arguments) override;
  bool is_off(std::string_view path) override;

 private:
  lua_State *lua_;
};

}  // namespace mansio::lua
