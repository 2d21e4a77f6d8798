// A disk for tests, in memory: what was written is in the page cache, what was synced is on the platter. A power
// cut keeps of the rest what it likes, sector by sector and in any order, names too. Any call can be made to fail, any
// sector to become unreadable or to read as zeros, any bit to flip. A power cut costs what was changed, not the size of
// the disk.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "kernel/io/file.hpp"

namespace mansio::test {

// Duplicate, Shared, Forget: File::duplicate(), shared(), forget_pages(), which fail for want of descriptors or memory.
enum class Op { Read, Write, Sync, Open, Rename, Remove, SyncDirectory, List, Duplicate, Shared, Forget };
inline constexpr std::size_t kOps = static_cast<std::size_t>(Op::Forget) + 1;
inline constexpr std::uint64_t kSector = 512;  // is written and lost as a whole

class FaultFiles final : public io::FileSystem {
 public:
  FaultFiles();
  ~FaultFiles() override;

  Result<std::unique_ptr<io::File>> open(const std::string &path, io::OpenMode mode) override;
  std::unique_ptr<io::File> adopt(io::UniqueFd fd, std::string name) override;
  Result<void> rename(const std::string &from, const std::string &to) override;
  Result<void> remove(const std::string &path) override;
  Result<void> make_directory(const std::string &path) override;
  Result<std::vector<std::string>> list(const std::string &directory) override;
  Result<void> sync_directory(const std::string &path) override;
  Result<io::Space> space(const std::string &path) override;
  Result<io::UniqueFd> lock(const std::string &path, std::string_view text) override;

  // The power goes during the n-th changing call from now on; every later call fails.
  void cut_after(std::uint64_t n);
  bool dead() const;
  std::uint64_t operations() const;  // changing calls so far
  // What is on the disk when the power comes back. Seed 0 keeps nothing that was not synced.
  std::unique_ptr<FaultFiles> power_cut(std::uint64_t seed) const;

  // Fails the n-th (from 1) call of this kind on paths that contain `part`; a failing write is done in part. Of a
  // failing sync nobody knows what reached the platter, and what did not never will: the pages count as clean.
  void fail(Op op, std::string part, std::uint64_t nth, Status status, bool forever = false);
  // The same for the n-th changing call, whatever it is: no space on a write, an error of a sync, ...
  void fail_any(std::uint64_t nth, Status status, bool forever = false);
  // Something happens, once, before a read at this offset or behind it of a file whose path contains `part`.
  void before_read(std::string part, std::uint64_t from, std::function<void()> what);
  void heal();                     // nothing more fails, every sector can be read
  std::uint64_t failures() const;  // how many calls were made to fail
  struct Unread {                  // what could not be read
    std::string path;
    std::uint64_t from, to;
  };
  std::vector<Unread> take_unread();  // since it was last asked
  void set_free(std::uint64_t bytes);
  // A disk of this size: when its files together have reached it none can grow, and of a write that would make one grow
  // further there is what fits. 0: there is no end to it.
  void limit(std::uint64_t bytes);
  std::uint64_t used() const;  // by all files that have a name
  // A full disk: no file whose path contains `part` can grow past this size any more. 0: it can.
  void most(std::string part, std::uint64_t bytes);
  std::uint64_t count(Op op, const std::string &part) const;

  // One in so many times the pages of a file cannot be dropped from memory, as a socket has some. 0: never.
  void hold_pages(unsigned one_in);

  void flip(const std::string &path, std::uint64_t offset, std::uint8_t mask = 1);  // on the platter
  // The sector that holds this octet cannot be read until it is written again.
  void spoil(const std::string &path, std::uint64_t offset);
  // The sector that holds this octet reads as zeros, on the platter: what it held is lost, and nothing says so.
  void wipe(const std::string &path, std::uint64_t offset);
  std::string content(const std::string &path) const;
  std::uint64_t size(const std::string &path) const;
  std::vector<std::string> paths(const std::string &prefix) const;

 private:
  struct State;
  class Handle;
  std::shared_ptr<State> state_;
};

}  // namespace mansio::test
