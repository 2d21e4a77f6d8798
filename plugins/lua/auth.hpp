// A step of AUTH that a script judges, and what is remembered of exchanges between their steps: LOGIN's name, and the
// script's notes. Of one that has ended nothing is.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>

#include "mansio/auth.hpp"
#include "plugins/common/credentials.hpp"
#include "plugins/lua/work.hpp"

namespace mansio::lua {

struct Exchange {
  std::optional<std::string> name;
  std::map<std::string, std::string, std::less<>> notes;
};

class Exchanges {
 public:
  // What was kept of it, which goes; an empty one when it begins.
  Exchange take(std::uint64_t number) {
    auto node = kept_.extract(number);
    return node.empty() ? Exchange{} : std::move(node.mapped());
  }
  void keep(std::uint64_t number, Exchange exchange) { kept_.insert_or_assign(number, std::move(exchange)); }
  void forget(std::uint64_t number) { kept_.erase(number); }

 private:
  std::unordered_map<std::uint64_t, Exchange> kept_;
};

class AuthWork final : public Work {
 public:
  // With credentials the function judges these, and without any the step. `exchanges` outlives this.
  AuthWork(plugin::AuthStep step, Exchange exchange, std::optional<sasl::Credentials> credentials, Exchanges &exchanges)
      : step_(std::move(step)),
        exchange_(std::move(exchange)),
        credentials_(std::move(credentials)),
        exchanges_(exchanges) {}

  int push(lua_State *L, Call &call) override;
  // mansio.authenticated(), reject() or defer(); of credentials also true, false and nothing, of a step challenge().
  plugin::Reply result(lua_State *L, Call &call) override;
  std::optional<plugin::Reply> thrown(const Verdict &verdict) override;
  plugin::Reply fault(const std::string &why) override;
  std::int64_t deadline() const override { return step_.deadline; }

  const plugin::AuthStep &step() const { return step_; }
  auto &notes() { return exchange_.notes; }

 private:
  plugin::Reply reply(const Verdict &verdict);

  const plugin::AuthStep step_;
  Exchange exchange_;
  const std::optional<sasl::Credentials> credentials_;
  Exchanges &exchanges_;
};

}  // namespace mansio::lua
