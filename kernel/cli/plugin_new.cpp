#include "kernel/cli/plugin_new.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>

namespace mansio::cli {
namespace {

using Values = std::map<std::string, std::string>;

bool is_name(std::string_view name) {
  return !name.empty() && name.size() <= 60 && name.front() != '-' && name.back() != '-' &&
         std::all_of(name.begin(), name.end(),
                     [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; });
}

// "lookup-shout" -> "LookupShout"
std::string class_name(const std::string &name) {
  std::string out;
  bool upper = true;
  for (const char c : name) {
    if (c != '-') out += upper ? static_cast<char>(std::toupper(static_cast<unsigned char>(c))) : c;
    upper = c == '-';
  }
  return out;
}

std::string filled(std::string_view text, const Values &values) {
  std::string out{text};
  for (const auto &[name, value] : values) {
    const auto mark = '@' + name + '@';
    for (auto at = out.find(mark); at != out.npos; at = out.find(mark, at + value.size()))
      out.replace(at, mark.size(), value);
  }
  return out;
}

std::string_view template_text(std::string_view name) {
  for (const auto &file : plugin_templates())
    if (file.name == name) return file.text;
  return {};
}

// How a table of that kind is configured.
std::string configuration(const std::string &kind, const std::string &table, const std::string &name) {
  auto instance = fmt::format("[{}.{}]\nplugin = \"{}\"", kind, table, name);
  if (kind == "transport")
    return fmt::format("{}\n\n[[route]]\ndomain = [\"{}.example\"]\ntransport = \"{}\"", instance, table, table);
  if (kind == "lookup" || kind == "event" || kind == "store") return instance;
  if (kind == "rate")
    return fmt::format("{}\n\n[[rate_limit]]\nkey = \"tenant\"\nrate = \"100/m\"\nplugin = \"{}\"", instance, table);
  if (kind == "auth") return fmt::format("{}\n\n[smtpd]\nsasl_auth_enable = true\nauth = \"{}\"", instance, table);
  return fmt::format("{}\n\n[smtpd]\n{} = [\"{}\"]", instance, kind == "filter" ? "filters" : "policies", table);
}

int stopped_by(const std::string &what) {
  std::fprintf(stderr, "%s\n", what.c_str());
  return 1;
}

}  // namespace

int plugin_new_main(const NewPlugin &order) {
  const auto name = order.name.starts_with(order.kind + '-') ? order.name : order.kind + '-' + order.name;
  if (!is_name(name)) return stopped_by(name + " is no plugin's name; expected small letters, digits and '-'");
  const bool c = order.language == "c";
  const auto extension = std::string{c ? ".c" : ".cpp"};
  auto ident = name;
  std::replace(ident.begin(), ident.end(), '-', '_');
  const auto source = ident + extension;
  const auto table = name.substr(order.kind.size() + 1);
  const Values values{
      {"NAME", name},
      {"IDENT", ident},
      {"CLASS", class_name(name)},
      {"SOURCE", source},
      {"OPTION", c ? "value" : "suffix"},
      {"FOUND", c ? "x" : "keyx"},
      {"ONE_LINE", c ? fmt::format("cc -std=c11 -O2 $(pkg-config --cflags mansio-sdk) {} -o {}.so $(pkg-config --libs "
                                   "mansio-sdk)",
                                   source, name)
                     : fmt::format("c++ -std=c++20 -O2 $(pkg-config --cflags mansio-sdk) {} -o {}.so $(pkg-config "
                                   "--libs mansio-sdk)",
                                   source, name)},
      {"CONFIG", configuration(order.kind, table, name)},
  };
  const std::filesystem::path directory{order.directory.empty() ? name : order.directory};
  std::error_code error;
  if (std::filesystem::exists(directory, error) && !std::filesystem::is_empty(directory, error))
    return stopped_by(directory.string() + " is there already; expected a new or empty directory");
  std::filesystem::create_directories(directory, error);
  if (error) return stopped_by(directory.string() + ": " + error.message());
  for (const auto &[from, to] : {std::pair{std::string{"CMakeLists.txt"}, std::string{"CMakeLists.txt"}},
                                 {"README.md", "README.md"},
                                 {order.kind + extension, source},
                                 {order.kind + "_test.cpp", "test.cpp"}}) {
    std::ofstream out{directory / to};
    out << filled(template_text(from), values);
    if (!out.flush()) return stopped_by((directory / to).string() + " cannot be written");
    fmt::print("{}\n", (directory / to).string());
  }
  fmt::print("{} says how to go on\n", (directory / "README.md").string());
  return 0;
}

}  // namespace mansio::cli
