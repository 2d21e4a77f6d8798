// The host of a plugin's check(): options and somewhere to report, nothing to act with.
#include "kernel/host/option_check.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include "kernel/host/reply.hpp"

namespace mansio::host {
namespace {

struct CheckHost {
  const OptionTexts &options;
  const OptionTexts &facts;
  std::vector<OptionProblem> problems{};
};

CheckHost &check_of(const mansio_host *host) { return *static_cast<CheckHost *>(host->ctx); }

mansio_str find_text(const OptionTexts &texts, const char *name) {
  const auto i = texts.find(name);
  return i == texts.end() ? mansio_str{nullptr, 0} : str(i->second);
}

constexpr mansio_host_config kCheckConfig{
    [](const mansio_host *host, const char *name) noexcept { return find_text(check_of(host).options, name); },
    [](const mansio_host *host, const char *name) noexcept { return find_text(check_of(host).facts, name); },
};
constexpr mansio_host_problem kCheckProblem{[](const mansio_host *host, mansio_str option, mansio_str text) noexcept {
  check_of(host).problems.push_back({std::string{view(option)}, one_line(view(text))});
}};
// What is worth an operator's attention is a problem; the rest is said when the plugin starts.
constexpr mansio_host_log kCheckLog{[](const mansio_host *, int, mansio_op, mansio_str) noexcept {}};

const void *check_service(const mansio_host *, const char *iface) noexcept {
  const std::string_view id{iface ? iface : ""};
  if (id == "mansio.host.config/1") return &kCheckConfig;
  if (id == "mansio.host.problem/1") return &kCheckProblem;
  if (id == "mansio.host.log/1") return &kCheckLog;
  return nullptr;
}

}  // namespace

std::string one_line(std::string_view text) {
  std::string out{text};
  std::replace_if(
      out.begin(), out.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; }, ' ');
  return out;
}

std::vector<OptionProblem> judge_options(const mansio_plugin &plugin, const OptionTexts &given,
                                         const OptionTexts &facts) {
  auto table = check_table(plugin, given);
  for (const auto *o = plugin.options; o && o->name; ++o)
    if ((o->flags & MANSIO_OPT_REQUIRED) != 0 && !given.contains(o->name)) return std::move(table.problems);
  if (!plugin.check) return std::move(table.problems);
  CheckHost check{table.values, facts};
  const mansio_host host{sizeof host, MANSIO_ABI_MINOR, &check, check_service};
  try {
    plugin.check(&host);
  } catch (...) {
    check.problems.push_back({"", std::string{"cannot be checked: "} + plugin.name + " threw an exception"});
  }
  // The plugin saw the default of an option whose value is none of its type; of that one enough has been said.
  std::erase_if(check.problems, [&](const OptionProblem &problem) {
    return !problem.option.empty() &&
           std::any_of(table.problems.begin(), table.problems.end(),
                       [&](const OptionProblem &other) { return other.option == problem.option; });
  });
  table.problems.insert(table.problems.end(), std::make_move_iterator(check.problems.begin()),
                        std::make_move_iterator(check.problems.end()));
  return std::move(table.problems);
}

}  // namespace mansio::host
