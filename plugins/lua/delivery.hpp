// A delivery under way: what the host wants delivered, and which of its recipients have their result.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "mansio/plugin.hpp"
#include "plugins/lua/work.hpp"

namespace mansio::lua {

class DeliveryWork final : public Work {
 public:
  explicit DeliveryWork(plugin::Delivery delivery)
      : mail(std::move(delivery)), reported(mail.recipients.size(), false) {}

  int push(lua_State *L, Call &call) override;
  // The result of all recipients that have none, or nothing.
  plugin::Reply result(lua_State *L, Call &call) override;
  std::optional<plugin::Reply> thrown(const Verdict &verdict) override;
  plugin::Reply fault(const std::string &why) override;
  // What becomes of the recipients without a result.
  std::optional<plugin::Reply> interrupted() const override;
  std::int64_t deadline() const override { return mail.deadline; }

  plugin::Delivery mail;
  std::vector<bool> reported;
  bool reached_out = false;  // a server was asked, so that something may have been delivered

 private:
  bool settled() const { return std::find(reported.begin(), reported.end(), false) == reported.end(); }
};

}  // namespace mansio::lua
