// Plugin options as their plugin's table declares them: canonical text out of what a user wrote.
#include <fmt/format.h>

#include "kernel/config/options.hpp"
#include "kernel/config/parse.hpp"
#include "kernel/config/trimmed.hpp"
#include "kernel/config/values.hpp"

namespace mansio::config {

Result<std::string> canonical_option(const PluginOption &option, std::string_view value) {
  const auto refuse = [&](std::string_view wanted) {
    const auto shown = option.secret ? std::string{"not shown"} : toml_string(value);
    return Error{Status::BadConfig, fmt::format("is {}, expected {}", shown, wanted)};
  };
  if (value.find('\0') != value.npos) return refuse("a text without NUL");
  switch (option.type) {
    case PluginOption::Type::Text:
      return std::string{value};
    case PluginOption::Type::Path:
      if (value.empty() && !option.required) return std::string{};
      if (!value.starts_with('/')) return refuse("an absolute path");
      return std::string{value};
    case PluginOption::Type::Integer:
      if (const auto n = parse_integer(value)) return std::to_string(*n);
      return refuse("an integer");
    case PluginOption::Type::Boolean:
      if (value == "true" || value == "false") return std::string{value};
      return refuse("true or false");
    case PluginOption::Type::Duration:
      if (const auto n = parse_duration(value)) return std::to_string(*n);
      return refuse(expected({.type = OptionType::Duration, .most = INT64_MAX}));
    case PluginOption::Type::Size:
      if (const auto n = parse_size(value)) return std::to_string(*n);
      return refuse(expected({.type = OptionType::Size, .most = INT64_MAX}));
    case PluginOption::Type::List: {
      std::string out;
      if (trimmed(value).empty()) return out;
      for (std::string_view rest = value;;) {
        const auto comma = rest.find(',');
        const auto element = trimmed(rest.substr(0, comma));
        if (element.empty()) return refuse("a list without empty elements");
        if (!out.empty()) out += ',';
        out += element;
        if (comma == rest.npos) return out;
        rest.remove_prefix(comma + 1);
      }
    }
  }
  return refuse("a known type");
}

}  // namespace mansio::config
