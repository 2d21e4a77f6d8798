#include "kernel/queue/store_links.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

namespace mansio::queue {
namespace {

constexpr std::string_view kStoreHost = "host.store.";
// The host process has the same limit and comes first, so that its word is heard.
constexpr Nanos kStoreHostFirst = 100 * kMillisecond;
constexpr std::size_t kOutcomesAtOnce = 100;  // under way; the rest of its in_flight_limit is new mail's
constexpr std::size_t kChangedAtOnce = 200;   // whose envelopes may have to be read, in one turn
constexpr Nanos kChangedEvery = 1 * kSecond;  // a list's recipients are done one after the other
constexpr std::uint32_t kKeysOfAPage = 1000;  // 16 octets each: a message that fits a frame
constexpr Nanos kFirstWait = 1 * kSecond, kLongestWait = 60 * kSecond;
constexpr Nanos kStoreSettles = 2 * kSecond;  // at the end: without a word for so long, nothing more is expected

}  // namespace

StoreLinks::StoreLinks(const Clock &clock, Logger &log, OutcomeOf outcome_of, std::function<void(const Page &)> on_page)
    : clock_(clock), log_(log), outcome_of_(std::move(outcome_of)), on_page_(std::move(on_page)) {}

// A store that is configured no more is owed nothing.
void StoreLinks::set(const config::Settings &settings) {
  for (auto at = stores_.begin(); at != stores_.end();) {
    if (settings.store(at->first)) {
      ++at;
      continue;
    }
    const auto name = at->first;
    auto store = std::move(at->second);
    at = stores_.erase(at);
    for (const auto &key : store.gone) settle(key);
    for (const auto id : store.then_gone) settle({spool_, id});
    std::vector<std::uint64_t> its;
    for (const auto &[number, pending] : pending_)
      if (pending.store == name) its.push_back(number);
    for (const auto number : its) {
      const auto node = take(pending_.find(number));
      if (node.mapped().what == What::Gone) settle(node.mapped().key);
    }
  }
  for (const auto &configured : settings.stores) {
    auto &store = stores_[configured.name];
    store.limit = std::min<std::size_t>(kOutcomesAtOnce, configured.budget.in_flight_limit);
    store.time_limit = configured.time_limit;
  }
  if (stores_.empty()) owed_.clear(), held_.clear(), told_.clear();
  for (auto at = hosts_.begin(); at != hosts_.end();) let_go((at++)->first);  // nothing is expected of some any more
}

// ---- what is to be told ------------------------------------------------------------------------------------------

void StoreLinks::gone(const StoreKey &key, std::uint64_t sequence) {
  if (!owed_.try_emplace(key, 0).second) return;
  if (key.spool == spool_)
    for (auto &[name, store] : stores_) store.changed.erase(key.id);
  held_.emplace_back(sequence, key);
  moved_ = clock_.mono();
}

void StoreLinks::changed(MessageId id, std::uint64_t sequence) {
  for (auto &[name, store] : stores_) {
    if (store.changed.empty()) store.changed_at = std::max(store.changed_at, clock_.mono() + kChangedEvery);
    store.changed[id] = sequence;
  }
}

std::vector<StoreKey> StoreLinks::owed() const {
  std::vector<StoreKey> all;
  all.reserve(owed_.size());
  for (const auto &[key, left] : owed_) all.push_back(key);
  std::sort(all.begin(), all.end());
  return all;
}

void StoreLinks::hand_out(const StoreKey &key) {
  owed_[key] = static_cast<std::uint32_t>(stores_.size());
  for (auto &[name, store] : stores_) {
    if (key.spool == spool_ && store.under_way.contains(key.id))
      store.then_gone.insert(key.id);
    else
      store.gone.push_back(key);
  }
}

// One store more knows.
void StoreLinks::settle(const StoreKey &key) {
  const auto at = owed_.find(key);
  if (at == owed_.end() || --at->second > 0) return;
  owed_.erase(at);
  told_.push_back(key);
}

void StoreLinks::run(std::uint64_t synced) {
  for (; !held_.empty() && held_.front().first <= synced; held_.pop_front()) hand_out(held_.front().second);
  while (!deadlines_.empty() && deadlines_.begin()->first <= clock_.mono())
    failed(pending_.find(deadlines_.begin()->second), "no answer in time");
  for (auto &[name, store] : stores_) send(name, store, synced);
}

void StoreLinks::send(const std::string &name, Store &store, std::uint64_t synced) {
  auto *host = host_of(name);
  if (!host || clock_.mono() < store.retry_at) return;
  for (; store.asked < store.limit && !store.gone.empty(); store.gone.pop_front()) {
    const auto key = store.gone.front();
    wire::StoreOutcome outcome;
    outcome.key = key;
    outcome.last = true;
    outcome.sequence = std::numeric_limits<std::uint64_t>::max();
    if (!ask(name, store, *host, What::Gone, key, std::move(outcome))) return;
  }
  if (!store.changed.empty() && clock_.mono() >= store.changed_at && !send_changed(name, store, *host, synced)) return;
  if (!store.walk.wanted || store.walk.page != 0) return;
  wire::StoreScan scan;
  scan.cursor = store.walk.cursor;
  scan.most = kKeysOfAPage;
  if (ask(name, store, *host, What::Page, {}, std::move(scan))) store.walk.page = last_number_;
}

// False: the channel takes no more.
bool StoreLinks::send_changed(const std::string &name, Store &store, std::pair<const ConnectionId, Host> &host,
                              std::uint64_t synced) {
  std::size_t looked_at = 0;
  for (auto at = store.changed.begin(); at != store.changed.end();) {
    if (store.asked >= store.limit || looked_at >= kChangedAtOnce) break;
    const auto [id, sequence] = *at;
    if (sequence > synced || store.under_way.contains(id)) {
      ++at;
      continue;
    }
    ++looked_at;
    if (auto said = outcome_of_(id)) {
      wire::StoreOutcome outcome;
      outcome.key = {spool_, id};
      outcome.sequence = said->sequence;
      outcome.record = std::move(said->record);
      const StoreKey key = outcome.key;
      if (!ask(name, store, host, What::Changed, key, std::move(outcome))) return false;
      store.under_way.insert(id);
    }
    at = store.changed.erase(at);
  }
  store.changed_at = clock_.mono() + (looked_at >= kChangedAtOnce ? 0 : kChangedEvery);
  return true;
}

template <class M>
bool StoreLinks::ask(const std::string &name, Store &store, std::pair<const ConnectionId, Host> &host, What what,
                     const StoreKey &key, M message) {
  const auto number = message.number = last_number_ + 1;
  message.time_limit = store.time_limit;
  if (!host.second.link->send(message)) return false;
  ++last_number_;
  const auto deadline = clock_.mono() + store.time_limit + kStoreHostFirst;
  pending_.emplace(number, Pending{name, what, key, deadline, host.first});
  deadlines_.emplace(deadline, number);
  ++host.second.under_way;
  if (what != What::Page) ++store.asked;
  return true;
}

// ---- answers -----------------------------------------------------------------------------------------------------

StoreLinks::PendingMap::node_type StoreLinks::take(PendingMap::iterator at) {
  deadlines_.erase({at->second.deadline, at->first});
  if (const auto host = hosts_.find(at->second.with); host != hosts_.end()) --host->second.under_way;
  auto node = pending_.extract(at);
  const auto &pending = node.mapped();
  const auto store = stores_.find(pending.store);
  if (store == stores_.end()) return node;
  if (pending.what == What::Page) {
    if (store->second.walk.page == node.key()) store->second.walk.page = 0;
    return node;
  }
  --store->second.asked;
  if (pending.what == What::Changed) store->second.under_way.erase(pending.key.id);
  return node;
}

bool StoreLinks::receive(ConnectionId from, const io::Message &message) {
  const auto host = hosts_.find(from);
  if (host == hosts_.end()) return false;
  if (message.type == wire::StoreResult::kType) {
    if (const auto result = decode<wire::StoreResult>(message.payload)) answered(from, *result);
  } else if (message.type == wire::StorePage::kType) {
    if (const auto page = decode<wire::StorePage>(message.payload)) paged(from, *page);
  } else {
    log_.warn("unknown message", {{"peer", host->second.peer.name}, {"type", message.type}});
  }
  return true;
}

void StoreLinks::answered(ConnectionId from, const wire::StoreResult &result) {
  const auto at = pending_.find(result.number);
  if (at == pending_.end() || at->second.with != from || at->second.what == What::Page) return;  // too late
  if (result.status == wire::StoreStatus::Failed) return failed(at, result.text);
  const auto node = take(at);
  const auto &pending = node.mapped();
  if (const auto store = stores_.find(pending.store); store != stores_.end()) {
    ++store->second.outcomes;
    done(store->first, store->second);
    if (pending.what == What::Gone) {
      settle(pending.key);
    } else if (store->second.then_gone.erase(pending.key.id) > 0) {
      store->second.gone.push_back(pending.key);
    }
  }
  let_go(from);
}

void StoreLinks::paged(ConnectionId from, const wire::StorePage &page) {
  const auto at = pending_.find(page.number);
  if (at == pending_.end() || at->second.with != from || at->second.what != What::Page) return;
  const auto store = stores_.find(at->second.store);
  const bool current = store != stores_.end() && store->second.walk.page == page.number;
  if (page.status != wire::StoreStatus::Ok && current) return failed(at, page.text);
  take(at);
  if (current) {  // else it was begun anew since
    auto &walk = store->second.walk;
    walk.wanted = false;
    walk.cursor = page.cursor;
    ++store->second.pages;
    done(store->first, store->second);
    on_page_({store->first, page.keys, page.strangers, page.cursor.empty()});
  }
  let_go(from);
}

void StoreLinks::done(const std::string &name, Store &store) {
  moved_ = clock_.mono();
  store.wait = store.retry_at = 0;
  if (std::exchange(store.said, false)) log_.info("a store takes outcomes again", {{"store", name}});
}

void StoreLinks::failed(PendingMap::iterator at, std::string_view why) {
  const auto from = at->second.with;
  const auto node = take(at);
  const auto &pending = node.mapped();
  if (const auto found = stores_.find(pending.store); found != stores_.end()) {
    auto &store = found->second;
    ++store.failures;
    if (!std::exchange(store.said, true))
      log_.warn("a store fails: it is told again what became of its mail, and new mail is refused while it takes none",
                {{"store", pending.store}, {"reason", why.empty() ? std::string_view{"the plugin failed"} : why}});
    // Those that were under way with it fail as well: they make the wait no longer.
    if (clock_.mono() >= store.retry_at) {
      store.wait = std::clamp(2 * store.wait, kFirstWait, kLongestWait);
      store.retry_at = clock_.mono() + store.wait;
    }
    put_back(pending, store);
  }
  let_go(from);
}

void StoreLinks::put_back(const Pending &pending, Store &store) {
  if (pending.what == What::Page) return;  // it is still wanted
  if (pending.what == What::Gone)
    store.gone.push_front(pending.key);
  else if (store.then_gone.erase(pending.key.id) > 0)
    store.gone.push_back(pending.key);
  else if (!owes(pending.key))
    store.changed.try_emplace(pending.key.id, 0);
}

// ---- looking through ---------------------------------------------------------------------------------------------

void StoreLinks::walk(std::string_view store) {
  if (const auto at = stores_.find(store); at != stores_.end()) at->second.walk = {true, 0, {}};
}

void StoreLinks::go_on(std::string_view store) {
  if (const auto at = stores_.find(store); at != stores_.end()) at->second.walk.wanted = true;
}

// ---- processes ---------------------------------------------------------------------------------------------------

bool StoreLinks::attach(ConnectionId id, const wire::Peer &peer, std::shared_ptr<Link> link) {
  if (!peer.name.starts_with(kStoreHost)) return false;
  const auto old = std::find_if(hosts_.begin(), hosts_.end(), [&](const auto &h) { return h.second.peer == peer; });
  if (old != hosts_.end()) {  // the same process, on a new channel
    old->second.link->close();
    closed(old->first);
  }
  const auto name = peer.name.substr(kStoreHost.size());
  hosts_[id] = {name, peer, std::move(link), 0, false};
  if (const auto store = stores_.find(name); store != stores_.end()) store->second.retry_at = 0;
  return true;
}

bool StoreLinks::closed(ConnectionId id) {
  const auto node = hosts_.extract(id);
  if (node.empty()) return false;
  std::vector<std::uint64_t> lost;
  for (const auto &[number, pending] : pending_)
    if (pending.with == id) lost.push_back(number);
  std::sort(lost.rbegin(), lost.rend());  // so that they are told in the order in which they were
  for (const auto number : lost) {
    const auto taken = take(pending_.find(number));
    if (const auto store = stores_.find(taken.mapped().store); store != stores_.end())
      put_back(taken.mapped(), store->second);
  }
  return true;
}

void StoreLinks::draining(const wire::Peer &peer) {
  for (auto &[id, host] : hosts_) {
    if (host.peer != peer) continue;
    host.going = true;
    return let_go(id);
  }
}

// Its process ends when its channels do.
void StoreLinks::let_go(ConnectionId id) {
  const auto at = hosts_.find(id);
  if (at == hosts_.end() || !at->second.going || at->second.under_way > 0) return;
  at->second.link->close();
  hosts_.erase(at);
}

std::pair<const ConnectionId, StoreLinks::Host> *StoreLinks::host_of(std::string_view store) {
  std::pair<const ConnectionId, Host> *best = nullptr;
  for (auto &host : hosts_) {
    if (host.second.store != store || host.second.going) continue;
    if (!best || host.second.peer.generation >= best->second.peer.generation) best = &host;
  }
  return best;
}

const std::pair<const ConnectionId, StoreLinks::Host> *StoreLinks::host_of(std::string_view store) const {
  return const_cast<StoreLinks *>(this)->host_of(store);
}

// ---- how it stands -----------------------------------------------------------------------------------------------

Nanos StoreLinks::wake_at() const {
  auto at = deadlines_.empty() ? std::numeric_limits<Nanos>::max() : deadlines_.begin()->first;
  for (const auto &[name, store] : stores_) {
    if (!host_of(name)) continue;
    const bool waits = !store.gone.empty() || (store.walk.wanted && store.walk.page == 0);
    if (waits && store.retry_at > clock_.mono()) at = std::min(at, store.retry_at);
    if (!store.changed.empty()) at = std::min(at, std::max(store.changed_at, store.retry_at));
  }
  return at;
}

bool StoreLinks::settled() const {
  const auto now = clock_.mono();
  if (now >= moved_ + kStoreSettles) return true;
  if (!held_.empty()) return false;
  return std::ranges::all_of(stores_, [&](const auto &s) {
    const auto &store = s.second;
    if (!host_of(s.first) || now < store.retry_at) return true;
    return store.gone.empty() && store.then_gone.empty() && store.changed.empty() && store.asked == 0;
  });
}

StoreLinks::Status StoreLinks::status(std::string_view name) const {
  const auto at = stores_.find(name);
  if (at == stores_.end()) return {};
  const auto &store = at->second;
  return {host_of(name) != nullptr, store.said, store.gone.size() + store.then_gone.size() + held_.size(),
          store.changed.size()};
}

void StoreLinks::stats(const std::function<void(std::string, double)> &put) const {
  for (const auto &[name, store] : stores_) {
    const auto labels = fmt::format("{{store=\"{}\"}}", name);
    const auto now = status(name);
    put("mansio_store_connected" + labels, now.connected ? 1 : 0);
    put("mansio_store_outcomes_total" + labels, static_cast<double>(store.outcomes));
    put("mansio_store_outcomes_waiting" + labels, static_cast<double>(now.owed + now.changed));
    put("mansio_store_failures_total" + labels, static_cast<double>(store.failures));
    put("mansio_store_pages_total" + labels, static_cast<double>(store.pages));
  }
}

}  // namespace mansio::queue
