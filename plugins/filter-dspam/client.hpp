// The daemon as a whole: finds its address, keeps connections between messages, makes new ones where they have gone.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "plugins/filter-dspam/connection.hpp"
#include "plugins/filter-dspam/settings.hpp"

namespace mansio::dspam {

class Client {
 public:
  // `settings` outlives it.
  Client(plugin::Host host, const Settings &settings) : host_(host), settings_(settings) {}

  // A message is sent again, over a new connection, only where DSPAM cannot have begun with it.
  plugin::Task<Exchange> send(const Request &request, std::int64_t deadline, plugin::Cancel &cancel);

 private:
  struct Idle {
    std::unique_ptr<Connection> connection;
    std::int64_t since;
  };
  std::unique_ptr<Connection> take();
  void keep(std::unique_ptr<Connection> connection);
  plugin::Task<std::vector<plugin::Endpoint>> addresses(plugin::Cancel &cancel) const;

  plugin::Host host_;
  const Settings &settings_;
  std::vector<Idle> idle_;  // the one used last at the end
};

}  // namespace mansio::dspam
