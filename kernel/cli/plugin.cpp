#include "kernel/cli/plugin.hpp"

#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <vector>

#include "kernel/config/parse.hpp"
#include "kernel/host/plugin.hpp"
#include "kernel/supervisor/checked.hpp"

namespace mansio::cli {
namespace {

std::string joined(const std::vector<std::string> &parts) {
  std::string out;
  for (const auto &part : parts) out += (out.empty() ? "" : ",") + part;
  return out.empty() ? "-" : out;
}

std::string needs_text(std::uint32_t needs) {
  std::vector<std::string> names;
  if (needs & MANSIO_NEEDS_NETWORK) names.emplace_back("network");
  if (needs & MANSIO_NEEDS_WRITE) names.emplace_back("write");
  if (needs & MANSIO_NEEDS_EXEC) names.emplace_back("exec");
  if (needs & MANSIO_NEEDS_STATE) names.emplace_back("state");
  if (needs & MANSIO_TAKES_STATE) names.emplace_back("takes-state");
  return joined(names);
}

// In a process that is thrown away: static constructors of the file run as soon as it is opened.
int describe(const std::filesystem::path &file) {
  const auto plugin = host::load_plugin(file.string());
  if (!plugin) {
    fmt::print("{:<24} {}\n", file.stem().string(), plugin.error().text);
    return 1;
  }
  std::vector<std::string> kinds;
  for (const auto *kind = (*plugin)->kinds; *kind; ++kind) kinds.emplace_back(*kind);
  const auto abi = (*plugin)->draft_build ? fmt::format("1.{}+draft{}", (*plugin)->abi_minor, (*plugin)->draft_build)
                                          : fmt::format("1.{}", (*plugin)->abi_minor);
  fmt::print("{:<24} {:<8} {:<12} {:<24} {:<8} {}\n", (*plugin)->name, (*plugin)->version, abi, joined(kinds),
             (*plugin)->threading == MANSIO_BLOCKING ? "blocking" : "loop", needs_text((*plugin)->needs));
  return 0;
}

}  // namespace

int plugin_list_main(const std::string &config, const std::string &directory) {
  auto dir = directory;
  if (dir.empty() && ::access(config.c_str(), R_OK) == 0) {
    const auto files = config::direct_files();
    dir = config::parse_settings(config, *files).settings.plugin_dir;
  }
  if (dir.empty()) dir = supervisor::default_plugin_dir();
  std::vector<std::filesystem::path> files;
  std::error_code error;
  for (std::filesystem::directory_iterator file{dir, error}, end; !error && file != end; file.increment(error))
    if (file->path().extension() == ".so") files.push_back(file->path());
  if (error) {
    std::fprintf(stderr, "%s: %s\n", dir.c_str(), error.message().c_str());
    return 1;
  }
  std::sort(files.begin(), files.end());
  fmt::print("{:<24} {:<8} {:<12} {:<24} {:<8} {}\n", "PLUGIN", "VERSION", "ABI", "KINDS", "THREADS", "NEEDS");
  int status = 0;
  for (const auto &file : files) {
    std::fflush(stdout);
    const auto pid = ::fork();
    if (pid == 0) {
      const int result = describe(file);
      std::fflush(stdout);
      ::_exit(result);
    }
    int ended = 0;
    if (pid < 0 || ::waitpid(pid, &ended, 0) != pid || !WIFEXITED(ended)) {
      fmt::print("{:<24} {}: cannot be loaded: it ended the process that opened it\n", file.stem().string(),
                 file.string());
      ended = 1;
    }
    if (ended != 0) status = 1;
  }
  return status;
}

}  // namespace mansio::cli
