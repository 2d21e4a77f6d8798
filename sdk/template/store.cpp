// @NAME@: keeps each message in a file of its own in the state directory. Replace the four functions by what you need:
// a database, an object store, another machine (mansio/store.hpp). Never answer kept() for what a power cut can undo.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <filesystem>
#include <mansio/store.hpp>
#include <system_error>

namespace {

using namespace mansio::plugin;
namespace fs = std::filesystem;

class @CLASS@ {
 public:
  // It blocks, so it is called on threads; of one message at most one call is under way.
  static constexpr Info info{"@NAME@", "0.1", MANSIO_NEEDS_STATE, MANSIO_BLOCKING, 8};
  static constexpr mansio_option options[] = {
      {"suffix", MANSIO_OPT_TEXT, 0, ".mail", "What the names of the files end with."},
      {},
  };

  explicit @CLASS@(Host host) : host_(host), directory_(host.fact("state_directory")), suffix_(host.option("suffix")) {}

  Reply commit(const StoreCommit &message) {
    const auto content = message.content(host_);
    fs::remove(directory_ + '/' + message.id + ".outcome");  // of an earlier one of that id
    return content && write(message.id + suffix_, *content) ? kept() : defer("not written");
  }
  // What became of a part of the recipients, or the end of the message.
  Reply outcome(const StoreOutcome &outcome) {
    const auto file = directory_ + '/' + outcome.id + suffix_;
    const auto number = std::to_string(outcome.sequence);
    if (!outcome.last) {
      const auto [known, record] = newest(outcome.id);
      if (!fs::exists(file) || known >= outcome.sequence) return kept();
      return write(outcome.id + ".outcome", number + '\n' + outcome.record) ? kept() : defer("not written");
    }
    fs::remove(file);  // first: without it the rest says nothing
    fs::remove(directory_ + '/' + outcome.id + ".outcome");
    return sync_directory() ? kept() : defer("not removed");
  }
  Reply read(const StoreRead &request) {
    const auto content = contents(request.id + suffix_);
    if (!content) return not_found();
    const auto from = std::min<std::size_t>(request.offset, content->size());
    return part(content->substr(from, request.length), newest(request.id).second);
  }
  // The cursor is the last id that was named.
  Reply scan(const StoreScan &request) {
    std::vector<std::string> ids;
    for (const auto &entry : fs::directory_iterator{directory_}) {
      const auto name = entry.path().filename().string();
      if (!name.ends_with(suffix_) || name.front() == '.') continue;
      const auto id = name.substr(0, name.size() - suffix_.size());
      if (id > request.cursor) ids.push_back(id);
    }
    std::sort(ids.begin(), ids.end());
    const bool more = ids.size() > request.max;
    if (more) ids.resize(request.max);
    return page(more ? ids.back() : "", ids);
  }

 private:
  // Nothing: there is no such file. What is thrown is "not now" to Mansio.
  std::optional<std::string> contents(const std::string &name) const {
    std::string all;
    const int fd = ::open((directory_ + '/' + name).c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) return std::nullopt;
    char block[65536];
    ssize_t n = fd < 0 ? -1 : 0;
    while (fd >= 0 && (n = ::read(fd, block, sizeof block)) > 0) all.append(block, static_cast<std::size_t>(n));
    const int error = errno;
    if (fd >= 0) ::close(fd);
    if (n < 0) throw std::system_error{error, std::generic_category(), name};
    return all;
  }
  // The sequence and record of the newest outcome; of a file that is none: 0, and nothing.
  std::pair<std::uint64_t, std::string> newest(const std::string &id) const {
    const auto text = contents(id + ".outcome").value_or("");
    std::uint64_t sequence = 0;
    const auto *const end = text.data() + text.size();
    const auto number = std::from_chars(text.data(), end, sequence);
    if (number.ec != std::errc{} || number.ptr == end || *number.ptr != '\n') return {0, ""};
    return {sequence, std::string{number.ptr + 1, end}};
  }
  // Under another name until it is whole and synced.
  bool write(const std::string &name, const std::string &content) const {
    const auto path = directory_ + '/' + name, before = directory_ + "/." + name;
    const int fd = ::open(before.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) return false;
    bool fine = ::write(fd, content.data(), content.size()) == static_cast<ssize_t>(content.size());
    fine = ::fsync(fd) == 0 && fine;
    ::close(fd);
    fine = fine && ::rename(before.c_str(), path.c_str()) == 0;
    if (!fine) ::unlink(before.c_str());  // the disk may be full
    return fine && sync_directory();
  }
  bool sync_directory() const {
    const int fd = ::open(directory_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const bool fine = fd >= 0 && ::fsync(fd) == 0;
    if (fd >= 0) ::close(fd);
    return fine;
  }

  Host host_;
  std::string directory_, suffix_;
};

}  // namespace

MANSIO_STORE_PLUGIN(@CLASS@)
