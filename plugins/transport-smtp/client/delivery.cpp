#include "plugins/transport-smtp/client/delivery.hpp"

#include <chrono>

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
  token_.complete(last);
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
  if (!delivery_.source_pool.empty() && !options.source_pools.contains(delivery_.source_pool)) {
    auto reply = plugin::defer({4, 3, 5}, "there is no source pool " + printable(delivery_.source_pool));
    give_up(reply.relay("none"));
    server_used_ = true;
    co_return;
  }
  if (!delivery_.tls_policy.empty()) {
    std::string wrong;
    try {
      asked_tls_ = parse_policy(delivery_.tls_policy);
    } catch (const plugin::BadConfig &e) {
      wrong = e.text;
    }
    if (!wrong.empty()) {
      auto reply = plugin::defer({4, 3, 5}, "the message's tls_policy " + printable(wrong));
      give_up(reply.relay("none"));
      server_used_ = true;
      co_return;
    }
  }
  const auto key = nexthop->key();
  nexthop_key_ = key;
  nexthop_ = *nexthop;
  shared_.demand.begin(key, context_.host.now());
  auto request = request_for(*nexthop);
  if (options.sasl_auth_enable) co_await find_login_of(login_keys(*nexthop), request.login);
  if (!halted_) co_await by_cached_connection(request);
  if (!done() && session_left()) {
    auto found = co_await resolve(context_, *nexthop, cancel_);
    if (found.failure) give_up(*found.failure);
    // Mail that nobody takes for good is not for a relay, and from what we are an exchanger of it would come back.
    const bool fall_back = !options.fallback_relay.empty() && !found.self &&
                           (!found.failure || found.not_found || found.failure->status() == MANSIO_DEFER);
    if (!found.failure) co_await by_targets(std::move(found.targets), request, !fall_back);
    if (fall_back && !done()) co_await by_fallback_relays();
  }
  shared_.demand.end(key, context_.host.now());
}

OpenRequest DeliveryJob::request_for(const NextHop &nexthop) const {
  const auto &options = context_.options;
  OpenRequest request;
  request.nexthop = nexthop.name;
  request.source_pool = delivery_.source_pool;
  request.require_tls = delivery_.has(MANSIO_MSG_REQUIRETLS);
  request.tls = options.tls_for(nexthop, asked_tls_);
  // RFC 8689 section 4.2.1: the server must be known to be the right one, and what DNS says of its name is not signed.
  if (request.require_tls && request.tls.level < TlsLevel::Secure)
    request.tls = {TlsLevel::Secure, options.tls_secure_cert_match};
  request.segment = options.maxseg_for(nexthop);
  request.old = old_enough();
  return request;
}

Task<bool> DeliveryJob::find_login_of(std::vector<std::string> keys, Login &login) {
  auto answer = co_await find_login(context_, op_, std::move(keys), cancel_);
  if (answer.failure) {
    give_up(*answer.failure);
    halted_ = server_used_ = true;  // no server is to blame
    co_return false;
  }
  login = std::move(answer.login);
  co_return true;
}

bool DeliveryJob::old_enough() const {
  const auto now =
      std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
  return delivery_.arrival != 0 && now - delivery_.arrival >= context_.options.pix_workaround_threshold_time;
}

// An idle connection to the best servers spares lookups and set-up. A dead one costs nothing.
Task<> DeliveryJob::by_cached_connection(const OpenRequest &request) {
  while (auto connection = shared_.cache.take_for_nexthop(nexthop_key_, request)) {
    if (context_.options.sasl_auth_enable && request.login.empty()) {
      Login wanted;
      const bool known = co_await find_login_of(login_keys(connection->target), wanted);
      if (!known) co_return finish(std::move(connection));
      if (connection->stream->gone()) continue;  // since it was taken, as tables may take their time
      if (connection->login != wanted) {
        shared_.cache.dismiss(std::move(connection));
        continue;
      }
    }
    ledger_.last_server(last_session() && context_.options.fallback_relay.empty());
    const auto end = co_await use(*connection);
    if (end == Transaction::End::Stale && !cancel_.requested()) continue;
    tried_ = connection->target.key();
    ++sessions_;
    finish(std::move(connection));
    break;
  }
}

