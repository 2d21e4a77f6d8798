// A recording as `mansio replay` reads it: it ends with sessions or with what is wrong, in which line; times never go
// back, and each event has facts. What scripts were told is lines of fields, which are read back as they were written.
#include <cstdint>
#include <string>
#include <string_view>

#include "plugins/lua/told.hpp"
#include "plugins/lua/tool/recording.hpp"
#include "tests/fuzz/target.hpp"

namespace mansio::fuzz::recording {

MANSIO_FUZZ_TARGET("recording-fuzz", data, size) {
  using namespace lua;
  const std::string_view text{reinterpret_cast<const char *>(data), size};
  const auto fields = told_fields(text);
  require(!fields.empty());
  if (!fields.front().empty()) {
    std::string again;
    for (const auto &field : fields) append_told(again, field);
    require(told_fields(again) == fields);
  }
  try {
    for (const auto &session : tool::read_recording(text)) {
      auto last = session.at;
      for (const auto &event : session.events) {
        require(event.at >= last && event.facts != nullptr);
        require((event.name == "content") == (event.content != nullptr));
        last = event.at;
      }
    }
  } catch (const tool::RecordingError &e) {
    require(std::string_view{e.what()}.starts_with("line "));
  }
  return 0;
}

}  // namespace mansio::fuzz::recording
