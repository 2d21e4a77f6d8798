#include "plugins/transport-smtp/client/delivery.hpp"

#include "plugins/transport-smtp/client/text.hpp"

namespace mansio::smtp {

Task<> DeliveryJob::run() {
  co_await deliver();
  const bool site_failure =
      !server_used_ && last_failure_.status() == MANSIO_DEFER && !ledger_.pending().empty() && !cancel_.requested();
  if (site_failure) last_failure_.site_failure();
  ledger_.settle_rest(last_failure_);
  auto last = plugin::sent();
  if (site_failure) last = last_failure_;
  // The scheduler's name for where that connection leads.
  if (kept_ && !delivery_.recipients.empty())
    last.destination(lower(delivery_.nexthop.empty() ? domain_of(delivery_.recipients.front().address)
                                                     : std::string_view{delivery_.nexthop}));
  context_.host.complete(op_, last);
}

Task<> DeliveryJob::deliver() {
  const auto &options = context_.options;
  const auto domain =
      delivery_.recipients.empty() ? std::string_view{} : domain_of(delivery_.recipients.front().address);
  const auto nexthop = delivery_.nexthop.empty() ? nexthop_of_domain(domain, options.port)
                                                 : parse_nexthop(delivery_.nexthop, options.port);
  if (!nexthop) {
    // A route with a mistake in it is ours to mend; an address with one is not.
    auto reply = delivery_.nexthop.empty() ? plugin::bounce({5, 1, 2}, "bad destination: " + printable(domain))
                                           : plugin::defer({4, 3, 5}, "bad next hop: " + printable(delivery_.nexthop));
    give_up(reply.relay("none"));
    server_used_ = true;  // no server is to blame
    co_return;
  }
  nexthop_key_ = nexthop->key();
  if (!delivery_.source_pool.empty() && !options.source_pools.contains(delivery_.source_pool)) {
    auto reply = plugin::defer({4, 3, 5}, "there is no source pool " + printable(delivery_.source_pool));
    give_up(reply.relay("none"));
    server_used_ = true;
    co_return;
  }
  OpenRequest request;
  request.nexthop = nexthop->name;
  request.source_pool = delivery_.source_pool;
  request.tls = options.tls_for(nexthop->name);
  request.require_tls = delivery_.has(MANSIO_MSG_REQUIRETLS);

  std::size_t sessions = 0;
  std::string tried;
  const auto last_session = [&] { return options.mx_session_limit && sessions + 1 >= options.mx_session_limit; };

  // An idle connection to the best servers spares lookups and set-up. A dead one costs nothing.
  while (auto connection = cache_.take_for_nexthop(nexthop_key_, request)) {
    ledger_.last_server(last_session());
    const auto end = co_await use(*connection);
    if (end == Transaction::End::Stale && !cancel_.requested()) continue;
    tried = connection->target.key();
    ++sessions;
    finish(std::move(connection));
    break;
  }
  if (ledger_.pending().empty() || cancel_.requested() || (sessions && sessions == options.mx_session_limit)) co_return;

  const auto found = co_await resolve(context_, *nexthop, cancel_);
  if (found.failure) {
    give_up(*found.failure);
    co_return;
  }
  const auto &targets = found.targets;
  for (std::size_t i = 0; i < targets.size(); ++i) {
    if (ledger_.pending().empty() || cancel_.requested()) co_return;
    if (targets[i].key() == tried) continue;
    if (options.mx_session_limit && sessions >= options.mx_session_limit) co_return;
    request.target = targets[i];
    ledger_.last_server(last_session() || i + 1 == targets.size());

    auto connection = cache_.take_for_target(request);
    auto end = Transaction::End::Stale;
    if (connection) {
      connection->target = targets[i];  // perhaps known by another name so far
      connection->relay = targets[i].label();
      connection->best = targets[i].preference == targets.front().preference;
      end = co_await use(*connection);
    }
    if (end == Transaction::End::Stale && !cancel_.requested()) {
      auto opened = co_await open_connection(context_, request, cancel_);
      if (opened.reached) ++sessions;
      if (!opened.connection) {
        give_up(opened.failure);
        continue;
      }
      connection = std::move(opened.connection);
      connection->best = targets[i].preference == targets.front().preference;
      co_await use(*connection);
    } else {
      ++sessions;
    }
    finish(std::move(connection));
  }
}

Task<Transaction::End> DeliveryJob::use(Connection &connection) {
  connection.stream->set_cancel(&cancel_);
  Transaction transaction{context_, connection, op_, delivery_, ledger_};
  const auto end = co_await transaction.run(ledger_.pending());
  server_used_ = server_used_ || transaction.answered();
  co_return end;
}

void DeliveryJob::finish(std::unique_ptr<Connection> connection) {
  kept_ = cache_.give_back(std::move(connection), nexthop_key_);
}

}  // namespace mansio::smtp
