// How the forms of options are described to people and how their values are written.
#include <fmt/format.h>

#include <limits>

#include "kernel/config/options.hpp"
#include "kernel/config/values.hpp"

namespace mansio::config {
namespace {

constexpr auto kNoLimit = std::numeric_limits<std::int64_t>::max();

std::string bound(const Form &form, std::int64_t n) {
  if (form.type == OptionType::Duration) return print_duration(n);
  if (form.type == OptionType::Size) return print_size(static_cast<std::uint64_t>(n));
  return std::to_string(n);
}

std::string range(const Form &form) {
  if (form.most == kNoLimit) return form.least == 0 ? "" : fmt::format(", at least {}", bound(form, form.least));
  return fmt::format(" from {} to {}", bound(form, form.least), bound(form, form.most));
}

std::string joined(std::span<const std::string_view> names) {
  std::string out;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (i > 0) out += i + 1 == names.size() ? " or " : ", ";
    out += toml_string(names[i]);
  }
  return out;
}

}  // namespace

std::string expected(const Form &form) {
  switch (form.type) {
    case OptionType::Boolean:
      return "true or false";
    case OptionType::Integer:
      return "an integer" + range(form);
    case OptionType::Number:
      return "a number" + range(form);
    case OptionType::Duration:
      return "a duration (seconds, or a text such as \"90s\", \"5m\", \"1h\", \"2d\")" + range(form);
    case OptionType::Size:
      return "a size (bytes, or a text such as \"10M\" or \"64MiB\")" + range(form);
    case OptionType::Text:
      return std::string{form.syntax->expected};
    case OptionType::Path:
      return "a path";
    case OptionType::Choice:
      return joined(form.choices);
    case OptionType::List:
      return fmt::format("a list; each element {}", form.syntax->expected);
  }
  return {};
}

std::string describe(const Form &form) {
  switch (form.type) {
    case OptionType::Boolean:
      return "boolean";
    case OptionType::Integer:
      return "integer" + range(form);
    case OptionType::Number:
      return "number" + range(form);
    case OptionType::Duration:
      return "duration" + range(form);
    case OptionType::Size:
      return "size" + range(form);
    case OptionType::Text:
      return std::string{form.syntax->name};
    case OptionType::Path:
      return "path";
    case OptionType::Choice:
      return joined(form.choices);
    case OptionType::List:
      return fmt::format("list of {}", form.syntax->name);
  }
  return {};
}

std::string print_datum(const Form &form, const Datum &value) {
  if (const auto *boolean = std::get_if<bool>(&value)) return *boolean ? "true" : "false";
  if (const auto *text = std::get_if<std::string>(&value)) return toml_string(*text);
  if (const auto *number = std::get_if<double>(&value)) {
    auto out = fmt::format("{}", *number);  // shortest text that reads back the same
    if (out.find_first_of(".e") == out.npos) out += ".0";
    return out;
  }
  if (const auto *integer = std::get_if<std::int64_t>(&value)) {
    switch (form.type) {
      case OptionType::Duration:
        return toml_string(print_duration(*integer));
      case OptionType::Size:
        return *integer < 1024 ? std::to_string(*integer)
                               : toml_string(print_size(static_cast<std::uint64_t>(*integer)));
      case OptionType::Choice:
        return toml_string(form.choices[static_cast<std::size_t>(*integer)]);
      default:
        return std::to_string(*integer);
    }
  }
  std::string out = "[";
  for (const auto &element : std::get<std::vector<std::string>>(value)) {
    if (out.size() > 1) out += ", ";
    out += toml_string(element);
  }
  return out + "]";
}

}  // namespace mansio::config
