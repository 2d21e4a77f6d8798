#include "kernel/queue/journal.hpp"

#include <algorithm>

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
};

template <class... T>
std::string make(Kind kind, MessageId id, const T &...values) {
  std::string out;
  Encoder e{out};
  e(kind, id);
  e(values...);
  return out;
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
std::string deferred(MessageId id, const Deferral &deferral) { return make(Kind::Deferred, id, deferral); }
std::string state(MessageId id, const MessageState &state) { return make(Kind::State, id, state); }
std::string routes(MessageId id, const std::vector<std::pair<std::uint32_t, Route>> &routes) {
  return make(Kind::Routes, id, routes);
}
std::string intent(MessageId id, const Intent &intent) { return make(Kind::Intent, id, intent); }
std::string unannounced(MessageId id, const Recipients &recipients) { return make(Kind::Unannounced, id, recipients); }
std::string written(MessageId id, std::uint32_t event) { return make(Kind::Written, id, event); }
std::string woken(MessageId id) { return make(Kind::Woken, id); }
std::string record(MessageId id, const Record &record) { return make(Kind::Record, id, record); }
std::string start(std::uint32_t number) { return make(Kind::Start, MessageId{}, number); }

}  // namespace entry

void Replay::apply(std::string_view bytes) {
  Decoder d{bytes};
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
    case Kind::Gone:
      if (parse()) {
        records_.erase(id);
        gone_.insert(id);
      }
      return;
    case Kind::Done: {
      Recipients sent;
      std::vector<Reported> failed, succeeded;
      if (!parse(sent, failed, succeeded)) return;
      auto &record = records_[id];
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
    case Kind::Deferred: {
      Deferral deferral;
      if (!parse(deferral)) return;
      auto &record = records_[id];
      if (!record.deferrals.empty())
        for (const auto &[recipient, reason] : deferral.recipients) forget_deferral(record, recipient);
      record.deferrals.push_back(std::move(deferral));
      record.woken = false;
      return;
    }
    case Kind::State: {
      MessageState state;
      if (!parse(state)) return;
      auto &record = records_[id];
      if (state.arrival != record.state.arrival) record.deferrals.clear();  // requeued: as new
      record.state = std::move(state);
      return;
    }
    case Kind::Routes: {
      std::vector<std::pair<std::uint32_t, Route>> routes;
      if (!parse(routes)) return;
      auto &all = records_[id].routes;
      for (auto &[recipient, route] : routes) {
        const auto old = std::find_if(all.begin(), all.end(), [&](const auto &r) { return r.first == recipient; });
        if (old != all.end())
          old->second = std::move(route);
        else
          all.emplace_back(recipient, std::move(route));
      }
      return;
    }
    case Kind::Intent: {
      Intent intent;
      if (!parse(intent)) return;
      auto &record = records_[id];
      record.next_event = std::max(record.next_event, intent.event + 1);
      if (intent.kind == wire::DsnKind::Failure || intent.kind == wire::DsnKind::Success || intent.postmaster)
        for (const auto &r : intent.recipients) announce(record, r.recipient);
      record.intents.push_back(std::move(intent));
      return;
    }
    case Kind::Unannounced: {
      Recipients recipients;
      if (!parse(recipients)) return;
      for (const auto r : recipients) announce(records_[id], r);
      return;
    }
    case Kind::Written: {
      std::uint32_t event = 0;
      if (!parse(event)) return;
      if (const auto at = records_.find(id); at != records_.end())
        std::erase_if(at->second.intents, [&](const Intent &i) { return i.event == event; });
      return;
    }
    case Kind::Woken:
      if (parse()) records_[id].woken = true;
      return;
    case Kind::Record: {
      Record record;
      if (!parse(record)) return;
      records_[id] = std::move(record);
      return;
    }
    case Kind::Start: {
      std::uint32_t number = 0;
      if (parse(number)) starts_ = std::max(starts_, number);
      return;
    }
  }
  ++skipped_;
}

}  // namespace mansio::queue
