// EventService: the host process's side of an event plugin: events in, for the plugin one after the other, and word of
// those that it has heard back.
//
// The loop turns in between, however many wait: the plugin's own timers and descriptors have their turn, and a plugin
// that is merely slow is neither taken for one that hangs by the watchdog nor, as it is answered for, by the queue.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "kernel/host/event.hpp"
#include "kernel/io/asio.hpp"
#include "kernel/io/channel.hpp"

namespace mansio::host {

// All calls on the loop's thread. Not to be destroyed by what it calls, nor while it is not idle() and the loop turns.
class EventService {
 public:
  // `when_idle`: the plugin has heard all that there was.
  EventService(asio::io_context &loop, const Clock &clock, std::unique_ptr<EventInstance> instance,
               std::function<void()> when_idle);

  void greet(io::Channel &client);  // a new one: which events are wanted
  void take(std::weak_ptr<io::Channel> from, wire::Events &&events);
  bool idle() const { return waiting_.empty(); }
  const EventInstance &instance() const { return *instance_; }

 private:
  struct Batch {
    std::weak_ptr<io::Channel> from;
    std::vector<std::string> events;
    std::size_t heard = 0;  // of them
  };

  void later();
  void turn();

  asio::io_context &loop_;
  const Clock &clock_;
  std::unique_ptr<EventInstance> instance_;
  std::function<void()> when_idle_;
  std::deque<Batch> waiting_;  // the queue sends no more than in_flight_limit
  bool scheduled_ = false;
};

}  // namespace mansio::host
