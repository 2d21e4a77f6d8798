// Messages between the queue and a host process that runs an event plugin (kernel/host). Types 190..199.
//
// The host says first which events its plugin wants to hear of, and then of each batch when the plugin has heard it.
// The queue waits for neither: what is not taken stays in a buffer that has a limit (kernel/queue/events.hpp).
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "kernel/base/id.hpp"

namespace mansio::wire {

// MANSIO_EVENT_* of sdk/include/mansio/draft/event.h, which the queue does not include.
enum class EventKind : std::uint8_t { Inserted, Routed, Delivering, Delivered, Deferred, Bounced, Removed, Log };
inline constexpr std::uint8_t kEventKinds = 8;
inline constexpr std::uint64_t kAllEvents = (std::uint64_t{1} << kEventKinds) - 1;
constexpr std::uint64_t bit_of(EventKind kind) { return std::uint64_t{1} << static_cast<std::uint8_t>(kind); }
inline constexpr std::uint64_t kEventsOfMessages = kAllEvents & ~bit_of(EventKind::Log);

// What became of a message; or a line of the log, which is its detail "line".
struct Event {
  EventKind kind = EventKind::Inserted;
  std::int64_t time = 0;  // wall ns
  MessageId id;
  std::string recipient;                                     // "": it concerns the whole message
  std::vector<std::pair<std::string, std::string>> details;  // names as in the log
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.kind, s.time, s.id, s.recipient, s.details);
  }
};

struct EventsWanted {  // host -> queue
  static constexpr std::uint16_t kType = 190;
  std::uint64_t kinds = 0;  // bit_of()
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.kinds);
  }
};

struct Events {  // queue -> host
  static constexpr std::uint16_t kType = 191;
  std::vector<std::string> events;  // each an encoded Event
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.events);
  }
};

struct EventsTaken {  // host -> queue
  static constexpr std::uint16_t kType = 192;
  std::uint32_t count = 0;  // more of them, in the order in which they were sent
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.count);
  }
};

}  // namespace mansio::wire
