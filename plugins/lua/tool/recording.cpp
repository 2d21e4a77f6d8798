#include "plugins/lua/tool/recording.hpp"

#include <algorithm>
#include <boost/json.hpp>
#include <optional>
#include <utility>

#include "plugins/lua/declarations.hpp"

namespace mansio::lua::tool {
namespace {

namespace json = boost::json;

constexpr std::size_t kDeepestRecording = 8;
constexpr std::int64_t kLatest = 4'000'000'000'000'000;  // microseconds since 1970: in ns it fits with room to spare

[[noreturn]] void wrong(const std::string &what) { throw RecordingError{what}; }

int base64_digit(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  return c == '+' ? 62 : c == '/' ? 63 : -1;
}

std::string octets_of_base64(std::string_view text) {
  if (text.size() % 4 != 0) wrong("base64 of a wrong length");
  while (text.ends_with('=')) text.remove_suffix(1);
  std::string out;
  std::uint32_t bits = 0;
  int n = 0;
  for (const char c : text) {
    const int digit = base64_digit(c);
    if (digit < 0) wrong("what should be base64 is none");
    bits = bits << 6 | static_cast<std::uint32_t>(digit);
    n += 6;
    if (n < 8) continue;
    n -= 8;
    out += static_cast<char>(bits >> n & 0xff);
  }
  return out;
}

// An object and its members, each asked for by name; others are for later versions.
class Members {
 public:
  Members(const json::value &value, const char *what) {
    if (!value.is_object()) wrong(std::string{what} + " is no object");
    object_ = &value.get_object();
  }
  const json::value *find(std::string_view name) const { return object_->if_contains(name); }
  const json::value &at(std::string_view name) const {
    const auto *value = find(name);
    if (value == nullptr) wrong("there is no \"" + std::string{name} + '"');
    return *value;
  }
  const json::object &object() const { return *object_; }

 private:
  const json::object *object_;
};

std::string octets(const json::value &value, std::string_view name) {
  if (value.is_string()) return std::string{value.get_string()};
  if (value.is_object() && value.get_object().size() == 1)
    if (const auto *encoded = value.get_object().if_contains("base64"); encoded && encoded->is_string())
      return octets_of_base64(encoded->get_string());
  wrong('"' + std::string{name} + "\" is no text");
}

std::string octets_in(const Members &in, std::string_view name) {
  const auto *value = in.find(name);
  return value == nullptr ? std::string{} : octets(*value, name);
}

std::int64_t integer(const json::value &value, std::string_view name, std::int64_t most) {
  const auto *const number = value.if_int64();
  if (number == nullptr || *number < 0 || *number > most) wrong('"' + std::string{name} + "\" is no such number");
  return *number;
}

std::int64_t nanoseconds(const Members &in, std::string_view name) {
  return integer(in.at(name), name, kLatest) * 1000;
}

const json::array &array(const json::value &value, std::string_view name) {
  if (!value.is_array()) wrong('"' + std::string{name} + "\" is no list");
  return value.get_array();
}

std::vector<std::string> list_in(const Members &in, std::string_view name) {
  std::vector<std::string> out;
  const auto *value = in.find(name);
  if (value == nullptr) return out;
  for (const auto &one : array(*value, name)) out.push_back(octets(one, name));
  return out;
}

Values values(const json::value &value, const char *name) {
  Values out;
  for (const auto &member : Members{value, name}.object())
    out[std::string{member.key()}] = octets(member.value(), name);
  return out;
}

Values values_in(const Members &in, const char *name) {
  const auto *value = in.find(name);
  return value == nullptr ? Values{} : values(*value, name);
}

std::string one_of(std::string text, std::string_view name, std::initializer_list<std::string_view> known) {
  if (std::find(known.begin(), known.end(), text) == known.end())
    wrong('"' + std::string{name} + "\" is \"" + text.substr(0, 40) + '"');
  return text;
}

std::uint32_t stage_of(std::string_view name) {
  for (const auto &event : kEvents)
    if (event.name == name && event.stage <= MANSIO_STAGE_DISCONNECT) return event.stage;  // sessions have no others
  wrong("there is no event \"" + std::string{name.substr(0, 40)} + '"');
}

RecordedWatcher watcher(const json::value &value) {
  const Members in{value, "a watcher"};
  RecordedWatcher w;
  w.name = octets(in.at("name"), "name");
  w.plugin = octets_in(in, "plugin");
  w.process = octets_in(in, "process");
  w.on_failure = one_of(octets_in(in, "on_failure"), "on_failure", {"defer", "skip", "hold"});
  w.command_timeout = nanoseconds(in, "command_timeout");
  w.content_timeout = nanoseconds(in, "content_timeout");
  return w;
}

RecordedAnswer said(const json::value &value) {
  const Members in{value, "what was said"};
  RecordedAnswer s;
  s.by = octets(in.at("by"), "by");
  s.stage = stage_of(octets(in.at("event"), "event"));
  s.as = one_of(octets(in.at("as"), "as"), "as", {"accept", "skip", "defer", "reject", "failed"});
  if (const auto *code = in.find("code")) s.code = static_cast<std::uint16_t>(integer(*code, "code", 599));
  s.enhanced = octets_in(in, "enhanced");
  s.text = octets_in(in, "text");
  s.edits = list_in(in, "edits");
  s.told = list_in(in, "told");
  s.session_meta = values_in(in, "session_meta");
  s.message_meta = values_in(in, "message_meta");
  return s;
}

std::shared_ptr<const RecordedContent> content(const json::value &value) {
  const Members in{value, "\"content\""};
  auto c = std::make_shared<RecordedContent>();
  c->left_out = in.find("header") == nullptr;
  c->header = octets_in(in, "header");
  c->body = octets_in(in, "body");
  c->cut = in.find("cut") != nullptr;
  return c;
}

class Reader {
 public:
  std::vector<RecordedSession> read(std::string_view text) {
    for (std::size_t number = 1;; ++number) {
      const auto end = text.find('\n');
      if (end == text.npos) break;
      try {
        line(text.substr(0, end));
      } catch (const RecordingError &e) {
        wrong("line " + std::to_string(number) + ": " + e.what());
      }
      text.remove_prefix(end + 1);
    }
    if (!known_) wrong("line 1: this is no recording");
    return std::move(sessions_);
  }

