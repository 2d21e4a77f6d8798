// Shelf: messages in a directory, a file each, which may be a mount of another machine. NN/ID.mail holds the octets of
// a message and NN/ID.done what became of it so far; NN, two digits, come from the id, so that no directory gets too
// large.
//
// What a function has done when it returns no error is on stable storage: a file is written under another name, synced,
// renamed, and its directory synced. A message is there as long as its .mail is: that goes first, and a .done without
// it says nothing. Files that a crash left half written are removed when the directory is looked through.
//
// Any thread may call any function; of one message one does at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mansio::store_directory {

class Descriptor {
 public:
  explicit Descriptor(int fd = -1) : fd_(fd) {}
  Descriptor(Descriptor &&other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor &operator=(Descriptor &&other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Descriptor() { close(); }
  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  int close();                                      // 0, or errno: what was written may not be there
  int release() { return std::exchange(fd_, -1); }  // the caller's from here on

 private:
  int fd_;
};

class Shelf {
 public:
  // Errors are errno, 0 is none.
  using Piece = std::function<bool(std::string_view octets)>;  // false: it cannot be written
  using Pieces = std::function<bool(const Piece &)>;           // passes all of them on; false: that did not work

  // Makes what is missing in it. What is wrong goes on from the directory's name; "": nothing.
  std::string open(const std::string &directory);

  int commit(const std::string &id, const Pieces &pieces);
  int outcome(const std::string &id, std::uint64_t sequence, std::string_view record);
  int forget(const std::string &id);

  struct Part {
    std::string octets, record;
  };
  // ENOENT: there is no such message.
  int read(const std::string &id, std::uint64_t offset, std::uint64_t length, Part &to);

  struct Page {
    std::string cursor;  // "": it is the last
    std::vector<std::string> ids;
  };
  // EINVAL: a cursor that none of these gave.
  int scan(std::string_view cursor, std::uint32_t most, Page &to);

 private:
  Descriptor open_at(const std::string &name, int flags) const;
  int write_file(const std::string &id, const char *ending, const Pieces &pieces);
  std::optional<std::string> contents(const std::string &name) const;
  bool has(const std::string &name) const;
  int remove(const std::string &name);
  int sync(const std::string &folder) const;
  int list(const std::string &folder, std::vector<std::string> &ids);
  int names_of(const std::string &folder, std::vector<std::string> &to);
  void tidy(const std::string &folder, const std::vector<std::string> &names) const;

  Descriptor directory_;
  std::mutex mutex_;
  // The folder that is being looked through, so that each of its pages need not read it anew.
  std::string listed_;
  std::vector<std::string> names_;
};

bool is_id(std::string_view id);             // which is a file's name, and no path
std::string folder_of(std::string_view id);  // "a7"

}  // namespace mansio::store_directory
