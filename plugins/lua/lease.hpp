// What a script that owns a limit is asked for, and what comes back of what it gave.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "mansio/rate.hpp"
#include "plugins/lua/work.hpp"

namespace mansio::lua {

class LeaseWork final : public Work {
 public:
  explicit LeaseWork(plugin::LeaseRequest request) : request_(std::move(request)) {}

  int push(lua_State *L, Call &call) override;
  // mansio.permits() or defer().
  plugin::Reply result(lua_State *L, Call &call) override;
  std::optional<plugin::Reply> thrown(const Verdict &verdict) override;
  std::int64_t deadline() const override { return request_.deadline; }

 private:
  const plugin::LeaseRequest request_;
};

class UnusedWork final : public Work {
 public:
  UnusedWork(std::string_view limit, std::string_view key, std::uint32_t unused)
      : limit_(limit), key_(key), unused_(unused) {}

  int push(lua_State *L, Call &call) override;
  plugin::Reply result(lua_State *, Call &) override { return plugin::Reply{MANSIO_OK}; }  // which nobody hears
  std::int64_t deadline() const override { return 0; }

 private:
  const std::string limit_, key_;
  const std::uint32_t unused_;
};

}  // namespace mansio::lua
