#include "kernel/cli/system_facts.hpp"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/resource.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "kernel/cli/spool_bench.hpp"
#include "kernel/io/fd.hpp"

namespace mansio::cli {
namespace {

std::string read_file(const std::string &path) {
  std::ifstream file{path};
  std::string text{std::istreambuf_iterator<char>{file}, {}};
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  std::replace(text.begin(), text.end(), '\t', ' ');
  return text;
}

std::vector<std::string> split(std::string_view text, char at) {
  std::vector<std::string> out;
  while (!text.empty()) {
    const auto end = std::min(text.find(at), text.size());
    if (end > 0) out.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return out;
}

// A blank in a path is "\040" there.
std::string unescaped(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto digit = [&](std::size_t at) { return at < text.size() && text[at] >= '0' && text[at] <= '7'; };
    if (text[i] == '\\' && digit(i + 1) && digit(i + 2) && digit(i + 3)) {
      out += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0'));
      i += 3;
    } else {
      out += text[i];
    }
  }
  return out;
}

bool holds(std::string_view point, std::string_view path) {
  if (point == "/") return true;
  return path.starts_with(point) && (path.size() == point.size() || path[point.size()] == '/');
}

void look_at_attributes(SystemFacts &facts) {
  const io::UniqueFd fd{::open(facts.spool.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  int flags = 0;
  if (!fd || ::ioctl(fd.get(), FS_IOC_GETFLAGS, &flags) != 0) return;  // the file system has none
  facts.sync_attribute = (flags & FS_SYNC_FL) != 0;
  facts.journal_attribute = (flags & FS_JOURNAL_DATA_FL) != 0;
  facts.no_cow_attribute = (flags & FS_NOCOW_FL) != 0;
}

}  // namespace

bool Mount::has(std::string_view option) const {
  return std::find(options.begin(), options.end(), option) != options.end();
}

std::optional<Mount> mount_of(std::string_view mountinfo, std::string_view path) {
  std::optional<Mount> best;
  for (const auto &line : split(mountinfo, '\n')) {
    // id parent major:minor root point options [optional fields] - type source super-options
    const auto fields = split(line, ' ');
    const auto dash = std::find(fields.begin(), fields.end(), "-");
    if (fields.size() < 7 || fields.end() - dash < 4) continue;
    auto point = unescaped(fields[4]);
    // Of two on one point the later hides the earlier.
    if (!holds(point, path) || (best && point.size() < best->point.size())) continue;
    best = Mount{std::move(point), dash[1], split(fields[5], ',')};
    for (auto &option : split(dash[3], ',')) best->options.push_back(std::move(option));
  }
  return best;
}

std::optional<std::uint64_t> control_group_limit(const std::string &root, std::string_view own,
                                                 const std::string &file) {
  std::string path;
  for (const auto &line : split(own, '\n'))
    if (line.starts_with("0::")) path = line.substr(3);
  std::optional<std::uint64_t> least;
  for (;;) {
    const auto text = read_file(root + path + "/" + file);  // "max" is no number, and a root has no such file
    std::uint64_t n = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
    if (error == std::errc{} && end == text.data() + text.size()) least = std::min(least.value_or(n), n);
    const auto slash = path.rfind('/');
    if (slash == std::string::npos) return least;
    path.resize(slash);
  }
}

std::vector<std::string> name_servers_of(std::string_view resolv_conf) {
  std::vector<std::string> out;
  for (auto &line : split(resolv_conf, '\n')) {
    std::replace(line.begin(), line.end(), '\t', ' ');
    const auto words = split(line, ' ');
    if (words.size() >= 2 && words[0] == "nameserver") out.push_back(words[1]);
  }
  return out;
}

SystemFacts look_at_system(const std::string &spool, double seconds) {
  SystemFacts facts;
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) facts.open_files = limit.rlim_max;
  if (::getrlimit(RLIMIT_NPROC, &limit) == 0 && limit.rlim_max != RLIM_INFINITY) facts.user_threads = limit.rlim_max;
  const auto group = read_file("/proc/self/cgroup");
  facts.group_threads = control_group_limit("/sys/fs/cgroup", group, "pids.max");
  facts.group_memory = control_group_limit("/sys/fs/cgroup", group, "memory.max");
  facts.name_servers = name_servers_of(read_file("/etc/resolv.conf"));
  for (const auto *name : {"fs.file-max", "net.core.somaxconn", "net.ipv4.ip_local_port_range",
                           "net.ipv4.tcp_max_syn_backlog", "net.ipv4.tcp_syncookies", "net.ipv4.tcp_tw_reuse",
                           "vm.overcommit_memory", "kernel.threads-max", "kernel.pid_max"}) {
    std::string path{name};
    std::replace(path.begin(), path.end(), '.', '/');  // none of these has a dot in a part of its name
    if (auto value = read_file("/proc/sys/" + path); !value.empty()) facts.sysctls[name] = std::move(value);
  }
  facts.huge_pages = read_file("/sys/kernel/mm/transparent_hugepage/enabled");

  std::error_code e;
  auto there = std::filesystem::absolute(spool, e);
  facts.exists = std::filesystem::is_directory(there, e);
  while (!std::filesystem::is_directory(there, e) && there.has_relative_path()) there = there.parent_path();
  facts.spool = std::filesystem::weakly_canonical(there, e).string();
  facts.mount = mount_of(read_file("/proc/self/mountinfo"), facts.spool);
  look_at_attributes(facts);
  const auto files = io::system_files();
  if (const auto space = files->space(facts.spool)) facts.space = *space;
  if (!facts.exists) {
    facts.not_measured = "it is not there yet";
  } else if (const auto syncs = measure_syncs(*files, facts.spool, seconds)) {
    facts.syncs = SyncTimes{syncs->quantile(0.5), syncs->quantile(0.99)};
  } else {
    facts.not_measured = syncs.error().text;
  }
  return facts;
}

}  // namespace mansio::cli
