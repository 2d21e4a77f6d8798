// A key that a table of the script is asked for.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>

#include "mansio/plugin.hpp"
#include "plugins/lua/work.hpp"

namespace mansio::lua {

class LookupWork final : public Work {
 public:
  explicit LookupWork(plugin::LookupRequest request) : request_(std::move(request)) {}

  int push(lua_State *L, Call &call) override;
  // Nothing, a value, a list of values, or mansio.defer(); and perhaps how long that is good.
  int results() const override { return 2; }
  plugin::Reply result(lua_State *L, Call &call) override;
  std::optional<plugin::Reply> thrown(const Verdict &verdict) override;
  std::int64_t deadline() const override { return request_.deadline; }

 private:
  plugin::Reply answer(lua_State *L, Call &call) const;

  const plugin::LookupRequest request_;
};

}  // namespace mansio::lua
