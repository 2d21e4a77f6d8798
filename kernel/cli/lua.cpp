#include "kernel/cli/lua.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "kernel/config/parse.hpp"
#include "kernel/host/option_check.hpp"
#include "kernel/host/plugin.hpp"
#include "kernel/supervisor/checked.hpp"

namespace mansio::cli {

namespace {

// What is wrong within a script begins with its place, FILE:LINE:, for editors; what is wrong with the options is told
// as ever.
std::string script_problem(const host::OptionProblem &problem, const std::string &path) {
  const auto within = "names " + path + ", which cannot be used: ";
  return problem.option == "script" && problem.text.starts_with(within) ? problem.text.substr(within.size())
                                                                        : to_string(problem);
}

}  // namespace

int lua_check_main(const LuaCheck &order) {
  std::string dir;
  if (::access(order.config.c_str(), R_OK) == 0) {
    const auto files = config::direct_files();
    dir = config::parse_settings(order.config, *files).settings.plugin_dir;
  }
  if (dir.empty()) dir = supervisor::default_plugin_dir();
  const auto plugin = host::load_plugin(dir + "/lua.so");
  if (!plugin) {
    std::fprintf(stderr, "%s\n", plugin.error().text.c_str());
    return 1;
  }
  std::string allow;
  for (const auto &library : order.allow) allow += (allow.empty() ? "" : ",") + library;
  int status = 0;
  for (const auto &script : order.scripts) {
    std::error_code error;
    const auto path = std::filesystem::absolute(script, error).string();
    host::OptionTexts given{{"script", error ? script : path}};
    if (!allow.empty()) given.emplace("allow", allow);
    if (!order.settings.empty()) given.emplace("secrets", lines_of_settings(order.settings));
    const auto problems = host::judge_options(**plugin, given, {{"instance", "check"}, {"state_directory", "/state"}});
    for (const auto &problem : problems) std::fprintf(stderr, "%s\n", script_problem(problem, path).c_str());
    if (problems.empty())
      fmt::print("{}: good\n", script);
    else
      status = 1;
  }
  return status;
}

std::string lines_of_settings(const std::vector<std::string> &settings) {
  return fmt::format("{}", fmt::join(settings, "\n"));
}

int lua_tool_main(const std::vector<std::string> &words) {
  const auto tool = (std::filesystem::path{supervisor::default_plugin_dir()}.parent_path() / "lua-tool").string();
  std::vector<std::string> all{"lua-tool"};
  all.insert(all.end(), words.begin(), words.end());
  std::vector<char *> argv;
  for (auto &word : all) argv.push_back(word.data());
  argv.push_back(nullptr);
  ::execv(tool.c_str(), argv.data());
  std::fprintf(stderr, "cannot run %s: %s\n", tool.c_str(), std::strerror(errno));
  return 1;
}

}  // namespace mansio::cli
