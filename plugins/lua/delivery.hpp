// A delivery under way: what the host wants delivered, and which of its recipients have their result.
#pragma once

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

#include "mansio/plugin.hpp"

namespace mansio::lua {

struct DeliveryWork {
  plugin::Delivery mail;
  std::vector<bool> reported;
  bool reached_out = false;  // a server was asked, so that something may have been delivered

  explicit DeliveryWork(plugin::Delivery delivery)
      : mail(std::move(delivery)), reported(mail.recipients.size(), false) {}
  bool settled() const { return std::find(reported.begin(), reported.end(), false) == reported.end(); }
};

}  // namespace mansio::lua
