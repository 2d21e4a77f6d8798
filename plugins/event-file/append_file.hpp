// AppendFile: a file to which whole lines are added, one write(2) each, so that two processes may add to it (those of
// two generations do while a reload is under way), and that others may take away: it is looked for again by its name.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace mansio::event_file {

class AppendFile {
 public:
  // A line that would make it larger than `max_size` (0: no limit) goes to a new file; the old one gets the time after
  // its name. `warn`: what went wrong and lost no line.
  AppendFile(std::string path, mode_t mode, std::uint64_t max_size, std::function<void(const std::string &)> warn);
  ~AppendFile();
  AppendFile(const AppendFile &) = delete;
  AppendFile &operator=(const AppendFile &) = delete;

  int open();                                            // 0, or why not (errno)
  int append(std::string_view line, std::int64_t wall);  // 0, or why the line, or its end, is lost
  void look();                                           // opens anew if the name is another file's, or nobody's
  std::uint64_t rotations() const { return rotations_; }

 private:
  bool is_ours() const;
  void rotate(std::int64_t wall);
  void close();

  const std::string path_;
  const mode_t mode_;
  const std::uint64_t max_size_;
  std::function<void(const std::string &)> warn_;
  int fd_ = -1;
  std::uint64_t size_ = 0, rotate_at_ = 0;
  std::uint64_t rotations_ = 0;
  bool torn_ = false;  // the last line lacks its end
};

}  // namespace mansio::event_file
