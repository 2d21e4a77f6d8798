// What tests of event plugins hand to the fake host.
//
//   FakeHost host{mansio_plugin_entry_1(), {{"path", file}}};
//   host.tell({.event = MANSIO_EVENT_BOUNCED, .recipient = "b@example.com", .fields = {{"dsn", "5.1.1"}}});
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "mansio/event.hpp"

namespace mansio::testing {

struct FakeEvent {
  std::uint32_t event = MANSIO_EVENT_DELIVERED;
  std::string queue_id = "0123456789ABC";
  std::string recipient{};
  std::vector<std::pair<std::string, std::string>> fields{};
  std::int64_t time = 1'700'000'000'000'000'000;  // wall ns
};

// As the host does: not at all if the plugin does not want it, which is false.
inline bool tell(const mansio_event_sink &sink, void *self, const FakeEvent &told) {
  if ((sink.events(self) & plugin::event_bit(told.event)) == 0) return false;
  std::vector<mansio_pair> fields;
  fields.reserve(told.fields.size());
  for (const auto &[name, value] : told.fields) fields.push_back({plugin::str(name), plugin::str(value)});
  mansio_event event{};
  event.size = sizeof event;
  event.event = told.event;
  event.time = told.time;
  event.queue_id = plugin::str(told.queue_id);
  event.recipient = plugin::str(told.recipient);
  event.fields = fields.data();
  event.n_fields = fields.size();
  sink.notify(self, &event);
  return true;
}

}  // namespace mansio::testing
