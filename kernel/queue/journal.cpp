#include "kernel/queue/journal.hpp"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <utility>

namespace mansio::queue {
namespace {

enum class Kind : std::uint8_t {  // in stored bytes: never renumber
  Gone = 1,
  Done = 2,
  Deferred = 3,
  State = 4,
  Routes = 5,
  Intent = 6,
  Unannounced = 7,
  Written = 8,
  Record = 9,
  Start = 10,
  Woken = 11,
  Waiting = 12,
  Reason = 13,
  LeasedUntil = 14,
  Moved = 15,
  Scheduling = 16,
  ClockStep = 17,
  Pool = 18,
  Pools = 19,
  PutOff = 20,
  Released = 21,
  Learned = 22,
  Unrouted = 23,
  Spool = 24,
  Owed = 25,
  Told = 26,
  Restore = 27,
};

template <class... T>
std::string make(Kind kind, MessageId id, const T &...values) {
  std::string out;
  Encoder e{out};
  e(kind, id);
  e(values...);
  return out;
}

// The entry there is most of, so it is made small.
std::string make_small(Kind kind, MessageId id, const Deferral &d) {
  std::string out;
  Encoder e{out};
  e(kind, id, d.due);
  e.varint(d.attempts);
  for (const auto &[recipient, reason] : d.recipients) {
    e.varint(recipient);
    e.varint(reason);
  }
  return out;
}

bool parse_small(Decoder &d, Deferral &to) {
  d(to.due);
  const auto attempts = d.varint();
  while (d.ok() && !d.rest().empty()) {
    const auto recipient = d.varint();
    const auto reason = d.varint();
    if (recipient > UINT32_MAX) return false;
    to.recipients.emplace_back(static_cast<std::uint32_t>(recipient), reason);
  }
  to.attempts = static_cast<std::uint16_t>(std::min<std::uint64_t>(attempts, UINT16_MAX));
  return d.finished();
}

void forget_deferral(Record &record, std::uint32_t recipient) {
  for (auto &d : record.deferrals) std::erase_if(d.recipients, [&](const auto &r) { return r.first == recipient; });
  std::erase_if(record.deferrals, [](const Deferral &d) { return d.recipients.empty(); });
}

void finish(Record &record, std::uint32_t recipient) {
  record.done.push_back(recipient);
  if (!record.deferrals.empty()) forget_deferral(record, recipient);
}

void announce(Record &record, std::uint32_t recipient) {
  const auto same = [&](const Reported &r) { return r.recipient == recipient; };
  std::erase_if(record.failed, same);
  std::erase_if(record.succeeded, same);
}

}  // namespace

namespace entry {

std::string gone(MessageId id) { return make(Kind::Gone, id); }
std::string done(MessageId id, const Recipients &sent, const std::vector<Reported> &failed,
                 const std::vector<Reported> &succeeded) {
  return make(Kind::Done, id, sent, failed, succeeded);
}
std::string deferred(MessageId id, const Deferral &deferral) { return make_small(Kind::Deferred, id, deferral); }
std::string state(MessageId id, const MessageState &state) { return make(Kind::State, id, state); }
std::string routes(MessageId id, const std::vector<std::pair<std::uint32_t, Route>> &routes) {
  return make(Kind::Routes, id, routes);
}
std::string pool(MessageId id, std::string_view pool) { return make(Kind::Pool, id, pool); }
std::string pools(MessageId id, const std::vector<std::pair<std::uint32_t, std::string>> &pools) {
  return make(Kind::Pools, id, pools);
}
std::string released(MessageId id, bool released) { return make(Kind::Released, id, released); }
std::string put_off(MessageId id) { return make(Kind::PutOff, id); }
std::string unrouted(MessageId id, const Recipients &recipients) { return make(Kind::Unrouted, id, recipients); }
std::string intent(MessageId id, const Intent &intent) { return make(Kind::Intent, id, intent); }
std::string unannounced(MessageId id, const Recipients &recipients) { return make(Kind::Unannounced, id, recipients); }
std::string written(MessageId id, std::uint32_t event) { return make(Kind::Written, id, event); }
std::string woken(MessageId id) { return make(Kind::Woken, id); }
std::string record(MessageId id, const Record &record) { return make(Kind::Record, id, record); }
std::string waiting(MessageId id, const Deferral &deferral) { return make_small(Kind::Waiting, id, deferral); }
std::string reason(std::uint64_t number, const Reason &reason) {
  return make(Kind::Reason, MessageId{}, number, reason);
}
std::string leased_until(Nanos latest) { return make(Kind::LeasedUntil, MessageId{}, latest); }
std::string moved(MessageId id, const spool::Place &to) {
  return make(Kind::Moved, id, to.segment, to.epoch, to.offset);
}
std::string scheduling(std::string_view state) { return make(Kind::Scheduling, MessageId{}, state); }
std::string learned(std::string_view parts) { return make(Kind::Learned, MessageId{}, parts); }
std::string clock_step(const ClockSteps::Step &step) { return make(Kind::ClockStep, MessageId{}, step.at, step.size); }
std::string start(std::uint32_t number) { return make(Kind::Start, MessageId{}, number); }
std::string spool(std::uint64_t name) { return make(Kind::Spool, MessageId{}, name); }
std::string owed(std::uint64_t spool, const std::vector<MessageId> &ids) {
  return make(Kind::Owed, MessageId{}, spool, ids);
}
std::string told(std::uint64_t spool, const std::vector<MessageId> &ids) {
  return make(Kind::Told, MessageId{}, spool, ids);
}
std::string restore(const RestoreOrder &order) { return make(Kind::Restore, MessageId{}, order); }

}  // namespace entry

void Replay::apply(std::string_view bytes) {
  Decoder d{bytes};
  Kind kind{};
  MessageId id;
  d(kind, id);
  if (!d.ok() || kind < Kind::Gone || kind > Kind::Restore) {
    ++skipped_;
    return;
  }
  const auto finished = [&] {
    if (!d.finished()) ++skipped_;
    return d.finished();
  };
  switch (kind) {
    case Kind::Start: {
      std::uint32_t number = 0;
      d(number);
      if (finished()) starts_ = std::max(starts_, number);
      return;
    }
    case Kind::Reason: {
      std::uint64_t number = 0;
      Reason reason;
      d(number, reason);
      if (!finished()) return;
      last_reason_ = std::max(last_reason_, number);
      reasons_[number].reason = std::move(reason);
      return;
    }
    case Kind::Scheduling: {
      std::string state;
      d(state);
      if (finished()) scheduling_ = std::move(state);
      return;
    }
    case Kind::Learned: {
      std::string parts;
      d(parts);
      if (finished()) learned_ = std::move(parts);
      return;
    }
    case Kind::ClockStep: {
      ClockSteps::Step step;
      d(step.at, step.size);
      if (finished()) clock_steps_.push_back(step);
      return;
    }
    case Kind::LeasedUntil: {
      Nanos latest = 0;
      d(latest);
      if (finished()) leased_until_ = std::max(leased_until_, latest);
      return;
    }
    case Kind::Spool: {
      std::uint64_t name = 0;
      d(name);
      if (finished()) spool_ = name;
      return;
    }
    case Kind::Owed:
    case Kind::Told: {
      std::uint64_t spool = 0;
      std::vector<MessageId> ids;
      d(spool, ids);
      if (!finished()) return;
      for (const auto one : ids) {
        if (kind == Kind::Owed) {
          owed_.insert({spool, one});
          continue;
        }
        owed_.erase({spool, one});
        if (spool != spool_) continue;
        const auto slot = by_id_.find(one);
        if (slot != IdTable<Replay>::kNobody && heads_[slot].gone()) heads_[slot].first.offset = kTold;
      }
      return;
    }
    case Kind::Restore: {
      RestoreOrder order;
      d(order);
      if (finished()) restore_ = std::move(order);
      return;
    }
    case Kind::Moved: {
      spool::Place to;
      d(to.segment, to.epoch, to.offset);
      if (finished()) moved_[id] = to;
      return;
    }
    case Kind::Gone: {
      if (!finished()) return;
      auto &h = head(id);
      if (!h.gone()) --messages_;
      h.first = {UINT32_MAX, kGone};
      moved_.erase(id);
      return;
    }
    case Kind::Record:
    case Kind::Waiting: {  // all there is to know: what was said before does not count
      auto &h = head(id);
      if (h.gone()) ++messages_;
      h = {id, {}, {}};
      return keep(h, bytes);
    }
    default:
      if (auto &h = head(id); !h.gone()) keep(h, bytes);
  }
}

std::vector<StoreKey> Replay::owed() const {
  std::vector<StoreKey> all{owed_.begin(), owed_.end()};
  for (std::size_t i = 0; spool_ != 0 && i < heads_.size(); ++i) {
    const auto &h = heads_[i];
    if (h.gone() && h.first.offset == kGone) all.push_back({spool_, h.id});
  }
  return all;
}

Replay::Head &Replay::head(MessageId id) {
  if (const auto slot = by_id_.find(id); slot != IdTable<Replay>::kNobody) return heads_[slot];
  auto &h = heads_.grow();
  h.id = id;
  ++messages_;
  by_id_.add(id, static_cast<std::uint32_t>(heads_.size() - 1));
  return h;
}

void Replay::keep(Head &head, std::string_view entry) {
  const auto size = sizeof(Link) + entry.size();
  if (chunks_.empty() || chunks_.back().capacity() - chunks_.back().size() < size)
    chunks_.emplace_back().reserve(std::max(size, kChunk));
  auto &chunk = chunks_.back();
  const At at{static_cast<std::uint32_t>(chunks_.size() - 1), static_cast<std::uint32_t>(chunk.size())};
  const Link link{{}, static_cast<std::uint32_t>(entry.size())};
  chunk.append(reinterpret_cast<const char *>(&link), sizeof(Link)).append(entry);
  if (head.first.none())
    head.first = at;
  else
    std::memcpy(chunks_[head.last.chunk].data() + head.last.offset + offsetof(Link, next), &at, sizeof(At));
  head.last = at;
}

std::optional<spool::Place> Replay::moved(MessageId id) const {
  const auto at = moved_.find(id);
  return at == moved_.end() ? std::nullopt : std::optional{at->second};
}

Replay::Said Replay::find(MessageId id) {
  Said said;
  const auto slot = by_id_.find(id);
  if (slot == IdTable<Replay>::kNobody) return said;
  const auto &head = heads_[slot];
  said.gone = head.gone();
  if (head.first.none()) return said;
  said.record.emplace();
  for (auto at = head.first; !at.none();) {
    const std::string_view chunk = chunks_[at.chunk];
    Link link;
    std::memcpy(&link, chunk.data() + at.offset, sizeof(Link));
    apply(*said.record, chunk.substr(at.offset + sizeof(Link), link.size));
    at = link.next;
  }
  return said;
}

ReasonId Replay::reason(std::uint64_t number, Reasons &reasons) {
  const auto at = reasons_.find(number);
  auto &known = at == reasons_.end() ? unknown_ : at->second;
  if (known.id == 0) known.id = reasons.take(std::exchange(known.reason, {}));
  return reasons.share(known.id);
}

void Replay::forget_reasons(Reasons &reasons) {
  for (auto &[number, known] : reasons_) reasons.drop(std::exchange(known.id, 0));
  reasons.drop(std::exchange(unknown_.id, 0));
}

void Replay::apply(Record &record, std::string_view entry) {
  Decoder d{entry};
  Kind kind{};
  MessageId id;
  d(kind, id);
  const auto parse = [&](auto &...values) {
    d(values...);
    if (d.finished()) return true;
    ++skipped_;
    return false;
  };
  switch (kind) {
    case Kind::Done: {
      Recipients sent;
      std::vector<Reported> failed, succeeded;
      if (!parse(sent, failed, succeeded)) return;
      for (const auto r : sent) finish(record, r);
      for (auto &r : failed) {
        finish(record, r.recipient);
        record.failed.push_back(std::move(r));
      }
      for (auto &r : succeeded) {
        finish(record, r.recipient);
        record.succeeded.push_back(std::move(r));
      }
      return;
    }
    case Kind::Deferred:
    case Kind::Waiting: {
      Deferral deferral;
      if (!parse_small(d, deferral)) {
        ++skipped_;
        return;
      }
      if (kind == Kind::Waiting) {  // the first that is kept of its message: the record is a new one
        record.complete = record.has_state = true;
        for (const auto &[recipient, reason] : deferral.recipients) record.pending.push_back(recipient);
      }
      if (!record.deferrals.empty())
        for (const auto &[recipient, reason] : deferral.recipients) forget_deferral(record, recipient);
      record.deferrals.push_back(std::move(deferral));
      return;
    }
    case Kind::State: {
      MessageState state;
      if (!parse(state)) return;
      if (state.arrival != record.state.arrival) record.deferrals.clear();  // requeued: as new
      record.state = std::move(state);
      record.has_state = true;
      return;
    }
    case Kind::Routes: {
      std::vector<std::pair<std::uint32_t, Route>> routes;
      if (!parse(routes)) return;
      auto &all = record.routes;
      for (auto &[recipient, route] : routes) {
        const auto old = std::find_if(all.begin(), all.end(), [&](const auto &r) { return r.first == recipient; });
        if (old != all.end())
          old->second = std::move(route);
        else
          all.emplace_back(recipient, std::move(route));
      }
      return;
    }
    case Kind::Pool: {
      std::string pool;
      if (parse(pool)) record.pool = std::move(pool);
      return;
    }
    case Kind::Pools: {
      std::vector<std::pair<std::uint32_t, std::string>> pools;
      if (!parse(pools)) return;
      for (auto &[recipient, pool] : pools) {
        std::erase_if(record.pools, [&](const auto &known) { return known.first == recipient; });
        if (!pool.empty()) record.pools.emplace_back(recipient, std::move(pool));
      }
      return;
    }
    case Kind::Released: {
      bool released = false;
      if (parse(released)) record.released = released;
      return;
    }
    case Kind::PutOff:
      if (!parse()) return;
      for (auto &deferral : record.deferrals) deferral.put_off = true;
      return;
    case Kind::Unrouted: {
      Recipients recipients;
      if (!parse(recipients)) return;
      std::sort(recipients.begin(), recipients.end());
      for (auto &deferral : record.deferrals)
        deferral.unrouted |= std::any_of(deferral.recipients.begin(), deferral.recipients.end(), [&](const auto &r) {
          return std::binary_search(recipients.begin(), recipients.end(), r.first);
        });
      return;
    }
    case Kind::Intent: {
      Intent intent;
      if (!parse(intent)) return;
      record.next_event = std::max(record.next_event, intent.event + 1);
      if (intent.kind == wire::DsnKind::Failure || intent.kind == wire::DsnKind::Success || intent.postmaster)
        for (const auto &r : intent.recipients) announce(record, r.recipient);
      record.intents.push_back(std::move(intent));
      return;
    }
    case Kind::Unannounced: {
      Recipients recipients;
      if (!parse(recipients)) return;
      for (const auto r : recipients) announce(record, r);
      return;
    }
    case Kind::Written: {
      std::uint32_t event = 0;
      if (!parse(event)) return;
      std::erase_if(record.intents, [&](const Intent &i) { return i.event == event; });
      return;
    }
    case Kind::Woken:
      if (!parse()) return;
      for (auto &deferral : record.deferrals) deferral.woken = true;
      return;
    case Kind::Record:
      if (Record whole; parse(whole)) {
        record = std::move(whole);
        record.has_state = true;
      }
      return;
    default:
      return;
  }
}

}  // namespace mansio::queue
