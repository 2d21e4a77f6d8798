// A plugin's option table as configuration schema.
#include <algorithm>

#include "kernel/host/plugin.hpp"

namespace mansio::host {

using config::PluginOption;

std::vector<PluginOption> options_of(const mansio_plugin &plugin) {
  std::vector<PluginOption> all;
  for (const auto *o = plugin.options; o && o->name; ++o) {
    auto &option = all.emplace_back();
    option.name = o->name;
    option.type = o->type <= MANSIO_OPT_LIST ? static_cast<PluginOption::Type>(o->type) : PluginOption::Type::Text;
    option.required = (o->flags & MANSIO_OPT_REQUIRED) != 0;
    option.secret = (o->flags & MANSIO_OPT_SECRET) != 0;
    option.fallback = o->fallback ? o->fallback : "";
    option.help = o->help ? o->help : "";
  }
  return all;
}

Result<std::map<std::string, std::string>> check_options(const mansio_plugin &plugin,
                                                         const std::map<std::string, std::string> &given) {
  static_assert(static_cast<int>(PluginOption::Type::List) == MANSIO_OPT_LIST, "the two lists of types agree");
  const auto table = options_of(plugin);
  std::map<std::string, std::string> checked;
  std::string problems;
  const auto problem = [&](const std::string &option, const std::string &text) {
    problems += (problems.empty() ? "" : "; ") + option + ": " + text;
  };
  for (const auto &option : table) {
    const auto value = given.find(option.name);
    if (value == given.end() && option.required) {
      problem(option.name, std::string{"required by "} + plugin.name);
      continue;
    }
    const auto &text = value == given.end() ? option.fallback : value->second;
    if (value == given.end() && text.empty()) {
      checked[option.name] = "";
      continue;
    }
    if (auto canonical = config::canonical_option(option, text))
      checked[option.name] = *canonical;
    else
      problem(option.name, canonical.error().text);
  }
  for (const auto &[name, value] : given) {
    if (std::any_of(table.begin(), table.end(), [&](const auto &o) { return o.name == name; })) continue;
    std::string known;
    for (const auto &option : table) known += (known.empty() ? "" : ", ") + option.name;
    problem(name, std::string{"no option of "} + plugin.name + "; it has: " + (known.empty() ? "none" : known));
  }
  if (!problems.empty()) return Error{Status::BadConfig, problems};
  return checked;
}

}  // namespace mansio::host
