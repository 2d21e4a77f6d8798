#include "kernel/supervisor/checked.hpp"

#include <fmt/format.h>

#include <filesystem>

namespace mansio::supervisor {

std::string default_plugin_dir() {
  std::error_code e;
  const auto binary = std::filesystem::read_symlink("/proc/self/exe", e);
  return (binary.parent_path().parent_path() / "lib/mansio/plugins").string();
}

std::string descriptor_shortage(const config::Plan &plan, std::uint64_t limit, bool single) {
  if (!single) {
    if (plan.descriptors() <= limit) return {};
    return fmt::format(
        "{} may need {} open files, but the limit is {}: raise it (ulimit -n, LimitNOFILE=) or lower "
        "that setting",
        plan.largest(), plan.descriptors(), limit);
  }
  auto all = plan.ingress_descriptors + plan.queue_descriptors + plan.supervisor_descriptors +
             (plan.ingress_processes + 1) * plan.other_descriptors;
  for (const auto &t : plan.transports) all += t.descriptors;
  for (const auto &h : plan.hosts) all += h.descriptors;
  if (all <= limit) return {};
  return fmt::format(
      "all roles in one process may need {} open files, but the limit is {}: raise it (ulimit -n), "
      "lower connection_limit or process_limit, or run without --single",
      all, limit);
}

std::string incompatible(const Checked &running, const Checked &next) {
  const auto changed = [](const char *what, const std::string &from, const std::string &to) {
    return fmt::format("{} cannot change from {} to {} while Mansio runs; restart it", what, from, to);
  };
  if (running.plan.spool != next.plan.spool) return changed("spool", running.plan.spool, next.plan.spool);
  if (running.plan.user != next.plan.user || running.uid != next.uid)
    return changed("user", running.plan.user, next.plan.user);
  return {};
}

}  // namespace mansio::supervisor
