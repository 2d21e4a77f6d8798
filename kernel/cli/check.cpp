#include "kernel/cli/check.hpp"

#include <fcntl.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "kernel/config/parse.hpp"
#include "kernel/io/fd.hpp"
#include "kernel/route/check.hpp"

namespace mansio::cli {
namespace {

using config::Problem;

// Files that are opened later only, by whoever needs them.
std::vector<Problem> check_files(const config::Parsed &parsed, const std::string &config_path) {
  std::vector<Problem> out;
  const auto check = [&](const std::string &key, const std::string &path, const std::string &inherited = {}) {
    if (path.empty()) return;
    if (!inherited.empty() && !parsed.places.contains(key) && parsed.places.contains(inherited)) return;
    const io::UniqueFd fd{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)};
    if (fd) return;
    const std::string text = "names " + path + ", which cannot be read: " + std::strerror(errno);
    const auto place = parsed.places.find(key);
    out.push_back(place == parsed.places.end() ? Problem{config_path, 0, key, text}
                                               : Problem{place->second.file, place->second.line, key, text});
  };
  const auto &settings = parsed.settings;
  check("smtpd.tls_cert_file", settings.smtpd.tls_cert_file);
  check("smtpd.tls_key_file", settings.smtpd.tls_key_file);
  for (const auto &listener : settings.listeners) {
    const auto prefix = "listener." + listener.name;
    check(prefix + ".tls_cert_file", listener.smtpd.tls_cert_file, "smtpd.tls_cert_file");
    check(prefix + ".tls_key_file", listener.smtpd.tls_key_file, "smtpd.tls_key_file");
  }
  check("queue.bounce_template_file", settings.queue.bounce_template_file);
  return out;
}

}  // namespace

int check_main(const std::string &config_path) {
  const auto files = config::direct_files();
  const auto parsed = config::parse_settings(config_path, *files);
  auto problems = parsed.problems;
  if (problems.empty()) {
    problems = check_files(parsed, config_path);
    for (const auto &more : {route::check_routes(parsed, config_path), check_plugins(parsed, config_path)})
      problems.insert(problems.end(), more.begin(), more.end());
  }
  for (const auto &problem : problems) std::fprintf(stderr, "%s\n", to_string(problem).c_str());
  if (!problems.empty()) return 1;
  std::printf("%s: ok\n", config_path.c_str());
  return 0;
}

}  // namespace mansio::cli
