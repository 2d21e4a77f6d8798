#include "kernel/cli/map.hpp"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <fstream>
#include <iterator>

#include "kernel/cli/say.hpp"

namespace mansio::cli {
namespace {

int build(const std::string &source, std::string to, bool fold_case) {
  if (to.empty()) to = source + ".lmdb";
  std::ifstream in{source, std::ios::binary};
  const std::string text{std::istreambuf_iterator<char>{in}, {}};
  if (!in) return refuse("map", source + " cannot be read");
  const auto entries = build_map(text, source, to, fold_case);
  if (!entries) return refuse("map", entries.error().text);
  std::printf("%s: %zu entries\n", to.c_str(), *entries);
  return 0;
}

int query(const std::string &path, const std::vector<std::string> &keys, bool fold_case) {
  const auto values = query_map(path, keys, fold_case);
  if (!values) return refuse("map", values.error().text);
  int status = 0;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const auto &value = (*values)[i];
    if (!value)
      status = 1;
    else if (keys.size() == 1)
      std::printf("%s\n", value->c_str());
    else
      std::printf("%s\t%s\n", keys[i].c_str(), value->c_str());
  }
  return status;
}

}  // namespace

int map_main(int argc, char **argv) {
  std::string source, to, path;
  std::vector<std::string> keys;
  bool exact = false;
  CLI::App app{"Make the tables that lookup-lmdb reads, and look into one", "mansio map"};
  app.require_subcommand(1);
  auto *build_command = app.add_subcommand("build", "make a table from a text file with a key and a value a line");
  build_command->add_option("source", source, "text file, in the syntax of lookup-file's texthash")->required();
  build_command->add_option("file", to, "file to make; without: the source's name and .lmdb");
  auto *query_command =
      app.add_subcommand("query", "print the values of keys, after the key if there are several; status 1: not found");
  query_command->add_option("file", path, "table")->required();
  query_command->add_option("keys", keys, "what to look up")->required();
  for (auto *command : {build_command, query_command})
    command->add_flag("--exact-case", exact, "tell upper and lower case of keys apart, as with fold_case = false");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError &e) {
    return app.exit(e) == 0 ? 0 : 64;  // EX_USAGE
  }
  return build_command->parsed() ? build(source, to, !exact) : query(path, keys, !exact);
}

}  // namespace mansio::cli
