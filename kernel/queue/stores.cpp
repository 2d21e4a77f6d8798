// Stores: what they are told of this spool's mail, what they have that the spool has not, and mail that comes back from
// one. The links to them are store_links.hpp's; the mail itself is the router's (kernel/router/restorer.hpp).
#include <algorithm>
#include <optional>
#include <random>
#include <utility>

#include "kernel/mail/stored_copy.hpp"
#include "kernel/queue/core.hpp"
#include "kernel/queue/json_line.hpp"

namespace mansio::queue {
namespace {

constexpr Nanos kSuspectTime = 60 * kSecond;
constexpr std::size_t kMostSuspects = 100'000;  // the others are found at the next start
constexpr int kJudgedPerTurn = 500;             // of these
constexpr std::size_t kMostSpools = 1000;       // counted by name, in one store
constexpr std::size_t kIdsOfAnEntry = 4000;     // of the journal
constexpr std::size_t kToldAtOnce = 500;        // are worth an entry before the next tick
constexpr std::size_t kRestoredAtOnce = 16;     // messages under way
constexpr std::size_t kRestoreAhead = 2000;     // known and waiting: no further page is asked for
constexpr Nanos kRestoreAgain = 1 * kSecond;

// `f(spool, ids)` for ids of one spool, no more at once than fit an entry.
template <class F>
void by_spool(std::vector<StoreKey> keys, F f) {
  std::sort(keys.begin(), keys.end());
  for (std::size_t from = 0; from < keys.size();) {
    std::vector<MessageId> ids;
    const auto spool = keys[from].spool;
    for (; from < keys.size() && keys[from].spool == spool && ids.size() < kIdsOfAnEntry; ++from)
      ids.push_back(keys[from].id);
    f(spool, ids);
  }
}

std::string value_of(const wire::QueueCommand &c, std::string_view name) {
  for (const auto &[key, value] : c.match)
    if (key == name) return value;
  return {};
}

}  // namespace

// ---- what this spool is called -------------------------------------------------------------------------------------

// By chance, so that no two spools have the same name.
void QueueCore::name_spool() {
  if (!store_links_->any() || stores_.name != 0) return;
  std::random_device random;
  while (stores_.name == 0 || stores_.name == kTheOther)
    stores_.name = static_cast<std::uint64_t>(random()) << 32 | random();
  stores_.name_sequence = journal(entry::spool(stores_.name));
  store_links_->spool(stores_.name);
  log_.info("this spool has a name in stores now", {{"spool", spool_name(stores_.name)}});
}

void QueueCore::say_spool_name(Connection &c) {
  if (stores_.name == 0 || store_.synced_sequence() < stores_.name_sequence || !c.link) return;
  if (c.peer.kind == wire::RoleKind::Ingress || c.peer.kind == wire::RoleKind::Router)
    c.link->send(wire::SpoolName{stores_.name});
}

// Nobody commits anything under it before it is on stable storage.
void QueueCore::say_spool_name() {
  if (stores_.name_said || stores_.name == 0 || store_.synced_sequence() < stores_.name_sequence) return;
  stores_.name_said = true;
  for (auto &[id, c] : connections_) say_spool_name(*c);
}

// What the journal knows of it, all of which is in `replay_`.
void QueueCore::recover_stores() {
  stores_.name = replay_->spool();
  store_links_->spool(stores_.name);  // also while none is configured: a reload may bring one back
  if (!store_links_->any()) return;
  stores_.fresh = stores_.name == 0;
  name_spool();
  for (const auto &key : replay_->owed()) store_links_->gone(key, 0);
  if (const auto &order = replay_->restore(); settings_->store(order.store)) begin_restore(order);
}

// A spool that has never been used with a store, and has no mail, may be there in the place of one that was lost.
void QueueCore::stores_recovered() {
  if (!stores_.fresh || index_.size() > 0) return;
  for (const auto &store : settings_->stores) {
    if (!store.restore_empty_spool) continue;
    begin_restore({store.name, kTheOther, false});
    return;
  }
}

void QueueCore::reload_stores() {
  store_links_->set(*settings_);
  name_spool();
  std::erase_if(stores_.views, [this](const auto &view) { return !settings_->store(view.first); });
  if (!stores_.restore || !stores_.restore->running || settings_->store(stores_.restore->order.store)) return;
  stores_.restore->running = false;
  journal(entry::restore({}));
}

// ---- what they are told --------------------------------------------------------------------------------------------

void QueueCore::store_changed(MessageId id) {
  if (store_links_->any()) store_links_->changed(id, last_sequence_);
}

void QueueCore::owe_stores(const StoreKey &key) {
  if (!store_links_->any() || store_links_->owes(key)) return;
  journal(entry::owed(key.spool, {key.id}));
  store_links_->gone(key, last_sequence_);
}

// A failed recipient is done with once whoever is to hear of it has a notification coming, which is mail of its own and
// in the stores itself.
std::optional<StoreLinks::Outcome> QueueCore::outcome_for_stores(MessageId id) {
  const auto slot = index_.find(id);
  if (slot == kNone) return std::nullopt;
  const auto stored = peek(slot);
  if (!stored) return std::nullopt;
  std::vector<bool> done(stored->envelope.recipients.size(), true);
  const auto open = [&](std::uint32_t recipient) {
    if (recipient < done.size()) done[recipient] = false;
  };
  index_.each_group(slot, [&](GroupSlot g) {
    for (const auto &p : index_.group(g).recipients) open(p.index);
  });
  if (const auto &extra = index_.message(slot).extra) {
    for (const auto &r : extra->failed) open(r.recipient);
    for (const auto &intent : extra->intents)
      if (intent.kind == wire::DsnKind::Failure || intent.kind == wire::DsnKind::PostmasterCopy)
        for (const auto &r : intent.recipients) open(r.recipient);
  }
  const auto n = static_cast<std::uint64_t>(std::count(done.begin(), done.end(), true));
  if (n == 0) return std::nullopt;
  return StoreLinks::Outcome{n, encode_done(done)};
}

void QueueCore::snapshot_stores() {
  if (stores_.name == 0) return;
  store_.snapshot(entry::spool(stores_.name));
  by_spool(store_links_->owed(), [this](std::uint64_t spool, const std::vector<MessageId> &ids) {
    store_.snapshot(entry::owed(spool, ids));
  });
  if (stores_.restore && stores_.restore->running) store_.snapshot(entry::restore(stores_.restore->order));
}

// By then a writer that is at it has heard of every store, and has committed its message to the spool, too, or never
// will; and no store carries out what it was given before.
Nanos QueueCore::certain_at() const {
  Nanos longest = 0;
  for (const auto &store : settings_->stores) longest = std::max(longest, store.time_limit);
  return clock_.mono() + longest + kSuspectTime;
}

void QueueCore::on_abandoned(const wire::Abandoned &abandoned) {
  if (!store_links_->any() || index_.find(abandoned.id) != kNone) return;
  stores_.suspects.push_back({certain_at(), abandoned.id, true});
}

void QueueCore::journal_told() {
  by_spool(store_links_->take_told(),
           [this](std::uint64_t spool, const std::vector<MessageId> &ids) { journal(entry::told(spool, ids)); });
}

void QueueCore::step_stores(bool tick) {
  if (!store_links_->any()) return;
  store_links_->run(store_.synced_sequence());
  if (tick || store_links_->told() >= kToldAtOnce) journal_told();
  look_through_stores();
  judge_suspects();
  step_restore();
}

// ---- what they have ------------------------------------------------------------------------------------------------

// Only once all that the spool has is in the index.
void QueueCore::look_through_stores() {
  if (replay_ || !retire_open_ || !looked_again_ || hello_scans_ > 0 || router_scans_ > 0) return;
  for (const auto &store : settings_->stores) {
    auto &view = stores_.views[store.name];
    if (std::exchange(view.begun, true)) continue;
    store_links_->walk(store.name);
  }
}

// Not in the spool, and not because it is just coming in: those who could still commit it got their segments from us.
bool QueueCore::absent(MessageId id) const {
  return index_.find(id) == kNone && id.epoch() < store_.first_epoch() && !store_links_->owes({stores_.name, id});
}

bool QueueCore::is_aside(MessageId id) const {
  const auto slot = index_.find(id);
  return slot != kNone && index_.message(slot).corrupt;
}

void QueueCore::on_store_page(const StoreLinks::Page &page) {
  const auto at = stores_.views.find(page.store);
  if (at == stores_.views.end()) return;
  auto &view = at->second;
  auto *restore = stores_.restore && stores_.restore->running && stores_.restore->order.store == page.store
                      ? &*stores_.restore
                      : nullptr;
  for (const auto &key : page.keys) {
    if (view.seen.size() < kMostSpools || view.seen.contains(key.spool)) ++view.seen[key.spool];
    if (restore && comes_back(*restore, key))
      restore->waiting.push_back(key);
    else if (key.spool == stores_.name && absent(key.id) && stores_.suspects.size() < kMostSuspects)
      stores_.suspects.push_back({certain_at(), key.id, false});
  }
  view.strangers_seen += page.strangers;
  if (!page.last) {
    view.paused = restore && restore->waiting.size() >= kRestoreAhead;
    if (!view.paused) store_links_->go_on(page.store);
    return;
  }
  view.whole = true;
  view.found = std::exchange(view.seen, {});
  view.strangers = std::exchange(view.strangers_seen, 0);
  if (!restore) return;
  if (restore->order.from == kTheOther)
    choose_spool(*restore, view);
  else
    restore->walked = true;
}

// What was found in a store and nowhere here is what a writer had committed there alone when it died: nobody was told
// that it is accepted. Unless the spool has lost something, and then that may be all there is left of it.
void QueueCore::judge_suspects() {
  if (replay_) return;          // what is yet to be found would look absent
  std::optional<bool> damaged;  // which looks at the disk
  auto &suspects = stores_.suspects;
  for (int n = 0; n < kJudgedPerTurn && !suspects.empty() && suspects.front().due <= clock_.mono();
       ++n, suspects.pop_front()) {
    const auto &suspect = suspects.front();
    const StoreKey key{stores_.name, suspect.id};
    if (suspect.certain ? index_.find(suspect.id) != kNone || store_links_->owes(key) : !absent(suspect.id)) continue;
    if (!suspect.certain && !damaged) damaged = store_.damaged();
    if (suspect.certain || !*damaged) {
      owe_stores(key);
      continue;
    }
    if (stores_.missing++ == 0)
      log_.error(
          "a store has mail that is not in the spool, which is damaged: it stays there; `mansio spool restore` brings "
          "it back",
          {{"from", spool_name(stores_.name)}});
  }
}

// ---- mail that comes back ------------------------------------------------------------------------------------------

bool QueueCore::comes_back(const Restore &restore, const StoreKey &key) const {
  const auto from = restore.order.from;
  if (from == kTheOther || (from == 0 ? key.spool == stores_.name : key.spool != from)) return false;
  if (key.spool == stores_.name && !absent(key.id) && !is_aside(key.id)) return false;
  return !store_links_->owes(key) && !restore.over.contains(key);
}

void QueueCore::begin_restore(const RestoreOrder &order) {
  stores_.restore.emplace().order = order;
  journal(entry::restore(order));
  auto &view = stores_.views[order.store];
  view.seen.clear();
  view.strangers_seen = 0;
  view.paused = false;
  if (view.begun) store_links_->walk(order.store);  // else it is about to be
  log_.info("restoring mail from a store", {{"store", order.store},
                                            {"from", order.from == kTheOther ? "the other spool"
                                                     : order.from == 0       ? "all"
                                                                             : spool_name(order.from)}});
}

// At a start with a new spool. Which of several was lost, an operator must say.
void QueueCore::choose_spool(Restore &restore, const StoreView &view) {
  std::vector<std::uint64_t> others;
  for (const auto &[spool, messages] : view.found)
    if (spool != stores_.name) others.push_back(spool);
  if (others.size() == 1) return begin_restore({restore.order.store, others.front(), restore.order.hold});
  if (others.size() > 1)
    log_.error("the store has mail of several spools: `mansio spool restore` brings back that of one",
               {{"store", restore.order.store}, {"spools", others.size()}});
  restore.walked = true;
}

void QueueCore::step_restore() {
  if (!stores_.restore || !stores_.restore->running || draining_) return;
  auto &r = *stores_.restore;
  // Not into what is reserved for the mail that is here. And one router knows what it is at itself, whoever asked for
  // it (kernel/router/restores.hpp); of one on its way out its successor does not know.
  const auto routers = std::ranges::count_if(
      connections_, [](const auto &of) { return of.second->peer.kind == wire::RoleKind::Router; });
  auto *c = clock_.mono() >= r.retry_at && !store_.disk_full() && routers == 1 ? router() : nullptr;
  while (c && !r.waiting.empty() && r.under_way.size() < kRestoredAtOnce) {
    const auto key = r.waiting.front();
    if (store_links_->owes(key) || r.over.contains(key)) {
      r.waiting.pop_front();
      continue;
    }
    if (!c->link->send(wire::RestoreRequest{r.order.store, key, r.order.hold})) {
      c->behind = true;
      break;
    }
    r.under_way.emplace(key, c->id);
    r.waiting.pop_front();
  }
  auto &view = stores_.views[r.order.store];
  if (view.paused && r.waiting.size() < kRestoreAhead / 2) {
    view.paused = false;
    store_links_->go_on(r.order.store);
  }
  if (!r.walked || !r.waiting.empty() || !r.under_way.empty()) return;
  r.running = false;
  journal(entry::restore({}));
  log_.info(
      "mail restored from a store",
      {{"store", r.order.store}, {"messages", r.restored}, {"done_already", r.done_already}, {"damaged", r.damaged}});
}

// The message that it became is on the disk by now, and its copy in the stores: whoever admits it has the old one go.
// Of one whose recipients are all done there is none, and the old one goes at once.
void QueueCore::on_restored(const wire::Restored &said) {
  if (!stores_.restore || stores_.restore->under_way.erase(said.key) == 0) return;
  auto &r = *stores_.restore;
  switch (said.status) {
    case wire::RestoreStatus::Done:
      ++(said.id ? r.restored : r.done_already);
      if (r.over.insert(said.key).second && !said.id) owe_stores(said.key);
      break;
    case wire::RestoreStatus::Gone:
      break;
    case wire::RestoreStatus::Damaged:
      ++r.damaged;
      r.over.insert(said.key);
      r.problem = said.reason;
      break;
    case wire::RestoreStatus::Later:
    default:
      r.waiting.push_back(said.key);
      r.retry_at = clock_.mono() + kRestoreAgain;
      r.problem = said.reason;
  }
}

// What it had committed is found by the time another is asked.
void QueueCore::restore_router_lost(ConnectionId id) {
  if (!stores_.restore) return;
  auto &r = *stores_.restore;
  for (auto at = r.under_way.begin(); at != r.under_way.end();) {
    if (at->second != id) {
      ++at;
      continue;
    }
    r.waiting.push_back(at->first);
    at = r.under_way.erase(at);
  }
}

// "": it has begun.
std::string QueueCore::order_restore(const wire::QueueCommand &c) {
  RestoreOrder order;
  order.store = value_of(c, "store");
  for (const auto &[key, value] : c.match)
    if (key != "store" && key != "from" && key != "hold") return "restore does not understand " + key + "=" + value;
  if (!settings_->store(order.store)) return "there is no [store." + order.store + "]";
  if (stores_.restore && stores_.restore->running)
    return "mail is being restored from " + stores_.restore->order.store + " already";
  const auto from = value_of(c, "from");
  if (from != "all") {
    const auto name = parse_spool_name(from);
    if (!name || *name == kTheOther) return "not a spool's name: " + from;
    order.from = *name;
  }
  order.hold = value_of(c, "hold") == "yes";
  begin_restore(order);
  return "";
}

std::string QueueCore::store_lines() const {
  std::string out;
  for (const auto &store : settings_->stores) {
    const auto status = store_links_->status(store.name);
    const auto at = stores_.views.find(store.name);
    const StoreView none;
    const auto &view = at == stores_.views.end() ? none : at->second;
    Json j;
    j.open('{').key("store").text(store.name).key("connected").boolean(status.connected);
    j.key("failing").boolean(status.failing).key("outcomes_waiting").number(status.owed + status.changed);
    j.key("looked_through").boolean(view.whole).key("strangers").number(view.strangers);
    j.key("spool").text(stores_.name == 0 ? "" : spool_name(stores_.name)).key("missing").number(stores_.missing);
    j.key("spools").open('{');
    for (const auto &[spool, messages] : view.found) j.key(spool_name(spool)).number(messages);
    j.close('}');
    if (stores_.restore && stores_.restore->order.store == store.name) {
      const auto &r = *stores_.restore;
      j.key("restore").open('{').key("running").boolean(r.running).key("restored").number(r.restored);
      j.key("done_already").number(r.done_already).key("damaged").number(r.damaged);
      j.key("waiting").number(r.waiting.size() + r.under_way.size()).key("problem").text(r.problem).close('}');
    }
    j.close('}');
    out += std::move(j).line();
  }
  return out;
}

}  // namespace mansio::queue
