#include "kernel/cli/postfix/personality.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

#include <cstdio>
#include <cstdlib>
#include <utility>

#include "kernel/cli/qshape.hpp"
#include "kernel/cli/say.hpp"

namespace mansio::cli::postfix {

Main personality(std::string_view argv0) {
  const auto name = argv0.substr(argv0.rfind('/') + 1);
  constexpr std::pair<std::string_view, Main> known[] = {{"postqueue", postqueue_main},
                                                         {"mailq", mailq_main},
                                                         {"postsuper", postsuper_main},
                                                         {"postcat", postcat_main},
                                                         {"qshape", qshape_main}};
  for (const auto &[tool, main] : known)
    if (name == tool) return main;
  return nullptr;
}

std::string mail_config() {
  const auto *from = std::getenv("MAIL_CONFIG");
  return from ? from : "";
}

Where instance_of(const std::string &given) {
  Where where;
  if (given.empty()) return where;
  struct stat st {};
  const bool file = ::stat(given.c_str(), &st) == 0 && !S_ISDIR(st.st_mode);
  where.config = file ? given : given + "/mansio.toml";
  return where;
}

void warn(std::string_view tool, std::string_view text) { put(fmt::format("{}: warning: {}\n", tool, text), stderr); }

int fatal(std::string_view tool, std::string_view text, int status) {
  std::fflush(stdout);
  put(fmt::format("{}: fatal: {}\n", tool, text), stderr);
  return status;
}

int qshape_main(int argc, char **argv) {
  CLI::App app{"Whose mail waits, by domain and age", "qshape"};
  ShapeOrder order;
  std::string config = mail_config();
  add_shape_options(app, order);
  app.add_option("-c", config, "configuration directory (or file), instead of the usual one");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError &e) {
    return app.exit(e) == 0 ? 0 : 1;
  }
  return cli::qshape_main(instance_of(config), std::move(order));
}

}  // namespace mansio::cli::postfix
