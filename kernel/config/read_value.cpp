#include "kernel/config/read_value.hpp"

#include <fmt/format.h>

#include "kernel/config/include.hpp"
#include "kernel/config/values.hpp"

namespace mansio::config {
namespace {

// What was found, short enough for a message.
std::string found(const TomlValue &value) {
  if (const auto *text = value.as<std::string>()) {
    return text->size() <= 60 ? toml_string(*text) : fmt::format("a text of {} octets", text->size());
  }
  if (const auto *integer = value.as<std::int64_t>()) return std::to_string(*integer);
  if (const auto *number = value.as<double>()) return fmt::format("{}", *number);
  if (const auto *boolean = value.as<bool>()) return *boolean ? "true" : "false";
  return std::string{value.kind()};
}

// { file = "PATH" } in place of a text: the text is in that file.
const TomlValue *file_table(const TomlValue &value) {
  const auto *table = value.as<TomlTable>();
  return table && table->size() == 1 && table->front().key == "file" ? &table->front().value : nullptr;
}

bool is_line(std::string text) { return kLine.canonical(text); }

}  // namespace

std::nullopt_t ValueReader::refuse(const TomlValue &value, const std::string &key, const Form &form) {
  problems_.add(value.place, key, fmt::format("is {}, expected {}", found(value), expected(form)));
  return std::nullopt;
}

std::optional<std::string> ValueReader::secret(const TomlValue &value, const std::string &key) {
  const auto *path = value.as<std::string>();
  if (!path || path->empty() || path->find('\0') != path->npos) {
    problems_.add(value.place, key, fmt::format("is {}, expected the path of a file with the text", found(value)));
    return std::nullopt;
  }
  const auto full = resolve_path(*path, *value.place.file);
  auto content = files_.read(full);
  if (!content) {
    problems_.add(value.place, key, full + ' ' + content.error().text);
    return std::nullopt;
  }
  auto text = *std::move(content);
  if (text.ends_with('\n')) text.pop_back();
  if (text.ends_with('\r')) text.pop_back();
  if (!is_utf8(text) || text.find('\0') != text.npos) {
    problems_.add(value.place, key, full + " is not UTF-8 text");
    return std::nullopt;
  }
  return text;
}

std::optional<std::string> ValueReader::text_of(const TomlValue &value, const std::string &key) {
  if (const auto *file = file_table(value)) return secret(*file, key);
  if (const auto *text = value.as<std::string>()) return *text;
  return std::nullopt;
}

std::optional<Datum> ValueReader::read_file(const TomlValue &value, const std::string &key, const Form &form) {
  auto text = secret(value, key);
  if (!text) return std::nullopt;
  if (form.syntax->canonical(*text)) return *std::move(text);
  // The content may be a secret: it is not shown.
  problems_.add(value.place, key,
                fmt::format("names a file whose content is not as expected: {}", form.syntax->expected));
  return std::nullopt;
}

std::optional<std::vector<std::string>> ValueReader::list_of(const TomlValue &value, const std::string &key,
                                                             const Form &form) {
  const auto *list = value.as<TomlList>();
  if (!list) return refuse(value, key, form);
  std::vector<std::string> out;
  bool good = true;
  for (const auto &element : *list) {
    const auto *given = element.as<std::string>();
    std::string text = given ? *given : std::string{};
    if (!given || !form.syntax->canonical(text)) {
      problems_.add(element.place, key, fmt::format("holds {}, expected {}", found(element), form.syntax->expected));
      good = false;
      continue;
    }
    out.push_back(std::move(text));
  }
  if (!good) return std::nullopt;
  return out;
}

std::optional<Datum> ValueReader::read(const TomlValue &value, const std::string &key, const Form &form) {
  const auto in_range = [&](auto n) {
    return n >= static_cast<decltype(n)>(form.least) && n <= static_cast<decltype(n)>(form.most);
  };
  switch (form.type) {
    case OptionType::Boolean:
      if (const auto *boolean = value.as<bool>()) return *boolean;
      break;
    case OptionType::Integer:
      if (const auto *integer = value.as<std::int64_t>(); integer && in_range(*integer)) return *integer;
      break;
    case OptionType::Number: {
      const auto *number = value.as<double>();
      const auto *integer = value.as<std::int64_t>();
      const double n = number ? *number : integer ? static_cast<double>(*integer) : -1;
      if ((number || integer) && in_range(n)) return n;
      break;
    }
    case OptionType::Duration:
    case OptionType::Size: {
      const bool duration = form.type == OptionType::Duration;
      std::string text;
      if (const auto *integer = value.as<std::int64_t>()) text = std::to_string(*integer);
      if (const auto *given = value.as<std::string>()) text = *given;
      std::optional<std::int64_t> n;
      if (duration) {
        n = parse_duration(text);
      } else if (const auto size = parse_size(text)) {
        n = static_cast<std::int64_t>(*size);
      }
      if (n && in_range(*n)) return *n;
      break;
    }
    case OptionType::Text: {
      auto text = text_of(value, key);
      if (text && form.syntax->canonical(*text)) return *std::move(text);
      if (file_table(value)) {
        if (text)
          problems_.add(value.place, key,
                        fmt::format("names a file whose content is not as expected: {}", form.syntax->expected));
        return std::nullopt;
      }
      break;
    }
    case OptionType::Path:
      if (const auto *path = value.as<std::string>(); path && is_line(*path)) {
        return path->empty() ? *path : resolve_path(*path, *value.place.file);
      }
      break;
    case OptionType::Choice:
      if (const auto *name = value.as<std::string>()) {
        for (std::size_t i = 0; i < form.choices.size(); ++i) {
          if (form.choices[i] == *name) return static_cast<std::int64_t>(i);
        }
        const auto near = suggestion(*name, form.choices);
        if (!near.empty()) {
          problems_.add(value.place, key,
                        fmt::format("is {}, expected {}; did you mean \"{}\"?", found(value), expected(form), near));
          return std::nullopt;
        }
      }
      break;
    case OptionType::List:
      if (auto list = list_of(value, key, form)) return *std::move(list);
      return std::nullopt;
  }
  return refuse(value, key, form);
}

std::optional<std::string> ValueReader::plugin_text(const TomlValue &value, const std::string &key) {
  if (const auto *integer = value.as<std::int64_t>()) return std::to_string(*integer);
  if (const auto *number = value.as<double>()) return fmt::format("{}", *number);
  if (const auto *boolean = value.as<bool>()) return *boolean ? "true" : "false";
  if (value.as<std::string>() || file_table(value)) {
    auto text = text_of(value, key);
    if (text && text->find('\0') != text->npos) {
      problems_.add(value.place, key, "holds a NUL, expected a text without");
      return std::nullopt;
    }
    return text;
  }
  std::string out;
  if (const auto *list = value.as<TomlList>()) {
    if (!plugin_list(*list, key, "", out)) return std::nullopt;
    return out;
  }
  if (const auto *table = value.as<TomlTable>()) {
    for (const auto &entry : *table) {
      const auto *list = entry.value.as<TomlList>();
      const auto name = entry.key + '=';
      if (entry.key.find_first_of(std::string_view{",=\0", 3}) != entry.key.npos) {
        problems_.add(entry.place, key, fmt::format("holds {}, expected names without comma and '='", entry.key));
        return std::nullopt;
      }
      if (!list) {
        problems_.add(entry.value.place, key + '.' + entry.key,
                      fmt::format("is {}, expected a list of texts", entry.value.kind()));
        return std::nullopt;
      }
      if (!plugin_list(*list, key + '.' + entry.key, name, out)) return std::nullopt;
    }
    return out;
  }
  problems_.add(value.place, key,
                fmt::format("is {}, expected a text, number, boolean, list of texts, table of lists, or {{ file = "
                            "\"PATH\" }}",
                            value.kind()));
  return std::nullopt;
}

// Elements joined by ',', each after `prefix`.
bool ValueReader::plugin_list(const TomlList &list, const std::string &key, const std::string &prefix,
                              std::string &out) {
  for (const auto &element : list) {
    const auto *text = element.as<std::string>();
    const auto *integer = element.as<std::int64_t>();
    if ((!text && !integer) ||
        (text && (text->empty() || text->find_first_of(std::string_view{",\0", 2}) != text->npos))) {
      problems_.add(element.place, key, fmt::format("holds {}, expected texts without comma", found(element)));
      return false;
    }
    if (!out.empty()) out += ',';
    out += prefix + (text ? *text : std::to_string(*integer));
  }
  return true;
}

}  // namespace mansio::config
