// lookup-system-user: is there such a user on this host, and where is his home? The key is a user name or an address,
// whose domain may be demanded. Users come from NSS (files, LDAP, ...), which may take its time: so this plugin blocks,
// on threads that the host gives it for that.
#include <pwd.h>

#include <cstring>
#include <mansio/plugin.hpp>

namespace {

using namespace mansio::plugin;

// Both check() and the constructor read the options here, so that `mansio check` refuses what would not start.
struct Settings {
  std::string domain;
  std::int64_t minimum_uid = 0;

  explicit Settings(const Config &config) : domain(config.option("domain")) {
    Problems problems{config};  // all of them at once, each with its place in the file
    problems.of([&] {
      if (domain.find('@') != std::string::npos)
        throw BadConfig{"domain", "is \"" + domain + "\", expected a domain such as \"example.com\""};
    });
    problems.of([&] {
      minimum_uid = config.integer("minimum_uid");
      if (minimum_uid < 0) throw BadConfig{"minimum_uid", "is " + std::to_string(minimum_uid) + ", expected 0 or more"};
    });
    problems.end();
  }
};

class SystemUser {
 public:
  static constexpr Info info{"lookup-system-user", "1.0", 0, MANSIO_BLOCKING, 4};  // up to four calls at once
  static constexpr mansio_option options[] = {
      {"domain", MANSIO_OPT_TEXT, 0, "", "Domain that an address must have; empty means any."},
      {"minimum_uid", MANSIO_OPT_INTEGER, 0, "1000", "Users with a lower number are not found."},
      {},
  };

  explicit SystemUser(Host host) : settings_(host) {}
  static void check(const Config &config) { Settings{config}; }

  // On one of the host's threads. What it shares with the other calls never changes, so nothing needs a lock.
  Reply lookup(std::string_view /*table*/, std::string_view key) const {
    const auto at = key.rfind('@');
    const bool other_domain = at != key.npos && !settings_.domain.empty() && key.substr(at + 1) != settings_.domain;
    if (other_domain) return not_found();

    const std::string name{key.substr(0, at)};
    std::vector<char> space(64 * 1024);
    passwd record{}, *found_record = nullptr;
    const int error = ::getpwnam_r(name.c_str(), &record, space.data(), space.size(), &found_record);
    // Three outcomes: a directory that does not answer must never look like a user who is not there.
    if (error != 0 && error != ENOENT && error != ESRCH) return defer(std::string{"NSS: "} + std::strerror(error));
    if (!found_record || found_record->pw_uid < settings_.minimum_uid) return not_found();
    return found(found_record->pw_dir);
  }

 private:
  const Settings settings_;
};

}  // namespace

MANSIO_LOOKUP_PLUGIN(SystemUser)
