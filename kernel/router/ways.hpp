// Ways: the routes of mail that is in the queue already, and of notifications: by the [[route]] tables and by those
// tables of plugins that have a say in it. New mail gets its routes in ingress, by the same rules.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kernel/host/commands.hpp"
#include "kernel/host/submitter.hpp"
#include "kernel/host/tables.hpp"
#include "kernel/host/watchdog.hpp"
#include "kernel/process/role.hpp"
#include "kernel/route/aliases.hpp"
#include "kernel/route/route_finder.hpp"

namespace mansio::router {

struct Way {
  std::string address;
  Route route;
};

class Ways {
 public:
  // `submitter` and `commands`: as Surroundings has them, for tables that run here.
  Ways(const process::RoleContext &context, std::span<const std::string> own_addresses, host::Submitter *submitter,
       host::Commands *commands);
  ~Ways();

  bool ask_tables() const { return routes_by_tables_; }
  const route::RouteTable &table() const { return routes_; }  // all there is, if no tables are asked
  // A table that cannot say is a refusal of class 4, which the queue takes for a deferral.
  Task<route::RouteDecision> find(std::string sender, std::string recipient);
  // Of mail that is new here: its recipient may be an alias. The error is that of its route.
  Task<Result<std::vector<Way>>> find_all(std::string sender, std::string recipient);

  void attach(std::string_view host, std::shared_ptr<io::Channel> channel);
  void stats(const host::StatsSink &add) const;
  void close();  // plugins may have connections, which would keep the loop from running empty

 private:
  const process::RoleContext &context_;
  const bool routes_by_tables_;
  route::OwnDomains own_;
  route::RouteTable routes_;
  host::Running running_;
  std::unique_ptr<io::Dns> dns_;
  std::unique_ptr<host::TableSet> tables_;  // null, like what follows: none has a say
  std::unique_ptr<route::DomainTables> domains_;
  std::unique_ptr<route::RouteFinder> finder_;
  std::unique_ptr<route::Aliases> aliases_;
  std::unique_ptr<host::Watchdog> watchdog_;  // where a table's code runs here
};

}  // namespace mansio::router
