#include "kernel/host/event_service.hpp"

#include <utility>

namespace mansio::host {
namespace {

constexpr Nanos kSlice = 10 * kMillisecond;  // of a turn of the loop; the event under way is not interrupted

}  // namespace

EventService::EventService(asio::io_context &loop, const Clock &clock, std::unique_ptr<EventInstance> instance,
                           std::function<void()> when_idle)
    : loop_(loop), clock_(clock), instance_(std::move(instance)), when_idle_(std::move(when_idle)) {}

void EventService::greet(io::Channel &client) { client.send(wire::EventsWanted{instance_->wanted()}); }

void EventService::take(std::weak_ptr<io::Channel> from, wire::Events &&events) {
  if (events.events.empty()) return;
  waiting_.push_back({std::move(from), std::move(events.events), 0});
  later();
}

void EventService::later() {
  if (std::exchange(scheduled_, true)) return;
  asio::post(loop_, [this] {
    scheduled_ = false;
    turn();
  });
}

void EventService::turn() {
  const auto until = clock_.mono() + kSlice;
  for (bool over = false; !over && !waiting_.empty();) {
    auto &batch = waiting_.front();
    std::uint32_t heard = 0;
    while (!over && batch.heard < batch.events.size()) {
      if (const auto event = decode<wire::Event>(batch.events[batch.heard])) instance_->notify(*event);
      ++batch.heard;
      ++heard;
      over = clock_.mono() >= until;
    }
    if (const auto to = batch.from.lock()) to->send(wire::EventsTaken{heard});
    if (batch.heard == batch.events.size()) waiting_.pop_front();
  }
  if (!waiting_.empty()) return later();
  if (when_idle_) when_idle_();
}

}  // namespace mansio::host
