#include "plugins/lua/settings.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <string_view>
#include <system_error>
#include <utility>

#include "plugins/common/ascii.hpp"
#include "plugins/lua/declarations.hpp"
#include "plugins/lua/names.hpp"

namespace mansio::lua {
namespace {

using plugin::BadConfig;

std::string read_script(const std::string &path) {
  errno = 0;
  std::ifstream in{path, std::ios::binary};
  if (std::error_code ignored; std::filesystem::is_directory(path, ignored))
    throw BadConfig{"script", "names " + path + ", which is a directory"};
  std::string text{std::istreambuf_iterator<char>{in}, {}};
  if (in && !in.bad() && !text.empty()) return without_heading(std::move(text));
  if (errno == ENOENT) throw BadConfig{"script", "names " + path + ", which is not there"};
  if (errno != 0) throw BadConfig{"script", "names " + path + ", which cannot be read: " + std::strerror(errno)};
  throw BadConfig{"script", "names " + path + ", which is empty"};
}

// Whether it can be read is for the process that will.
void readable_directory(const std::string &path) {
  struct stat about {};
  if (path.empty() || (::stat(path.c_str(), &about) != 0 && errno != ENOENT)) return;
  if (!S_ISDIR(about.st_mode)) throw BadConfig{"directory", "names " + path + ", which is no directory"};
}

std::int64_t at_least(const plugin::Config &config, const char *name, std::int64_t least, const char *expected) {
  const auto value = config.integer(name);
  if (value < least) throw BadConfig{name, "is too small, expected " + std::string{expected}};
  return value;
}

void known_libraries(const std::vector<std::string> &names) {
  for (const auto &name : names)
    if (std::find(kLibraries.begin(), kLibraries.end(), name) == kLibraries.end())
      throw BadConfig{"allow", "has \"" + name + "\", expected io, os, package, connect, http, redis or sqlite" +
                                   did_you_mean(name, kLibraries)};
}

std::string_view between_blanks(std::string_view text) { return ascii::trimmed(text, " \t\r"); }

// "NAME=VALUE", in which blanks at the ends of either mean nothing; nothing for what is none.
std::optional<Setting> setting_in(std::string_view text, bool secret) {
  const auto equals = text.find('=');
  if (equals == text.npos) return std::nullopt;
  const auto name = between_blanks(text.substr(0, equals)), value = between_blanks(text.substr(equals + 1));
  if (!is_setting_name(name)) return std::nullopt;
  return Setting{std::string{name}, std::string{value}, secret};
}

// A line each; empty ones, and those that begin with "#", say nothing. What is wrong is told without the text.
void read_secrets(std::string_view text, std::vector<Setting> &to) {
  const auto plain = to.size();
  for (std::size_t number = 1; !text.empty(); ++number) {
    const auto end = std::min(text.find('\n'), text.size());
    const auto line = between_blanks(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.empty() || line.starts_with('#')) continue;
    auto setting = setting_in(line, true);
    const auto of = "has in line " + std::to_string(number);
    if (!setting) throw BadConfig{"secrets", of + " no NAME=VALUE, in which NAME is of letters, digits and _"};
    const auto is_it = [&](const Setting &known) { return known.name == setting->name; };
    if (std::any_of(to.begin(), to.begin() + static_cast<std::ptrdiff_t>(plain), is_it))
      throw BadConfig{"secrets", of + " \"" + setting->name + "\", which settings has, too"};
    to.push_back(*std::move(setting));
  }
}

std::vector<Setting> own_settings(const plugin::Config &config) {
  std::vector<Setting> own;
  for (const auto &text : config.list("settings")) {
    auto setting = setting_in(text, false);
    if (!setting)
      throw BadConfig{"settings",
                      "has \"" + text + "\", expected NAME=VALUE, in which NAME is of letters, digits and _"};
    own.push_back(*std::move(setting));
  }
  read_secrets(config.option("secrets"), own);
  return own;
}

}  // namespace

bool Settings::allows(std::string_view library) const {
  return std::find(allow.begin(), allow.end(), library) != allow.end();
}

std::string without_heading(std::string text) {
  constexpr std::string_view kMark{"\xEF\xBB\xBF"};
  if (text.starts_with(kMark)) text.erase(0, kMark.size());
  if (text.starts_with('#')) text.erase(0, text.find('\n'));  // its end stays, for the numbers of the lines
  return text;
}

bool is_setting_name(std::string_view name) {
  constexpr std::string_view kLetters{"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789"};
  constexpr std::string_view kDigits{"0123456789"};
  return !name.empty() && kDigits.find(name.front()) == name.npos && name.find_first_not_of(kLetters) == name.npos;
}

const mansio_option kOptions[14] = {
    {"script", MANSIO_OPT_PATH, MANSIO_OPT_REQUIRED, nullptr, "The script."},
    {"instructions_limit", MANSIO_OPT_INTEGER, 0, "10000000", "Instructions of Lua that one call may take."},
    {"call_memory", MANSIO_OPT_SIZE, 0, "16M", "Memory that one call may hold."},
    {"state_memory", MANSIO_OPT_SIZE, 0, "128M", "Memory of a state: the script's own data and all calls under way."},
    {"run_time", MANSIO_OPT_DURATION, 0, "200ms",
     "Processor time that a call may take between two waits; the sessions of its process stand still meanwhile."},
    {"time_limit", MANSIO_OPT_DURATION, 0, "0s",
     "How long a call may take, its waits included; 0 means as long as the host waits for it."},
    {"states", MANSIO_OPT_INTEGER, 0, "1",
     "States of Lua, each with globals of its own, among which calls are spread."},
    {"state_uses", MANSIO_OPT_INTEGER, 0, "100000", "Calls after which a state is made anew; 0 means any number."},
    {"state_age", MANSIO_OPT_DURATION, 0, "1h", "Time after which a state is made anew; 0 means never."},
    {"allow", MANSIO_OPT_LIST, 0, "",
     "What reaches the system, and is off otherwise: io, os, package (with require), connect, http, redis, sqlite."},
    {"directory", MANSIO_OPT_PATH, 0, nullptr,
     "Directory that the sandbox lets the script read: for databases of sqlite and certificates, or what io opens."},
    {"settings", MANSIO_OPT_LIST, 0, "",
     "What the script itself may be told, each NAME=VALUE: it sees mansio.config.NAME."},
    {"secrets", MANSIO_OPT_TEXT, MANSIO_OPT_SECRET, "",
     "The same, a line each, that is shown nowhere; {file = \"PATH\"} is for a file that root alone reads."},
    {}};

Settings read_settings(const plugin::Config &config) {
  Settings s;
  plugin::Problems problems{config};
  problems.of([&] {
    s.path = config.option("script");
    s.text = read_script(s.path);
  });
  problems.of([&] {
    s.instructions =
        static_cast<std::uint64_t>(at_least(config, "instructions_limit", 1000, "1000 instructions or more"));
  });
  problems.of(
      [&] { s.call_memory = static_cast<std::size_t>(at_least(config, "call_memory", 64 << 10, "64K or more")); });
  problems.of(
      [&] { s.state_memory = static_cast<std::size_t>(at_least(config, "state_memory", 1 << 20, "1M or more")); });
  problems.of([&] { s.run_time = at_least(config, "run_time", 1'000'000, "1ms or more"); });
  problems.of([&] { s.time_limit = at_least(config, "time_limit", 0, "a duration"); });
  problems.of([&] {
    const auto states = config.integer("states");
    if (states < 1 || states > 1024) throw BadConfig{"states", "is " + std::to_string(states) + ", expected 1 to 1024"};
    s.states = static_cast<std::size_t>(states);
  });
  problems.of(
      [&] { s.state_uses = static_cast<std::uint64_t>(at_least(config, "state_uses", 0, "a number of calls")); });
  problems.of([&] { s.state_age = at_least(config, "state_age", 0, "a duration"); });
  problems.of([&] {
    s.allow = config.list("allow");
    known_libraries(s.allow);
  });
  problems.of([&] { readable_directory(config.option("directory")); });
  problems.of([&] { s.own = own_settings(config); });
  s.state_directory = config.fact("state_directory");
  s.kind = config.fact("kind");
  s.instance = config.fact("instance");
  problems.end();
  return s;
}

}  // namespace mansio::lua