 private:
  void line(std::string_view text) {
    json::error_code error;
    json::parse_options options;
    options.max_depth = kDeepestRecording;
    // A value of its own memory for each line, which goes with it at once.
    json::monotonic_resource memory;
    const auto value = json::parse(text, error, &memory, options);
    if (error) wrong("this is no JSON: " + error.message());
    const Members in{value, "the line"};
    if (!known_) return first(in);
    auto id = octets(in.at("session"), "session");
    if (const auto *begin = in.find("begin")) return begins(in, std::move(id), *begin);
    const auto found = by_id_.find(id);
    if (found == by_id_.end()) wrong("the session " + id.substr(0, 100) + " did not begin here");
    event(in, sessions_[found->second], facts_[found->second]);
  }

  void first(const Members &in) {
    const auto *version = in.find("mansio_recording");
    if (version == nullptr) wrong("this is no recording");
    if (const auto *number = version->if_int64(); number == nullptr || *number != kRecordingVersion)
      wrong("this is a recording of another version than " + std::to_string(kRecordingVersion) +
            ", and for another version of Mansio");
    known_ = true;
  }

  void begins(const Members &in, std::string id, const json::value &begin) {
    const Members about{begin, "\"begin\""};
    RecordedSession s;
    s.id = id;
    s.at = nanoseconds(in, "at");
    s.listener = octets_in(about, "listener");
    for (const auto &one : array(about.at("watchers"), "watchers")) s.watchers.push_back(watcher(one));
    if (!by_id_.emplace(std::move(id), sessions_.size()).second) wrong("a session begins a second time");
    sessions_.push_back(std::move(s));
    facts_.push_back(std::make_shared<const Values>());
  }

  static void event(const Members &in, RecordedSession &session, std::shared_ptr<const Values> &facts) {
    RecordedEvent e;
    // A clock may have been set back. Time in a replay does not go back.
    e.at = std::max(nanoseconds(in, "at"), session.events.empty() ? session.at : session.events.back().at);
    e.queue_id = octets_in(in, "queue_id");
    if (const auto *given = in.find("facts")) facts = std::make_shared<const Values>(values(*given, "facts"));
    e.facts = facts;
    if (const auto *shown = in.find("content")) {
      e.name = "content";
      e.content = content(*shown);
    } else {
      e.name = octets(in.at("event"), "event");
      if (e.name != "message") e.stage = stage_of(e.name);
      e.arguments = list_in(in, "arguments");
      if (const auto *all = in.find("said"))
        for (const auto &one : array(*all, "said")) e.said.push_back(said(one));
      e.reply = octets_in(in, "reply");
    }
    session.events.push_back(std::move(e));
  }

  bool known_ = false;
  std::vector<RecordedSession> sessions_;
  std::vector<std::shared_ptr<const Values>> facts_;  // of each, as last said
  std::map<std::string, std::size_t, std::less<>> by_id_;
};

}  // namespace

std::vector<RecordedSession> read_recording(std::string_view text) { return Reader{}.read(text); }

}  // namespace mansio::lua::tool
