#include "shelf.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <system_error>
#include <utility>

#include "outcome_file.hpp"

namespace mansio::store_directory {
namespace {

constexpr std::string_view kMail = ".mail", kDone = ".done";
constexpr unsigned kFolders = 256;
constexpr std::size_t kLongestId = 64;
constexpr std::size_t kLargestOutcome = 64 * 1024;
constexpr std::time_t kLeftBehind = 3600;  // seconds: what is still being written is younger

std::string hex(unsigned n) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  return {kDigits[n >> 4 & 15], kDigits[n & 15]};
}

std::optional<unsigned> folder_number(std::string_view text) {
  if (text.size() != 2) return std::nullopt;
  for (unsigned n = 0; n < kFolders; ++n)
    if (hex(n) == text) return n;
  return std::nullopt;
}

std::string path_of(std::string_view id, std::string_view ending) {
  return folder_of(id) + '/' + std::string{id} + std::string{ending};
}

// The id, if it is the name of such a file.
std::string_view id_in(std::string_view name, std::string_view ending) {
  if (!name.ends_with(ending)) return {};
  name.remove_suffix(ending.size());
  return is_id(name) ? name : std::string_view{};
}

int write_all(int fd, std::string_view octets) {
  while (!octets.empty()) {
    const auto n = ::write(fd, octets.data(), octets.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return n < 0 ? errno : EIO;
    octets.remove_prefix(static_cast<std::size_t>(n));
  }
  return 0;
}

}  // namespace

int Descriptor::close() {
  const int fd = std::exchange(fd_, -1);
  return fd < 0 || ::close(fd) == 0 || errno == EINTR ? 0 : errno;
}

bool is_id(std::string_view id) {
  return !id.empty() && id.size() <= kLongestId && std::all_of(id.begin(), id.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-';
  });
}

// FNV-1a, of which the octets are mixed.
std::string folder_of(std::string_view id) {
  std::uint32_t h = 2166136261u;
  for (const char c : id) h = (h ^ static_cast<unsigned char>(c)) * 16777619u;
  return hex((h ^ h >> 8 ^ h >> 16 ^ h >> 24) & 255);
}

