#include "kernel/router/ways.hpp"

#include <utility>

#include "kernel/host/configured.hpp"
#include "kernel/process/resolver.hpp"

namespace mansio::router {

Ways::Ways(const process::RoleContext &context, std::span<const std::string> own_addresses, host::Submitter *submitter,
           host::Commands *commands)
    : context_(context),
      routes_by_tables_(route::RouteFinder::needed(context.settings)),
      own_(context.settings, own_addresses),
      routes_(context.settings, own_addresses) {
  const auto &settings = context.settings;
  if (!routes_by_tables_ && settings.virtual_alias_maps.empty()) return;
  running_.show(context);
  dns_ = process::make_resolver(context);
  tables_ =
      host::TableSet::as_configured(settings, context.start.plugin_dir,
                                    host::surroundings_in(context, *dns_, nullptr, &running_, submitter, commands));
  domains_ = std::make_unique<route::DomainTables>(settings, own_);
  finder_ = std::make_unique<route::RouteFinder>(settings, routes_, *domains_);
  aliases_ = std::make_unique<route::Aliases>(settings, *domains_);
  if (host::TableSet::any_here(settings) && !context.start.threaded)
    watchdog_ = host::watch_plugins(context.loop, "router", running_);
}

Ways::~Ways() { close(); }

Task<route::RouteDecision> Ways::find(std::string sender, std::string recipient) {
  if (!finder_) co_return routes_.route(sender, recipient);
  route::Search search{context_.loop, context_.clock, *tables_};
  auto way = co_await finder_->route(search, std::move(sender), recipient);
  if (!way.trouble.empty()) context_.log.warn("no route", {{"to", recipient}, {"reason", way.trouble}});
  co_return std::move(way.decision);
}

Task<Result<std::vector<Way>>> Ways::find_all(std::string sender, std::string recipient) {
  route::Expansion expansion;
  expansion.addresses.push_back(recipient);
  if (aliases_) {
    route::Search search{context_.loop, context_.clock, *tables_};
    expansion = co_await aliases_->expand(search, recipient);
  }
  if (expansion.later) co_return Error{Status::Defer, expansion.text, {4, 3, 0}};
  std::vector<Way> ways;
  std::optional<route::Refusal> refusal;
  for (auto &address : expansion.addresses) {
    auto decision = co_await find(sender, address);
    if (decision.refusal)
      refusal = std::move(decision.refusal);
    else
      ways.push_back(
          {decision.address.empty() ? std::move(address) : std::move(decision.address), std::move(decision.route)});
  }
  // Where one of several can be reached, that one hears of it.
  if (ways.empty()) co_return Error{Status::Fail, refusal->text, refusal->enhanced};
  co_return ways;
}

void Ways::attach(std::string_view host, std::shared_ptr<io::Channel> channel) {
  if (tables_) tables_->attach(host, std::move(channel));
}

void Ways::stats(const host::StatsSink &add) const {
  if (tables_) tables_->stats(add);
}

void Ways::close() {
  watchdog_.reset();
  aliases_.reset();
  finder_.reset();
  domains_.reset();
  tables_.reset();
  dns_.reset();
}

}  // namespace mansio::router
