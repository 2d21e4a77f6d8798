#include "plugins/lookup-file/file_table.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include "mansio/config.hpp"

namespace mansio::lookup {
namespace {

std::string cannot_read(const std::string &path, int error) {
  return "names " + path + ", which cannot be read: " + std::system_category().message(error);
}

}  // namespace

std::optional<FileText> read_table_file(const std::string &path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return std::nullopt;
  FileText file;
  struct stat s {};
  // Before the content: what is written meanwhile shows as a change at the next lookup.
  bool good = ::fstat(fd, &s) == 0;
  file.version = FileVersion::of(s);
  char buffer[65536];
  for (ssize_t n = 1; good && n != 0;) {
    n = ::read(fd, buffer, sizeof buffer);
    if (n > 0) file.text.append(buffer, static_cast<std::size_t>(n));
    good = n >= 0 || errno == EINTR;
  }
  const int error = errno;
  ::close(fd);
  if (good) return file;
  errno = error;
  return std::nullopt;
}

std::string problem_text(const std::string &path, const std::vector<plugin::TextTableProblem> &problems) {
  if (problems.empty()) return {};
  const auto &first = problems.front();
  auto text = "names " + path + ", whose line " + std::to_string(first.line) + ' ' + first.text;
  if (problems.size() > 1) text += " (and " + std::to_string(problems.size() - 1) + " more such lines)";
  return text;
}

FileTable::FileTable(Settings settings, Report reloaded, Report problem)
    : settings_(std::move(settings)), reloaded_(std::move(reloaded)), problem_(std::move(problem)) {
  auto file = read_table_file(settings_.path);
  if (!file) throw plugin::BadConfig{"path", cannot_read(settings_.path, errno)};
  auto parsed = parse_table(settings_.type, file->text, settings_.fold_case);
  if (!parsed.table) throw plugin::BadConfig{"path", problem_text(settings_.path, parsed.problems)};
  table_ = std::move(parsed.table);
  seen_ = file->version;
}

Answer FileTable::lookup(std::string_view key) {
  if (const auto now = FileVersion::of(settings_.path); now != seen_) reload(now);
  return table_->lookup(key);
}

void FileTable::reload(const std::optional<FileVersion> &now) {
  seen_ = now;
  const auto keep = [&](const std::string &why) { problem_("path " + why + "; the table stays as it was"); };
  if (!now) return keep(cannot_read(settings_.path, errno));
  const auto file = read_table_file(settings_.path);
  if (!file) return keep(cannot_read(settings_.path, errno));
  seen_ = file->version;
  auto parsed = parse_table(settings_.type, file->text, settings_.fold_case);
  if (!parsed.table) return keep(problem_text(settings_.path, parsed.problems));
  table_ = std::move(parsed.table);
  reloaded_(settings_.path + " was read again");
}

}  // namespace mansio::lookup
