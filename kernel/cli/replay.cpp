#include "kernel/cli/replay.hpp"

#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "kernel/cli/lua.hpp"
#include "kernel/config/parse.hpp"

namespace mansio::cli {
namespace {

using Words = std::vector<std::string>;

std::string comma_list(const Words &names) { return fmt::format("{}", fmt::join(names, ",")); }

bool replay_problem(const std::string &text) {
  std::fprintf(stderr, "%s\n", text.c_str());
  return false;
}

// By a file in memory, which the tool inherits: everybody may read the arguments of a process.
bool add_secrets(Words &words, const std::string &text) {
  const int fd = ::memfd_create("secrets", 0);
  if (fd < 0 || ::write(fd, text.data(), text.size()) != static_cast<ssize_t>(text.size()))
    return replay_problem(std::string{"no memory for the secrets of a script: "} + std::strerror(errno));
  words.insert(words.end(), {"--option-file", fmt::format("secrets=/proc/self/fd/{}", fd)});
  return true;
}

// One [policy.NAME] or [filter.NAME] of the configuration. What reaches the system or a server is off, whatever the
// configuration allows: to try a script is not to act.
bool add_candidate(Words &words, const char *kind, const config::Filter &instance, const config::Settings &settings,
                   const ReplayCommand &order) {
  words.insert(words.end(), {"--candidate", fmt::format("{}.{}", kind, instance.name)});
  for (const auto &listener : settings.listeners) {
    const auto &smtpd = listener.smtpd;
    const auto &names = std::string_view{kind} == "policy" ? smtpd.policies : smtpd.filters;
    if (std::find(names.begin(), names.end(), instance.name) != names.end())
      words.insert(words.end(), {"--listener", listener.name});
  }
  for (const auto &[name, value] : instance.options) {
    if (name == "secrets") {
      if (!add_secrets(words, value)) return false;
    } else if (name != "allow") {
      words.insert(words.end(), {"--option", name + '=' + value});
    }
  }
  if (!order.allow.empty()) words.insert(words.end(), {"--option", "allow=" + comma_list(order.allow)});
  return true;
}

bool add_configured(Words &words, const ReplayCommand &order) {
  const auto files = config::direct_files();
  const auto parsed = config::parse_settings(order.config, *files);
  for (const auto &problem : parsed.problems) std::fprintf(stderr, "%s\n", to_string(problem).c_str());
  if (!parsed.problems.empty()) return false;
  const auto &settings = parsed.settings;
  const auto before = words.size();
  for (const auto &[kind, all] : {std::pair{"policy", &settings.policies}, {"filter", &settings.filters}})
    for (const auto &instance : *all)
      if (instance.plugin == "lua" && !add_candidate(words, kind, instance, settings, order)) return false;
  return words.size() != before ||
         replay_problem(order.config + ": no [policy.NAME] and no [filter.NAME] is a script (plugin = \"lua\")");
}

bool add_script(Words &words, const ReplayCommand &order) {
  if (!order.as.empty() && !order.as.starts_with("policy.") && !order.as.starts_with("filter."))
    return replay_problem("--as: expected policy.NAME or filter.NAME, not " + order.as);
  std::error_code error;
  const auto path = std::filesystem::absolute(order.script, error).string();
  words.insert(words.end(), {"--candidate", order.as, "--option", "script=" + (error ? order.script : path)});
  for (const auto &option : order.options) {
    if (option.find('=') == option.npos) return replay_problem("--option: expected NAME=VALUE, not " + option);
    words.insert(words.end(), {"--option", option});
  }
  if (!order.settings.empty() && !add_secrets(words, lines_of_settings(order.settings))) return false;
  if (!order.allow.empty()) words.insert(words.end(), {"--option", "allow=" + comma_list(order.allow)});
  return true;
}

}  // namespace

int replay_main(const ReplayCommand &order) {
  Words words{"replay"};
  if (order.dns) words.push_back("--dns");
  if (order.json) words.push_back("--json");
  for (const auto &session : order.sessions) words.insert(words.end(), {"--session", session});
  if (!(order.script.empty() ? add_configured(words, order) : add_script(words, order))) return 2;
  for (const auto &recording : order.recordings)
    words.push_back(recording.starts_with('-') ? "./" + recording : recording);
  lua_tool_main(words);
  return 2;
}

}  // namespace mansio::cli
