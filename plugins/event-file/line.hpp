// An event as a line of JSON: its time, name, queue id and recipient, then its fields as they came.
#pragma once

#include <cstdint>
#include <string>

#include "mansio/event.hpp"

namespace mansio::event_file {

// {"time":"2026-11-22T04:33:00.123Z","event":"delivered","qid":"0000000J00000","to":"b@example.net",…}, with its
// newline. Numbers and "true" are JSON's own where the log has them so; octets that are no UTF-8 become U+FFFD.
std::string line_of(const plugin::Event &event);

std::string utc(std::int64_t wall);  // "2026-11-22T04:33:00.123Z"

}  // namespace mansio::event_file
