// Recordings of SMTP sessions as a listener with `record = true` writes them (docs/recording-format.md), read back.
// They are files that anybody may have written: whatever is in them, reading ends, with sessions or with what is wrong.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace mansio::lua::tool {

inline constexpr int kRecordingVersion = 1;

using Values = std::map<std::string, std::string, std::less<>>;

struct RecordedWatcher {
  std::string name;        // "policy.script"
  std::string plugin;      // "lua"
  std::string process;     // where its code ran: a script's variables there are those of all sessions there
  std::string on_failure;  // "defer", "skip" or "hold"
  std::int64_t command_timeout = 0, content_timeout = 0;  // ns
};

// What a watcher said, to one stage.
struct RecordedAnswer {
  std::string by;
  std::uint32_t stage = 0;  // MANSIO_STAGE_*
  std::string as;           // "accept", "skip", "defer", "reject" or "failed"
  std::uint16_t code = 0;
  std::string enhanced, text;  // "5.7.1"
  std::vector<std::string> edits, told;
  Values session_meta, message_meta;
};

struct RecordedContent {
  std::string header, body;  // of the body what was recorded
  bool cut = false;          // there was more of it
  bool left_out = false;     // there is neither
};

// One line of a session after its first: an event, or the content as whoever comes next sees it.
struct RecordedEvent {
  std::int64_t at = 0;  // ns since 1970
  std::string name;     // "rcpt", "message" (all stages of the content), "content"
  std::uint32_t stage = 0;
  std::vector<std::string> arguments;
  std::shared_ptr<const Values> facts;
  std::string queue_id;
  std::vector<RecordedAnswer> said;
  std::string reply;  // of whoever refused; "": nobody did
  std::shared_ptr<const RecordedContent> content;
};

struct RecordedSession {
  std::string id, listener;
  std::int64_t at = 0;
  std::vector<RecordedWatcher> watchers;  // in the order in which they were asked
  std::vector<RecordedEvent> events;      // in the order of time
};

class RecordingError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// The sessions of one file, in the order in which they began. Throws RecordingError, "line 3: ...". A last line without
// its end is left out: the process died, or writes yet.
std::vector<RecordedSession> read_recording(std::string_view text);

}  // namespace mansio::lua::tool
