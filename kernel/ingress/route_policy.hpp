// RoutePolicy: kernel/route, asked as sessions ask. First whether the client may send to that recipient at all, then
// which way the mail would go; a route that refuses is an answer to RCPT too.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "kernel/ingress/environment.hpp"
#include "kernel/route/relay.hpp"
#include "kernel/route/route_table.hpp"

namespace mansio::ingress {

class RoutePolicy final : public Policy {
 public:
  RoutePolicy(const config::Settings &settings, std::span<const std::string> own_addresses)
      : relay_(settings, own_addresses), routes_(settings, own_addresses) {}

  Verdict recipient(const config::Smtpd &smtpd, const Client &client, std::string_view sender,
                    std::string_view recipient) override;

 private:
  route::RelayPolicy relay_;
  route::RouteTable routes_;
};

}  // namespace mansio::ingress
