#include "kernel/queue/events.hpp"

#include <algorithm>
#include <utility>

namespace mansio::queue {
namespace {

constexpr std::size_t kBatchBytes = 32 * 1024;        // fits a frame with room to spare
constexpr std::size_t kLargest = 48 * 1024;           // of one event
constexpr std::size_t kHeldBytes = 16 * 1024 * 1024;  // more only while the journal is stuck, and then no mail moves
constexpr std::size_t kOverhead = 64;                 // what an event takes in memory besides its bytes
constexpr Nanos kAnswerLimit = 60 * kSecond;
constexpr std::string_view kHost = "host.event.";

std::size_t weight(const std::string &bytes) { return bytes.size() + kOverhead; }

}  // namespace

Events::Events(const Clock &clock, Logger &log, const config::Settings &settings) : clock_(clock), log_(log) {
  configure(settings);
}

void Events::configure(const config::Settings &settings) {
  for (auto sink = sinks_.begin(); sink != sinks_.end();) {
    // A process of the old generation may still be there, and answers for what it has.
    const bool gone = settings.event(sink->name) == nullptr;
    if (gone) sink->wanted = 0, sink->waiting.clear(), sink->bytes = 0;
    if (gone && sink->lines.empty())
      sink = sinks_.erase(sink);
    else
      ++sink;
  }
  for (const auto &event : settings.events) {
    auto known = std::find_if(sinks_.begin(), sinks_.end(), [&](const Sink &s) { return s.name == event.name; });
    if (known == sinks_.end()) {
      known = sinks_.emplace(sinks_.end());
      known->name = event.name;
    } else if (known->wanted == 0) {  // it is back
      known->wanted = wire::kEventsOfMessages;
    }
    known->buffer_size = static_cast<std::size_t>(event.buffer_size);
    known->in_flight_limit = event.budget.in_flight_limit;
  }
  recount();
}

void Events::recount() {
  const bool log_before = wants(wire::EventKind::Log);
  wanted_ = 0;
  for (const auto &sink : sinks_) wanted_ |= sink.wanted;
  const bool log = wants(wire::EventKind::Log);
  if (log != log_before && log_wanted_changed_) log_wanted_changed_(log);
}

void Events::on_log_wanted(std::function<void(bool)> changed) {
  log_wanted_changed_ = std::move(changed);
  log_wanted_changed_(wants(wire::EventKind::Log));
}

Events::Sink *Events::sink_of(const wire::Peer &peer) {
  if (!std::string_view{peer.name}.starts_with(kHost)) return nullptr;
  const auto name = std::string_view{peer.name}.substr(kHost.size());
  for (auto &sink : sinks_)
    if (sink.name == name) return &sink;
  return nullptr;
}

Events::Line *Events::find(std::uint32_t connection, Sink *&sink) {
  for (auto &s : sinks_)
    for (auto &line : s.lines)
      if (line.connection == connection) {
        sink = &s;
        return &line;
      }
  return nullptr;
}

// ---- in ----------------------------------------------------------------------------------------------------------

void Events::add(wire::Event &&event) {
  event.time = clock_.wall();
  auto bytes = encode(event);
  if (bytes.size() > kLargest || held_bytes_ + weight(bytes) > kHeldBytes) {
    for (auto &sink : sinks_)
      if (sink.wanted & wire::bit_of(event.kind)) drop(sink);
    return;
  }
  held_bytes_ += weight(bytes);
  added_.push_back({event.kind, std::make_shared<const std::string>(std::move(bytes))});
}

// They are written, and wait for no journal.
void Events::tell_log(const wire::LogLines &told) {
  if (!wants(wire::EventKind::Log)) return;
  const auto each_sink = [this](auto &&what) {
    for (auto &sink : sinks_)
      if (sink.wanted & wire::bit_of(wire::EventKind::Log)) what(sink);
  };
  each_sink([&](Sink &sink) { sink.lines_dropped += told.dropped; });
  const auto now = clock_.wall();
  for (const auto &line : told.lines) {
    auto bytes = encode(wire::Event{wire::EventKind::Log, now, {}, {}, {{"line", line}}});
    if (bytes.size() > kLargest) {
      each_sink([this](Sink &sink) { drop_line(sink); });
      continue;
    }
    const Item item{wire::EventKind::Log, std::make_shared<const std::string>(std::move(bytes))};
    each_sink([&](Sink &sink) { give(sink, item); });
  }
  each_sink([this](Sink &sink) { send(sink); });
}

void Events::written(std::uint64_t sequence, std::uint64_t synced_to) {
  if (added_.empty()) return;
  for (auto &item : added_) held_.push_back({sequence, std::move(item)});
  added_.clear();
  synced(synced_to);
}

void Events::synced(std::uint64_t sequence) {
  if (held_.empty() || held_.front().sequence > sequence) return;
  for (; !held_.empty() && held_.front().sequence <= sequence; held_.pop_front()) {
    const auto &item = held_.front().item;
    held_bytes_ -= weight(*item.bytes);
    for (auto &sink : sinks_) give(sink, item);
  }
  for (auto &sink : sinks_) send(sink);
}

void Events::give(Sink &sink, const Item &item) {
  if ((sink.wanted & wire::bit_of(item.kind)) == 0) return;
  const bool line = item.kind == wire::EventKind::Log;
  const auto room = line ? sink.buffer_size / 2 : sink.buffer_size;
  if (sink.bytes + weight(*item.bytes) > room) send(sink);
  if (sink.bytes + weight(*item.bytes) > room) return line ? drop_line(sink) : drop(sink);
  sink.bytes += weight(*item.bytes);
  sink.waiting.push_back(item);
}

void Events::drop(Sink &sink) {
  if (!std::exchange(sink.dropping, true)) {
    sink.dropped_before = sink.dropped;
    log_.warn("events are dropped: the plugin does not take them as fast as they come; mail is not held up",
              {{"event_sink", sink.name}, {"buffer_size", sink.buffer_size}});
  }
  ++sink.dropped;
}

// What it says is a line as well; so it says it again only when half of what lines may take is free.
void Events::drop_line(Sink &sink) {
  if (!std::exchange(sink.dropping_lines, true)) {
    sink.lines_dropped_before = sink.lines_dropped;
    log_.warn("lines of the log are not told: the plugin does not take them as fast as they come; mail is not held up",
              {{"event_sink", sink.name}, {"buffer_size", sink.buffer_size}});
  }
  ++sink.lines_dropped;
}

// ---- out ---------------------------------------------------------------------------------------------------------

void Events::send(Sink &sink, bool all) {
  Line *to = nullptr;
  for (auto &line : sink.lines)
    if (line.greeted && !line.going && (!to || line.peer.generation >= to->peer.generation)) to = &line;
  while (to && !to->behind && !sink.waiting.empty() && (all || to->unanswered < sink.in_flight_limit)) {
    wire::Events batch;
    std::size_t bytes = 0, weights = 0;
    for (const auto &item : sink.waiting) {
      const auto room = all ? sink.waiting.size() : sink.in_flight_limit - to->unanswered;
      if (batch.events.size() >= room) break;
      if (!batch.events.empty() && bytes + item.bytes->size() > kBatchBytes) break;
      bytes += item.bytes->size();
      weights += weight(*item.bytes);
      batch.events.push_back(*item.bytes);
    }
    to->behind = !to->link->send(batch);
    if (to->behind) break;
    const auto n = batch.events.size();
    sink.waiting.erase(sink.waiting.begin(), sink.waiting.begin() + static_cast<std::ptrdiff_t>(n));
    sink.bytes -= weights;
    if (to->unanswered == 0) to->heard = clock_.mono();
    to->unanswered += n;
  }
  if (sink.dropping && sink.bytes <= sink.buffer_size / 2) {
    sink.dropping = false;
    log_.info("events are told again", {{"event_sink", sink.name}, {"dropped", sink.dropped - sink.dropped_before}});
  }
  if (sink.dropping_lines && sink.bytes <= sink.buffer_size / 4) {
    sink.dropping_lines = false;
    log_.info("lines of the log are told again",
              {{"event_sink", sink.name}, {"dropped", sink.lines_dropped - sink.lines_dropped_before}});
  }
}

void Events::attach(std::uint32_t connection, const wire::Peer &peer, std::shared_ptr<Link> link) {
  auto *sink = sink_of(peer);
  if (!sink) return link->close();
  std::erase_if(sink->lines, [&](Line &old) {  // the same process, on a new channel
    if (old.peer != peer) return false;
    sink->lost += old.unanswered;
    old.link->close();
    return true;
  });
  for (auto &line : sink->lines)
    if (line.peer.generation < peer.generation) line.going = true;
  auto &line = sink->lines.emplace_back();
  line.connection = connection;
  line.peer = peer;
  line.link = std::move(link);
  line.heard = clock_.mono();
  let_go(*sink);
}

bool Events::receive(std::uint32_t connection, const io::Message &message) {
  Sink *sink = nullptr;
  auto *line = find(connection, sink);
  if (!line) return false;
  line->heard = clock_.mono();
  line->behind = false;
  if (message.type == wire::EventsWanted::kType) {
    const auto wanted = decode<wire::EventsWanted>(message.payload);
    if (!wanted) return true;
    line->greeted = true;
    if (!line->going) {
      sink->wanted = wanted->kinds & wire::kAllEvents;
      std::erase_if(sink->waiting, [&](const Item &item) {
        if (sink->wanted & wire::bit_of(item.kind)) return false;
        sink->bytes -= weight(*item.bytes);
        return true;
      });
      recount();
    }
  } else if (message.type == wire::EventsTaken::kType) {
    const auto taken = decode<wire::EventsTaken>(message.payload);
    if (!taken) return true;
    const auto n = std::min<std::uint64_t>(taken->count, line->unanswered);
    line->unanswered -= n;
    sink->told += n;
  } else {
    log_.warn("unknown message", {{"peer", line->peer.name}, {"type", message.type}});
  }
  send(*sink);
  let_go(*sink);
  return true;
}

bool Events::closed(std::uint32_t connection) {
  Sink *sink = nullptr;
  const auto *line = find(connection, sink);
  if (!line) return false;
  if (line->unanswered > 0)
    log_.warn("events were lost: the process that had taken them ended before the plugin had heard them",
              {{"event_sink", sink->name}, {"events", line->unanswered}});
  sink->lost += line->unanswered;
  sink->lines.remove_if([&](const Line &l) { return l.connection == connection; });
  return true;
}

void Events::draining(const wire::Peer &peer) {
  auto *sink = sink_of(peer);
  if (!sink) return;
  for (auto &line : sink->lines)
    if (line.peer == peer) line.going = true;
  let_go(*sink);
}

// Its process ends when its channel does, with all that it was sent.
void Events::let_go(Sink &sink) {
  sink.lines.remove_if([](Line &line) {
    if (!line.going || line.unanswered > 0) return false;
    line.link->close();
    return true;
  });
}

void Events::tick(const std::function<void(const wire::Peer &)> &hung) {
  const auto now = clock_.mono();
  for (auto &sink : sinks_) {
    for (auto &line : sink.lines) line.behind = false;
    if (!sink.waiting.empty()) send(sink);
    for (auto &line : sink.lines) {
      if ((line.greeted && line.unanswered == 0) || now < line.heard + kAnswerLimit) continue;
      line.heard = now;  // asked again in as long, if it still lives
      hung(line.peer);
    }
  }
}

void Events::finish() {
  written(0, 0);
  synced(~std::uint64_t{0});
  for (auto &sink : sinks_) {
    for (auto &line : sink.lines) line.behind = false;
    send(sink, true);
    if (!sink.waiting.empty())
      log_.warn("events were lost: their plugin had not taken them when the queue ended",
                {{"event_sink", sink.name}, {"events", sink.waiting.size()}});
  }
}

void Events::stats(const std::function<void(std::string, double)> &put) const {
  for (const auto &sink : sinks_) {
    const auto labels = "{event_sink=\"" + sink.name + "\"}";
    put("mansio_events_told_total" + labels, static_cast<double>(sink.told));
    put("mansio_events_dropped_total" + labels, static_cast<double>(sink.dropped));
    put("mansio_events_lost_total" + labels, static_cast<double>(sink.lost));
    put("mansio_log_lines_dropped_total" + labels, static_cast<double>(sink.lines_dropped));
    put("mansio_events_waiting" + labels, static_cast<double>(sink.waiting.size()));
  }
}

}  // namespace mansio::queue
