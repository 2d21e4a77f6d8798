#include "quota.hpp"

#include <charconv>
#include <filesystem>

namespace maildir {
namespace fs = std::filesystem;
namespace {

std::uint64_t stated_size(const std::string &name) {
  const auto at = name.find(",S=");
  std::uint64_t n = 0;
  if (at != std::string::npos) std::from_chars(name.data() + at + 3, name.data() + name.size(), n);
  return n;
}

std::uint64_t folder_size(const fs::path &folder) {
  std::uint64_t sum = 0;
  for (const auto *part : {"new", "cur"}) {
    std::error_code error;
    for (fs::directory_iterator i{folder / part, error}, end; !error && i != end; i.increment(error)) {
      const auto name = i->path().filename().string();
      std::error_code ignored;
      if (const auto stated = stated_size(name))
        sum += stated;
      else if (const auto size = i->file_size(ignored); !ignored)
        sum += size;
    }
  }
  return sum;
}

}  // namespace

std::uint64_t maildir_size(const std::string &directory) {
  auto sum = folder_size(directory);
  std::error_code error;
  for (fs::directory_iterator i{directory, error}, end; !error && i != end; i.increment(error)) {
    const auto name = i->path().filename().string();
    std::error_code ignored;
    if (name.size() > 1 && name[0] == '.' && name != ".Trash" && i->is_directory(ignored))
      sum += folder_size(i->path());
  }
  return sum;
}

}  // namespace maildir
