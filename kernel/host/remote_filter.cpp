#include "kernel/host/remote_filter.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "kernel/host/large.hpp"
#include "kernel/host/patience.hpp"
#include "kernel/host/stage_rules.hpp"

namespace mansio::host {

RemoteFilter::RemoteFilter(asio::io_context &loop, const Clock &clock, const char *label, std::string name,
                           std::size_t in_flight_limit)
    : clock_(clock),
      label_(label),
      filter_(std::string_view{label} == "filter"),
      name_(std::move(name)),
      limit_(in_flight_limit),
      timers_(loop),
      awake_(loop) {}

RemoteFilter::~RemoteFilter() {
  if (!channel_) return;
  channel_->flush_now();  // the last sessions' ends
  channel_->close();
}

void RemoteFilter::attach(std::shared_ptr<io::Channel> channel) {
  if (channel_) {
    channel_->close();
    lost();
  }
  channel_ = std::move(channel);
  ++incarnation_;
  channel_->expect_one_by_one();
  channel_->start([this](io::Message &m) { receive(m); },
                  [this, which = channel_.get()](std::string_view) {
                    if (channel_.get() == which) lost();
                  });
  auto waiting = std::exchange(waiting_, {});
  for (auto &[number, w] : waiting) {
    timers_.cancel(w.timer);
    send(std::move(w.call), w.content, std::move(w.done));
  }
}

std::uint64_t RemoteFilter::start(wire::StageCall call, std::shared_ptr<const FilterContent> content, Done done,
                                  std::function<void()>) {
  const auto number = call.number = ++last_;
  if (in_flight() >= limit_) {
    refuse(done, "it has too much to do");
  } else if (channel_) {
    send(std::move(call), content, std::move(done));
  } else if (const auto wait = awaited_until_ - clock_.mono(); wait > 0) {
    const auto timer = timers_.add(wait, [this, number] {
      const auto node = waiting_.extract(number);
      refuse(node.mapped().done, "its process is not there");
    });
    waiting_.emplace(number, Waiting{std::move(call), std::move(content), std::move(done), timer});
  } else {
    refuse(done, "its process is not there");
  }
  return number;
}

void RemoteFilter::refuse(const Done &done, std::string why) {
  ++metrics_.host.refused;
  done(stage_failure(std::move(why)));
}

void RemoteFilter::send(wire::StageCall call, const std::shared_ptr<const FilterContent> &content, Done done) {
  std::vector<io::UniqueFd> fds;
  if (content) {
    auto copy = content->file.sealed();
    if (!copy) return refuse(done, copy.error().text);
    fds.push_back(std::move(*copy));
  }
  if (!send_any(*channel_, call, std::move(fds))) return refuse(done, "its process is far behind");
  ++metrics_.host.operations;
  const auto now = clock_.mono();
  auto &pending = pending_[call.number];
  pending = {std::move(done), 0, now, call.time_limit, now + call.total_limit, call.stage};
  arm(call.number, pending, call.time_limit);
  if (pending_.size() == 1) awake_.expect();
}

void RemoteFilter::arm(std::uint64_t number, Pending &pending, Nanos within) {
  pending.timer = timers_.add(within + kGrace, [this, number] {
    ++metrics_.host.timed_out;
    end(number, stage_failure("time limit exceeded"));
  });
}

void RemoteFilter::cancel(std::uint64_t number) {
  if (auto node = waiting_.extract(number)) {
    timers_.cancel(node.mapped().timer);
    return refuse(node.mapped().done, "cancelled before it began");
  }
  if (channel_ && pending_.contains(number)) channel_->send(wire::StageCancel{number});
}

void RemoteFilter::abort(const std::string &session, MessageId id) {
  if (channel_) channel_->send(wire::MessageAbort{session, id});
}

void RemoteFilter::receive(io::Message &m) {
  const auto message = received(m);
  if (!message) return unreadable();
  switch (message->type) {
    case wire::StagesWanted::kType:
      if (const auto wanted = decode<wire::StagesWanted>(message->payload())) {
        stages_ = wanted->stages;
        if (told_) told_();
      }
      return;
    case wire::StageProgress::kType:
      if (const auto progress = decode<wire::StageProgress>(message->payload())) {
        const auto i = pending_.find(progress->number);
        if (i == pending_.end()) return;
        timers_.cancel(i->second.timer);
        arm(i->first, i->second, std::min(i->second.time_limit, i->second.latest - clock_.mono()));
      }
      return;
    case wire::StageResult::kType:
      if (auto result = decode<wire::StageResult>(message->payload())) {
        const auto i = pending_.find(result->number);
        if (i != pending_.end() && !valid(*result, filter_, i->second.stage))
          return end(i->first, stage_failure("it answered what breaks the rules"));
        return end(result->number, std::move(*result));
      }
      return unreadable();
    default:
      return;
  }
}

void RemoteFilter::end(std::uint64_t number, wire::StageResult &&result) {
  auto node = pending_.extract(number);
  if (node.empty()) {
    ++metrics_.host.late;
    return;
  }
  awake_.has_come();
  timers_.cancel(node.mapped().timer);
  metrics_.host.busy += clock_.mono() - node.mapped().started;
  if (result.outcome == wire::StageOutcome::Failed) ++metrics_.host.failed;
  node.mapped().done(std::move(result));
}

// Which of them it answered is not known.
void RemoteFilter::unreadable() { fail_all("an answer of its process could not be read"); }

void RemoteFilter::lost() {
  channel_ = nullptr;
  awaited_until_ = clock_.mono() + kReturns;
  fail_all("its process ended");
}

void RemoteFilter::fail_all(const char *why) {
  std::vector<std::uint64_t> all;
  all.reserve(pending_.size());
  for (const auto &[number, pending] : pending_) all.push_back(number);
  for (const auto number : all) end(number, stage_failure(why));
}

void RemoteFilter::stats(const StatsSink &add) const {
  metrics_.stats(fmt::format("{{{}=\"{}\",isolation=\"process\"}}", label_, name_), pending_.size(), add);
}

}  // namespace mansio::host