std::string Shelf::open(const std::string &directory) {
  directory_ = Descriptor{::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (!directory_) return std::string{"cannot be opened: "} + std::generic_category().message(errno);
  for (unsigned n = 0; n < kFolders; ++n)
    if (::mkdirat(directory_.get(), hex(n).c_str(), 0700) != 0 && errno != EEXIST)
      return std::string{"has no folder "} + hex(n) +
             " and it cannot be made: " + std::generic_category().message(errno);
  if (const int error = sync("."); error != 0)
    return std::string{"cannot be synced: "} + std::generic_category().message(error);
  return {};
}

Descriptor Shelf::open_at(const std::string &name, int flags) const {
  return Descriptor{::openat(directory_.get(), name.c_str(), flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600)};
}

// Some file systems, of other systems' servers, cannot sync a directory and say so: what happens in it is stable there
// when it returns, or never.
int Shelf::sync(const std::string &folder) const {
  const auto fd = open_at(folder, O_RDONLY | O_DIRECTORY);
  if (!fd) return errno;
  return ::fsync(fd.get()) == 0 || errno == EINVAL ? 0 : errno;
}

bool Shelf::has(const std::string &name) const { return ::faccessat(directory_.get(), name.c_str(), F_OK, 0) == 0; }

int Shelf::remove(const std::string &name) {
  return ::unlinkat(directory_.get(), name.c_str(), 0) == 0 || errno == ENOENT ? 0 : errno;
}

int Shelf::write_file(const std::string &id, const char *ending, const Pieces &pieces) {
  const auto folder = folder_of(id);
  const auto name = folder + '/' + id + ending, before = folder + "/." + id + ending;
  auto fd = open_at(before, O_WRONLY | O_CREAT | O_TRUNC);
  if (!fd) return errno;
  int error = 0;
  const bool passed = pieces([&](std::string_view octets) { return (error = write_all(fd.get(), octets)) == 0; });
  if (error == 0 && !passed) error = EIO;
  if (error == 0 && ::fsync(fd.get()) != 0) error = errno;
  const int closed = fd.close();
  if (error == 0) error = closed;
  if (error == 0 && ::renameat(directory_.get(), before.c_str(), directory_.get(), name.c_str()) != 0) error = errno;
  if (error != 0) {
    (void)remove(before);
    return error;
  }
  return sync(folder);
}

int Shelf::commit(const std::string &id, const Pieces &pieces) {
  // Of an earlier one of that name.
  if (const int error = remove(path_of(id, kDone)); error != 0) return error;
  return write_file(id, kMail.data(), pieces);
}

int Shelf::outcome(const std::string &id, std::uint64_t sequence, std::string_view record) {
  const auto mail = path_of(id, kMail), done = path_of(id, kDone);
  if (!has(mail)) return errno == ENOENT ? 0 : errno;
  if (const auto text = contents(done))
    if (const auto known = parse_outcome(*text); known && known->sequence >= sequence)
      return sync(folder_of(id));  // whoever wrote it may have been killed before
  const auto text = outcome_text(sequence, record);
  return write_file(id, kDone.data(), [&](const Piece &piece) { return piece(text); });
}

int Shelf::forget(const std::string &id) {
  for (const auto ending : {kMail, kDone})
    if (const int error = remove(path_of(id, ending)); error != 0) return error;
  return sync(folder_of(id));
}

std::optional<std::string> Shelf::contents(const std::string &name) const {
  const auto fd = open_at(name, O_RDONLY);
  if (!fd) return std::nullopt;
  std::string all(kLargestOutcome, '\0');
  std::size_t n = 0;
  while (n < all.size()) {
    const auto got = ::read(fd.get(), all.data() + n, all.size() - n);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    n += static_cast<std::size_t>(got);
  }
  all.resize(n);
  return all;
}

int Shelf::read(const std::string &id, std::uint64_t offset, std::uint64_t length, Part &to) {
  const auto fd = open_at(path_of(id, kMail), O_RDONLY);
  if (!fd) return errno;
  to.octets.assign(length, '\0');
  std::size_t n = 0;
  while (n < length) {
    const auto got = ::pread(fd.get(), to.octets.data() + n, length - n, static_cast<off_t>(offset + n));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return errno;
    if (got == 0) break;
    n += static_cast<std::size_t>(got);
  }
  to.octets.resize(n);
  const auto text = contents(path_of(id, kDone));
  auto outcome = text ? parse_outcome(*text) : std::nullopt;
  to.record = outcome ? std::move(outcome->record) : std::string{};
  return 0;
}

// ---- looking through ---------------------------------------------------------------------------------------------

int Shelf::names_of(const std::string &folder, std::vector<std::string> &to) {
  auto fd = open_at(folder, O_RDONLY | O_DIRECTORY);
  if (!fd) return errno;
  DIR *all = ::fdopendir(fd.get());
  if (!all) return errno;
  (void)fd.release();  // it is closed with `all`
  errno = 0;
  while (const auto *entry = ::readdir(all)) to.emplace_back(entry->d_name);
  const int error = errno;
  ::closedir(all);
  return error;
}

int Shelf::list(const std::string &folder, std::vector<std::string> &ids) {
  std::vector<std::string> names;
  if (const int error = names_of(folder, names); error != 0) return error;
  std::sort(names.begin(), names.end());
  for (const auto &name : names)
    if (const auto id = id_in(name, kMail); !id.empty()) ids.emplace_back(id);
  std::sort(ids.begin(), ids.end());
  tidy(folder, names);
  return 0;
}

// What a crash left: files half written, and outcomes of messages that are gone.
void Shelf::tidy(const std::string &folder, const std::vector<std::string> &names) const {
  for (const auto &name : names) {
    const bool half = name.size() > 1 && name.front() == '.' && !id_in(name.substr(1), kMail).empty();
    const bool half_done = name.size() > 1 && name.front() == '.' && !id_in(name.substr(1), kDone).empty();
    const auto id = id_in(name, kDone);
    const bool alone =
        !id.empty() && !std::binary_search(names.begin(), names.end(), std::string{id} + std::string{kMail});
    if (!half && !half_done && !alone) continue;
    const auto path = folder + '/' + name;
    struct stat s {};
    if (::fstatat(directory_.get(), path.c_str(), &s, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(s.st_mode)) continue;
    if (std::time(nullptr) - s.st_mtime > kLeftBehind) ::unlinkat(directory_.get(), path.c_str(), 0);
  }
}

// A cursor is the folder and the id that were named last: "a7/ID", or "a7/" before the first of a folder.
int Shelf::scan(std::string_view cursor, std::uint32_t most, Page &to) {
  unsigned folder = 0;
  std::string after;
  if (!cursor.empty()) {
    const auto slash = cursor.find('/');
    const auto number = slash == cursor.npos ? std::nullopt : folder_number(cursor.substr(0, slash));
    if (!number) return EINVAL;
    folder = *number;
    after = cursor.substr(slash + 1);
    if (!after.empty() && !is_id(after)) return EINVAL;
  }
  const std::lock_guard lock{mutex_};
  for (; folder < kFolders; ++folder, after.clear()) {
    if (after.empty() || listed_ != hex(folder)) {
      listed_.clear();
      names_.clear();
      if (const int error = list(hex(folder), names_); error != 0) return error;
      listed_ = hex(folder);
    }
    for (auto at = std::upper_bound(names_.begin(), names_.end(), after); at != names_.end(); ++at) {
      if (to.ids.size() == most) {
        to.cursor = hex(folder) + '/' + (at == names_.begin() ? std::string{} : *std::prev(at));
        return 0;
      }
      to.ids.push_back(*at);
    }
  }
  listed_.clear();
  names_ = {};
  return 0;
}

}  // namespace mansio::store_directory
