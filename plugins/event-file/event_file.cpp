// event-file: what became of messages, a line of JSON each, in a file: an accounting log, which other programs may
// rename and read at any time. README.md has the fields.
//
// Lines go to the page cache as they come and are not synced: they are told after the fact, and the spool is what
// counts.
#include <sys/types.h>

#include <cstring>
#include <string>
#include <vector>

#include "append_file.hpp"
#include "line.hpp"
#include "mansio/event.hpp"

namespace mansio::event_file {
namespace {

using plugin::BadConfig;

constexpr std::int64_t kLook = 1'000'000'000;  // how often the file's name is looked at

struct Settings {
  std::string path;
  std::uint64_t events = 0;
  std::uint64_t max_size = 0;
  mode_t mode = 0;
};

std::uint64_t parse_events(const std::vector<std::string> &names) {
  std::uint64_t bits = 0;
  for (const auto &name : names) {
    std::uint32_t event = 0;
    while (event <= MANSIO_EVENT_REMOVED && plugin::event_name(event) != name) ++event;
    if (event > MANSIO_EVENT_REMOVED)
      throw BadConfig{"events", "holds \"" + name +
                                    "\", expected inserted, routed, delivering, delivered, deferred, "
                                    "bounced and removed"};
    bits |= plugin::event_bit(event);
  }
  if (bits == 0) throw BadConfig{"events", "is empty, expected at least one event"};
  return bits;
}

mode_t parse_mode(const std::string &text) {
  const BadConfig bad{"mode",
                      "is \"" + text + "\", expected an octal number by which the owner may write, such as 0640"};
  mode_t mode = 0;
  for (const char c : text) {
    if (c < '0' || c > '7' || mode > 0777) throw bad;
    mode = mode * 8 + static_cast<mode_t>(c - '0');
  }
  if (mode > 0777 || (mode & 0200) == 0) throw bad;
  return mode;
}

Settings settings_of(const plugin::Config &config) {
  Settings s;
  plugin::Problems problems{config};
  problems.of([&] {
    s.path = config.option("path");
    if (!s.path.starts_with('/')) throw BadConfig{"path", "is \"" + s.path + "\", expected an absolute path"};
  });
  problems.of([&] { s.events = parse_events(config.list("events")); });
  problems.of([&] {
    s.max_size = config.size("max_size");
    if (s.max_size != 0 && s.max_size < 4096) throw BadConfig{"max_size", "is below 4k, expected 0 or more than that"};
  });
  problems.of([&] { s.mode = parse_mode(config.option("mode")); });
  problems.end();
  return s;
}

class EventFile {
 public:
  static constexpr plugin::Info info{"event-file", "1.0", MANSIO_NEEDS_WRITE};
  static constexpr mansio_option options[] = {
      {"path", MANSIO_OPT_PATH, MANSIO_OPT_REQUIRED, nullptr,
       "The file; Mansio's user must be able to create it. It is added to."},
      {"events", MANSIO_OPT_LIST, 0, "inserted,delivered,deferred,bounced",
       "Which events: inserted, routed, delivering, delivered, deferred, bounced, removed."},
      {"max_size", MANSIO_OPT_SIZE, 0, "0",
       "A file that would grow beyond this is renamed, with the time after its name, and a new one begun; 0 means "
       "never."},
      {"mode", MANSIO_OPT_TEXT, 0, "0640", "Permissions of the file when it is created, octal."},
      {},
  };
  static void check(const plugin::Config &config) { settings_of(config); }

  explicit EventFile(plugin::Host host)
      : host_(host),
        settings_(settings_of(host)),
        file_(settings_.path, settings_.mode, settings_.max_size, [host](const std::string &what) { host.warn(what); }),
        lines_(host.counter("lines", "lines written")),
        lost_(host.counter("lines_lost", "lines that could not be written")),
        rotations_(host.gauge("rotations", "files renamed because they were full")) {
    if (const int error = file_.open(); error != 0)
      throw BadConfig{"path", "is " + settings_.path + ", which cannot be opened: " + std::strerror(error) +
                                  "; expected a file that Mansio's user may create and write"};
    look_later();
  }
  ~EventFile() { host_.cancel_timer(timer_); }

  std::uint64_t events() const { return settings_.events; }

  void notify(const plugin::Event &event) {
    const int error = file_.append(line_of(event), event.time());
    if (error == 0) {
      host_.add(lines_);
      if (failing_) host_.info(settings_.path + " can be written again");
      failing_ = false;
      return;
    }
    host_.add(lost_);
    if (!failing_)
      host_.error(settings_.path + " cannot be written: " + std::strerror(error) + "; events are lost until it can");
    failing_ = true;
  }

  plugin::Host &host() { return host_; }

 private:
  void look() {
    file_.look();
    host_.set(rotations_, static_cast<std::int64_t>(file_.rotations()));
    look_later();
  }
  void look_later() { timer_ = host_.timer<&EventFile::look>(kLook, this); }

  plugin::Host host_;
  const Settings settings_;
  AppendFile file_;
  std::uint32_t lines_, lost_, rotations_;
  std::uint64_t timer_ = 0;
  bool failing_ = false;
};

}  // namespace
}  // namespace mansio::event_file

MANSIO_EVENT_PLUGIN(mansio::event_file::EventFile)
