// A plugin's option table as configuration schema.
#include <algorithm>

#include "kernel/config/options.hpp"
#include "kernel/config/values.hpp"
#include "kernel/host/option_check.hpp"
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

std::string to_string(const OptionProblem &problem) {
  return problem.option.empty() ? problem.text : problem.option + ' ' + problem.text;
}

TableCheck check_table(const mansio_plugin &plugin, const OptionTexts &given) {
  static_assert(static_cast<int>(PluginOption::Type::List) == MANSIO_OPT_LIST, "the two lists of types agree");
  const auto table = options_of(plugin);
  TableCheck out;
  for (const auto &option : table) {
    auto &to = out.values[option.name];
    const auto value = given.find(option.name);
    if (value == given.end() && option.required) {
      out.problems.push_back({option.name, std::string{"is missing; "} + plugin.name + " demands it"});
      continue;
    }
    if (value != given.end()) {
      auto canonical = config::canonical_option(option, value->second);
      if (canonical) {
        to = std::move(*canonical);
        continue;
      }
      out.problems.push_back({option.name, canonical.error().text});
    }
    if (option.fallback.empty()) continue;
    if (auto canonical = config::canonical_option(option, option.fallback)) {
      to = std::move(*canonical);
    } else {
      out.problems.push_back({option.name, "has a default that is none: " + canonical.error().text});
    }
  }
  std::vector<std::string_view> names;
  names.reserve(table.size());
  for (const auto &option : table) names.push_back(option.name);
  for (const auto &[name, value] : given) {
    if (std::find(names.begin(), names.end(), name) != names.end()) continue;
    auto text = std::string{"is not an option of "} + plugin.name;
    if (const auto near = config::suggestion(name, names); !near.empty()) {
      text += "; did you mean " + std::string{near} + '?';
    } else {
      text += ", which has ";
      if (names.empty()) text += "none";
      for (std::size_t i = 0; i < names.size(); ++i) text += (i > 0 ? ", " : "") + std::string{names[i]};
    }
    out.problems.push_back({name, std::move(text)});
  }
  return out;
}

bool is_of_budgets(std::string_view option) {
  return std::ranges::any_of(config::budget_options(), [&](const auto &budget) { return budget.name == option; });
}

Result<OptionTexts> check_options(const mansio_plugin &plugin, const OptionTexts &given) {
  auto checked = check_table(plugin, given);
  if (checked.problems.empty()) return std::move(checked.values);
  std::string all;
  for (const auto &problem : checked.problems) all += (all.empty() ? "" : "; ") + to_string(problem);
  return Error{Status::BadConfig, all};
}

}  // namespace mansio::host
