#include "kernel/config/parse.hpp"

#include "kernel/config/crosscheck.hpp"
#include "kernel/config/include.hpp"
#include "kernel/config/read.hpp"
#include "kernel/config/snapshot.hpp"

namespace mansio::config {
namespace {

// A snapshot needs no other file.
class NoFiles final : public Files {
 public:
  Result<std::string> read(const std::string &) override { return refused(); }
  Result<std::vector<std::string>> glob(const std::string &) override { return refused(); }

 private:
  static Error refused() { return {Status::BadConfig, "is not read from a snapshot"}; }
};

}  // namespace

std::string to_string(const Problem &problem) {
  std::string out = problem.file;
  if (problem.line != 0) out += ':' + std::to_string(problem.line);
  if (!problem.key.empty()) out += ": " + problem.key;
  return out + (problem.key.empty() ? ": " : " ") + problem.text;
}

Parsed parse_settings(const std::string &path, Files &files) {
  Parsed out;
  Problems problems;
  const auto root = load_with_includes(path, files, problems);
  if (problems.size() == 0 || !root.empty()) {
    // With an include unread, cross checks would report its absence a second time in other words.
    const bool whole = problems.size() == 0;
    Places places;
    out.settings = read_settings(root, Source::File, files, problems, places);
    if (whole) crosscheck(out.settings, path, places, problems);
    for (const auto &[key, place] : places) out.places.emplace(key, Place{*place.file, place.line});
  }
  out.problems = problems.take();
  if (out.problems.empty()) out.snapshot = write_snapshot(out.settings);
  return out;
}

Result<Settings> parse_snapshot(std::string_view text) {
  auto parsed = parse_toml(text, "snapshot");
  if (const auto *error = std::get_if<TomlError>(&parsed)) {
    return Error{Status::BadConfig, to_string(Problem{"snapshot", error->line, "", error->text})};
  }
  NoFiles files;
  Problems problems;
  Places places;
  auto settings = read_settings(std::get<TomlTable>(parsed), Source::Snapshot, files, problems, places);
  crosscheck(settings, "snapshot", places, problems);
  if (auto list = problems.take(); !list.empty()) return Error{Status::BadConfig, to_string(list.front())};
  return settings;
}

}  // namespace mansio::config
