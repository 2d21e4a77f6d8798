// store-directory: a second copy of all mail in a directory, which should be another disk's or, mounted, another
// machine's. README.md says what is in it.
//
// It blocks, on threads of the host's: what it waits for are disks and servers of files.
#include <sys/stat.h>

#include <cerrno>
#include <string>
#include <system_error>
#include <utility>

#include "mansio/store.hpp"
#include "shelf.hpp"

namespace mansio::store_directory {
namespace {

using plugin::BadConfig;

struct Settings {
  std::string directory, mount_point;
};

std::string absolute(const plugin::Config &config, const char *name) {
  auto path = config.option(name);
  if (!path.empty() && path.front() != '/') throw BadConfig{name, "is \"" + path + "\", expected an absolute path"};
  return path;
}

Settings settings_of(const plugin::Config &config) {
  Settings s;
  plugin::Problems problems{config};
  problems.of([&] {
    s.directory = absolute(config, "directory");
    if (s.directory.empty()) throw BadConfig{"directory", "is empty, expected a directory"};
  });
  problems.of([&] {
    s.mount_point = absolute(config, "mount_point");
    const auto below = s.mount_point.ends_with('/') ? s.mount_point : s.mount_point + '/';
    if (!s.mount_point.empty() && !(s.directory + '/').starts_with(below))
      throw BadConfig{"mount_point", "is " + s.mount_point + ", expected the directory or one that it lies in"};
  });
  problems.end();
  return s;
}

// What is mounted there has another device number than what it is mounted on.
bool is_mounted(const std::string &path) {
  struct stat here {};
  struct stat above {};
  return ::stat(path.c_str(), &here) == 0 && ::stat((path + "/..").c_str(), &above) == 0 &&
         (here.st_dev != above.st_dev || here.st_ino == above.st_ino);
}

class StoreDirectory {
 public:
  static constexpr plugin::Info info{"store-directory", "1.0", MANSIO_NEEDS_WRITE, MANSIO_BLOCKING, 16};
  static constexpr mansio_option options[] = {
      {"directory", MANSIO_OPT_PATH, MANSIO_OPT_REQUIRED, nullptr,
       "Where the copies are kept; Mansio's user must be able to write there. Each spool has one of its own."},
      {"mount_point", MANSIO_OPT_PATH, 0, "",
       "The directory, or one that it lies in, that must be a mount: while nothing is mounted there, no mail is "
       "taken."},
      {},
  };
  static void check(const plugin::Config &config) { settings_of(config); }

  explicit StoreDirectory(plugin::Host host)
      : host_(host),
        settings_(settings_of(host)),
        kept_(host.counter("kept", "messages written")),
        forgotten_(host.counter("forgotten", "messages removed because they were done with")) {
    if (!settings_.mount_point.empty() && !is_mounted(settings_.mount_point))
      throw BadConfig{"mount_point", "is " + settings_.mount_point + ", where nothing is mounted"};
    if (const auto wrong = shelf_.open(settings_.directory); !wrong.empty())
      throw BadConfig{"directory", "is " + settings_.directory + ", which " + wrong};
  }

  plugin::Reply commit(const plugin::StoreCommit &message) {
    if (!is_id(message.id)) return no_id();
    // What nobody waits for any more is not to be there: its client has been told to come again.
    const int error = shelf_.commit(message.id, [&](const Shelf::Piece &piece) {
      return message.each_piece(host_, piece) && host_.alive(message.op);
    });
    if (error != 0) return trouble("the message cannot be written", error);
    host_.add(kept_);
    return plugin::kept();
  }

  plugin::Reply outcome(const plugin::StoreOutcome &outcome) {
    if (!is_id(outcome.id)) return no_id();
    const int error =
        outcome.last ? shelf_.forget(outcome.id) : shelf_.outcome(outcome.id, outcome.sequence, outcome.record);
    if (error != 0) return trouble("the outcome cannot be written", error);
    if (outcome.last) host_.add(forgotten_);
    return plugin::kept();
  }

  plugin::Reply read(const plugin::StoreRead &request) {
    if (!is_id(request.id)) return no_id();
    Shelf::Part part;
    const int error = shelf_.read(request.id, request.offset, request.length, part);
    if (error == ENOENT) return plugin::not_found();
    if (error != 0) return trouble("the message cannot be read", error);
    return plugin::part(std::move(part.octets), std::move(part.record));
  }

  plugin::Reply scan(const plugin::StoreScan &request) {
    Shelf::Page page;
    const int error = shelf_.scan(request.cursor, request.max, page);
    if (error != 0) return trouble("the directory cannot be read", error);
    return plugin::page(std::move(page.cursor), std::move(page.ids));
  }

 private:
  static plugin::Reply no_id() { return plugin::defer("that is no id of a message"); }
  plugin::Reply trouble(const char *what, int error) const {
    return plugin::defer(settings_.directory + ": " + what + ": " + std::generic_category().message(error));
  }

  plugin::Host host_;
  const Settings settings_;
  Shelf shelf_;
  std::uint32_t kept_, forgotten_;
};

}  // namespace
}  // namespace mansio::store_directory

MANSIO_STORE_PLUGIN(mansio::store_directory::StoreDirectory)
