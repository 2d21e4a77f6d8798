// Files as the spool uses them, behind an interface, so that tests can drop, tear and reorder unsynced
// writes and fail any call. Errors carry the path and the system's reason; ENOSPC and EDQUOT are Status::Busy,
// other failures Status::Internal.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "kernel/base/result.hpp"
#include "kernel/io/fd.hpp"

namespace mansio::io {

class File {
 public:
  virtual ~File() = default;
  virtual Result<std::size_t> read_at(std::uint64_t offset, char *to, std::size_t n) = 0;  // short at end of file
  virtual Result<void> write_at(std::uint64_t offset, std::string_view bytes) = 0;         // all or an error
  virtual Result<void> write_at(std::uint64_t offset, const std::vector<std::string_view> &pieces) = 0;
  virtual Result<void> data_sync() = 0;  // fdatasync; any thread
  virtual Result<std::uint64_t> size() = 0;
  virtual Result<void> zero_fill(std::uint64_t from, std::uint64_t to) = 0;  // really written, not sparse
  virtual Result<void> truncate(std::uint64_t size) = 0;
  // A descriptor for another process: an open file description of its own, which holds a shared lock for as
  // long as any copy of it is open anywhere, in a channel's buffer included.
  virtual Result<UniqueFd> duplicate(bool read_only) = 0;
  virtual Result<bool> shared() = 0;  // is such a description still open?
  // Drops the synced file from memory. False: some of it cannot be dropped, because a socket or a pipe has it by
  // reference (sendfile(), splice()), and would show there what is written to these pages next.
  virtual Result<bool> forget_pages() { return true; }
};

enum class OpenMode { Read, ReadWrite, Create, CreateExclusive };

struct Space {
  std::uint64_t free = 0, total = 0;  // bytes, as an unprivileged writer sees them
};

class FileSystem {
 public:
  virtual ~FileSystem() = default;
  virtual Result<std::unique_ptr<File>> open(const std::string &path, OpenMode mode) = 0;
  virtual std::unique_ptr<File> adopt(UniqueFd fd, std::string name) = 0;
  virtual Result<void> rename(const std::string &from, const std::string &to) = 0;
  virtual Result<void> remove(const std::string &path) = 0;
  virtual Result<void> make_directory(const std::string &path) = 0;                 // Ok if it is there
  virtual Result<std::vector<std::string>> list(const std::string &directory) = 0;  // names, sorted
  virtual Result<void> sync_directory(const std::string &path) = 0;
  virtual Result<Space> space(const std::string &path) = 0;
  // An exclusive lock, held while the descriptor is open; `text` becomes the file's content. If another holds it:
  // Status::Busy, and the error's text is what that one wrote.
  virtual Result<UniqueFd> lock(const std::string &path, std::string_view text) = 0;
  virtual bool copies_on_write(const std::string &) { return false; }  // the file system never writes in place
};

std::unique_ptr<FileSystem> system_files();

}  // namespace mansio::io