Task<> DeliveryJob::by_targets(std::vector<Target> targets, OpenRequest request, bool last) {
  const auto &options = context_.options;
  std::uint16_t best = UINT16_MAX;
  for (const auto &target : targets) best = std::min(best, target.preference);
  shared_.health.order(targets, context_.host.now());
  const auto login = request.login;  // of the next hop; where it has none, each server may have one
  for (std::size_t i = 0; i < targets.size(); ++i) {
    if (done() || !session_left()) co_return;
    if (targets[i].key() == tried_) continue;
    request.target = targets[i];
    request.login = login;
    if (options.sasl_auth_enable && login.empty()) {
      const bool known = co_await find_login_of(login_keys(targets[i]), request.login);
      if (!known) co_return;
    }
    const bool last_target = i + 1 == targets.size();
    ledger_.last_server(last && (last_session() || last_target));

    auto connection = shared_.cache.take_for_target(request);
    auto end = Transaction::End::Stale;
    if (connection) {
      connection->target = targets[i];  // perhaps known by another name so far
      connection->relay = targets[i].label();
      connection->best = targets[i].preference == best;
      end = co_await use(*connection);
    }
    if (end == Transaction::End::Stale && !cancel_.requested()) {
      auto opened = co_await open(request, !last_target || !last);
      if (opened.reached) ++sessions_;
      if (!opened.connection) {
        give_up(opened.failure);
        continue;
      }
      connection = std::move(opened.connection);
      connection->best = targets[i].preference == best;
      co_await use(*connection);
    } else {
      ++sessions_;
    }
    finish(std::move(connection));
  }
}

Task<> DeliveryJob::by_fallback_relays() {
  const auto &relays = context_.options.fallback_relay;
  for (std::size_t i = 0; i < relays.size(); ++i) {
    if (done()) co_return;
    nexthop_key_ = relays[i].key();
    nexthop_ = relays[i];
    sessions_ = 0;
    tried_.clear();
    auto found = co_await resolve(context_, relays[i], cancel_);
    if (found.failure) {
      // What is wrong with the relay is no reason to return the mail.
      auto reply = plugin::defer({4, 4, 4}, "fallback relay: " + found.failure->text());
      give_up(reply.relay("none"));
      continue;
    }
    if (found.self) continue;
    auto request = request_for(relays[i]);
    if (context_.options.sasl_auth_enable) co_await find_login_of(login_keys(relays[i]), request.login);
    if (done()) co_return;
    shared_.demand.begin(nexthop_key_, context_.host.now());
    co_await by_targets(std::move(found.targets), std::move(request), i + 1 == relays.size());
    shared_.demand.end(nexthop_key_, context_.host.now());
    kept_ = false;  // it leads elsewhere
  }
}

Task<Opened> DeliveryJob::open(OpenRequest request, bool others_left) {
  auto &health = shared_.health;
  const auto key = request.target.key();
  const auto began = context_.host.now();
  request.patience = others_left ? health.patience(key) : 0;
  health.begin(key, began);
  auto opened = co_await open_connection(context_, request, cancel_);
  if (cancel_.requested() || opened.ours)
    health.withdrawn(key, began);
  else if (opened.greeted)
    health.answered(key, began);
  else
    health.failed(key, began, context_.host.now());
  co_return opened;
}

Task<Transaction::End> DeliveryJob::use(Connection &connection) {
  connection.stream->set_cancel(&cancel_);
  Transaction transaction{context_, connection, op_, delivery_, ledger_, cancel_};
  const auto end = co_await transaction.run(ledger_.pending());
  server_used_ = server_used_ || transaction.answered();
  co_return end;
}

void DeliveryJob::finish(std::unique_ptr<Connection> connection) {
  const auto &options = context_.options;
  const bool worth_keeping =
      options.cached_destination(nexthop_) || (options.connection_cache_on_demand && shared_.demand.high(nexthop_key_));
  kept_ = shared_.cache.give_back(std::move(connection), nexthop_key_, worth_keeping);
}

}  // namespace mansio::smtp
