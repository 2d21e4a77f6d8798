#include "plugins/testing/readme.hpp"

#include <gtest/gtest.h>
#include <toml++/toml.h>

#include <fstream>
#include <iterator>
#include <sstream>
#include <string>

#include "mansio/testing/fake_host.hpp"

namespace mansio::testing {
namespace {

std::string readme_of(const mansio_plugin *plugin) {
  std::ifstream in{std::string{MANSIO_SOURCE_DIR} + "/plugins/" + plugin->name + "/README.md"};
  return {std::istreambuf_iterator<char>{in}, {}};
}

std::string options_table(const mansio_option *options) {
  static constexpr const char *kTypes[] = {"text", "path", "integer", "boolean", "duration", "size", "list"};
  std::string out = "| option | type | default | meaning |\n| --- | --- | --- | --- |\n";
  for (const auto *o = options; o->name; ++o) {
    std::string value = o->flags & MANSIO_OPT_REQUIRED ? "required" : "none";
    if (o->fallback && *o->fallback) value = std::string{"`"} + o->fallback + "`";
    std::string help;
    for (const char *c = o->help; *c; ++c) help += *c == '|' ? std::string{"\\|"} : std::string(1, *c);
    out += std::string{"| `"} + o->name + "` | " + kTypes[o->type] + (o->flags & MANSIO_OPT_SECRET ? ", secret" : "") +
           " | " + value + " | " + help + " |\n";
  }
  return out;
}

std::string value_text(const toml::node &node) {
  std::string out;
  if (const auto *list = node.as_array())
    for (const auto &element : *list) out += (out.empty() ? "" : ",") + value_text(element);
  else if (const auto text = node.value<std::string>())
    out = *text;
  else if (const auto flag = node.value_exact<bool>())
    out = *flag ? "true" : "false";
  else
    out = std::to_string(node.value<std::int64_t>().value());
  return out;
}

// What check() says of these options, but for what an example cannot have. The host's own are left out.
std::string check(const mansio_plugin *plugin, const toml::table &options) {
  FakeHost::Options given;
  for (const auto *o = plugin->options; o->name; ++o)
    if (const auto *value = options.get(o->name); value && !value->is_table())  // in a file of its own
      given[o->name] = value_text(*value);
  std::istringstream lines{FakeHost::check(plugin, given)};
  std::string out;
  for (std::string line; std::getline(lines, line);)
    if (!line.ends_with("which is not there")) out += line + "\n";
  return out;
}

}  // namespace

void expect_options_in_readme(const mansio_plugin *plugin) {
  const auto table = options_table(plugin->options);
  EXPECT_NE(readme_of(plugin).find(table), std::string::npos) << "expected in the README of " << plugin->name << ":\n"
                                                              << table;
}

void expect_example_in_readme(const mansio_plugin *plugin) {
  const auto readme = readme_of(plugin);
  constexpr std::string_view kBegin = "```toml\n";
  std::size_t examples = 0;
  for (auto at = readme.find(kBegin); at != std::string::npos; at = readme.find(kBegin, at + 1)) {
    const auto begin = at + kBegin.size();
    const auto parsed = toml::parse(readme.substr(begin, readme.find("```", begin) - begin));
    for (const auto *kind : {"lookup", "transport", "filter", "policy", "event", "rate", "auth", "store"}) {
      const auto *instances = parsed[kind].as_table();
      if (!instances) continue;
      for (const auto &[name, options] : *instances) {
        const auto &table = *options.as_table();
        if (table["plugin"].value<std::string>() != plugin->name) continue;
        ++examples;
        EXPECT_EQ(check(plugin, table), "") << name.str();
      }
    }
  }
  EXPECT_GT(examples, 0u) << "no example in the README of " << plugin->name;
}

}  // namespace mansio::testing
