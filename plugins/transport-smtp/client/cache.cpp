#include "plugins/transport-smtp/client/cache.hpp"

#include <algorithm>

namespace mansio::smtp {

ConnectionCache::~ConnectionCache() {
  if (timer_) context_.host.cancel_timer(timer_);
  while (!farewells_.empty()) farewells_.front().request();  // each removes itself
  for (auto &entry : idle_) {
    // Best effort, in one non-blocking write: there is no loop to wait on any more.
    dismiss(std::move(entry.connection));
  }
  while (!farewells_.empty()) farewells_.front().request();
}

bool ConnectionCache::too_old(const Connection &connection) const {
  const auto &options = context_.options;
  return context_.host.now() - connection.opened >= options.connection_reuse_time_limit ||
         (options.connection_reuse_count_limit && connection.uses >= options.connection_reuse_count_limit);
}

bool ConnectionCache::give_back(std::unique_ptr<Connection> connection, const std::string &nexthop,
                                bool worth_keeping) {
  const auto limit = context_.options.connection_cache_time_limit;
  connection->stream->set_cancel(nullptr);
  if (!connection->usable) return false;  // closed by its destructor
  if (limit <= 0 || !worth_keeping || too_old(*connection) || !connection->buffer.data().empty()) {
    dismiss(std::move(connection));
    return false;
  }
  auto target = connection->target.key();
  idle_.push_back({std::move(connection), nexthop, std::move(target), context_.host.now()});
  if (!timer_)
    timer_ = context_.host.timer(
        limit, [](void *self) { static_cast<ConnectionCache *>(self)->expire(); }, this);
  return true;
}

void ConnectionCache::expire() {
  timer_ = 0;
  const auto limit = context_.options.connection_cache_time_limit;
  const auto now = context_.host.now();
  while (!idle_.empty() && now - idle_.front().since >= limit) {
    auto connection = std::move(idle_.front().connection);
    idle_.pop_front();
    dismiss(std::move(connection));
  }
  if (!idle_.empty() && !timer_)
    timer_ = context_.host.timer(
        std::max<std::int64_t>(limit - (now - idle_.front().since), 1),
        [](void *self) { static_cast<ConnectionCache *>(self)->expire(); }, this);
}

// What was negotiated when it was opened is what this delivery demands, too.
bool ConnectionCache::serves(const Connection &connection, const OpenRequest &wanted) {
  const auto &tls = wanted.tls;
  if (tls.level >= TlsLevel::Encrypt && !connection.encrypted()) return false;
  if (tls.level == TlsLevel::None && connection.encrypted()) return false;
  if (tls.authenticates() && !(connection.authenticated == tls && connection.authenticated_for == wanted.nexthop))
    return false;
  if (wanted.require_tls && !(connection.encrypted() && connection.caps.require_tls)) return false;
  if (connection.pix && wanted.old && !connection.worked_around) return false;
  return connection.source_pool == wanted.source_pool && connection.segment == wanted.segment;
}

template <class Match>
std::unique_ptr<Connection> ConnectionCache::take(const OpenRequest &wanted, Match match) {
  for (auto at = idle_.end(); at != idle_.begin();) {
    --at;
    const auto &connection = *at->connection;
    if (!match(*at) || !serves(connection, wanted)) continue;
    auto found = std::move(at->connection);
    at = idle_.erase(at);
    if (found->stream->gone()) continue;  // closed by its destructor
    if (!too_old(*found)) return found;
    dismiss(std::move(found));
  }
  return nullptr;
}

std::unique_ptr<Connection> ConnectionCache::take_for_nexthop(const std::string &nexthop, const OpenRequest &wanted) {
  return take(wanted, [&](const Entry &entry) {
    const auto &connection = *entry.connection;
    return connection.best && entry.nexthop == nexthop && (wanted.login.empty() || connection.login == wanted.login);
  });
}

std::unique_ptr<Connection> ConnectionCache::take_for_target(const OpenRequest &wanted) {
  const auto key = wanted.target.key();
  // The same address under another name was opened with another SNI.
  return take(wanted, [&](const Entry &entry) {
    return entry.target == key && entry.connection->login == wanted.login &&
           (!entry.connection->encrypted() || entry.connection->target.host == wanted.target.host);
  });
}

void ConnectionCache::dismiss(std::unique_ptr<Connection> connection) {
  const auto cancel = farewells_.emplace(farewells_.end());
  const auto leave = [](ConnectionCache &cache, std::unique_ptr<Connection> last,
                        std::list<Cancel>::iterator mine) -> Task<> {
    co_await farewell(cache.context_, std::move(last), *mine);
    cache.farewells_.erase(mine);
  };
  plugin::spawn(leave(*this, std::move(connection), cancel), [](const char *) {});
}

}  // namespace mansio::smtp
