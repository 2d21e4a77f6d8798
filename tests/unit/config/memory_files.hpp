// Files of a test: a map. Patterns match by '*' in the last component only.
#pragma once

#include <fnmatch.h>

#include <map>

#include "kernel/config/parse.hpp"

namespace mansio::config {

class MemoryFiles final : public Files {
 public:
  explicit MemoryFiles(std::map<std::string, std::string> files) : files_(std::move(files)) {}
  Result<std::string> read(const std::string &path) override {
    const auto found = files_.find(path);
    if (found == files_.end()) return Error{Status::NotFound, "cannot be read: No such file or directory"};
    return found->second;
  }
  Result<std::vector<std::string>> glob(const std::string &pattern) override {
    std::vector<std::string> out;
    for (const auto &[name, text] : files_) {
      if (::fnmatch(pattern.c_str(), name.c_str(), FNM_PATHNAME) == 0) out.push_back(name);
    }
    return out;
  }

 private:
  std::map<std::string, std::string> files_;
};

// The least that a configuration must have.
inline constexpr std::string_view kRest = R"(
[listener.smtp]
listen = ["127.0.0.1:2525"]
[transport.smtp]
plugin = "transport-smtp"
[[route]]
transport = "smtp"
)";

inline Parsed parse(std::map<std::string, std::string> files) {
  MemoryFiles memory{std::move(files)};
  return parse_settings("/etc/m.toml", memory);
}
inline Parsed parse_text(const std::string &text) { return parse({{"/etc/m.toml", text}}); }
inline Parsed parse_with_rest(const std::string &text) { return parse_text(text + std::string{kRest}); }

inline std::string all(const Parsed &parsed) {
  std::string out;
  for (const auto &problem : parsed.problems) out += to_string(problem) + '\n';
  return out;
}

}  // namespace mansio::config
