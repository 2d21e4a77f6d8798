// From TOML text to Settings. Every unknown key, wrong type or impossible value is refused with
// "FILE:LINE: KEY: what was expected"; all problems of a file are reported, not only the first.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "kernel/base/result.hpp"
#include "kernel/config/settings.hpp"

namespace mansio::config {

struct Problem {
  std::string file;
  std::uint32_t line = 0;  // 0: the file as a whole
  std::string key;         // "listener.smtp.timeout"
  std::string text;        // what was found and what was expected
};
std::string to_string(const Problem &problem);  // one line, without newline

// How the parser reaches other files (include = [...], secrets): the supervisor opens them for it.
class Files {
 public:
  virtual ~Files() = default;
  virtual Result<std::string> read(const std::string &path) = 0;
  virtual Result<std::vector<std::string>> glob(const std::string &pattern) = 0;  // sorted
};
std::unique_ptr<Files> direct_files();

// Where an option stands in the files.
struct Place {
  std::string file;
  std::uint32_t line = 0;
};

struct Parsed {
  Settings settings;  // meaningful when there are no problems
  std::vector<Problem> problems;
  std::string snapshot;  // one self-contained text that parse_snapshot() takes: includes merged, secrets read
  std::map<std::string, Place> places;  // by dotted key ("transport.smtp.helo"), for checks made elsewhere
};

Parsed parse_settings(const std::string &path, Files &files);
Result<Settings> parse_snapshot(std::string_view text);  // the children's way; never fails on our own snapshot

// Plugin options are declared by plugins; the host gives their tables to this check.
struct PluginOption {
  std::string name;
  enum class Type : std::uint8_t { Text, Path, Integer, Boolean, Duration, Size, List } type = Type::Text;
  bool required = false, secret = false;
  std::string fallback, help;
};
// `value` in canonical text: integers and sizes in decimal (bytes), durations in nanoseconds, booleans
// "true"/"false", lists joined by ','. Fails with what was expected.
Result<std::string> canonical_option(const PluginOption &option, std::string_view value);

}  // namespace mansio::config
