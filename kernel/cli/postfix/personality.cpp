#include "kernel/cli/postfix/personality.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

#include <cstdio>
#include <cstdlib>
#include <utility>

#include "kernel/cli/qshape.hpp"
#include "kernel/cli/say.hpp"

namespace mansio::cli::postfix {
namespace {

constexpr const char *kQshapeUsage =
    R"(usage: qshape [-s] [-p] [-m min_subdomains] [-l] [-b buckets] [-t minutes] [-w columns]
              [-n lines] [-N interval] [-c config_dir] [queue_name ...]
  -s  by the sender's domain; without it by those of recipients
  -p  parent domains as well, with a dot before their names, from -m subdomains on (5)
  -b  number of age buckets (10), at most 1000; the last takes whatever is older
  -t  minutes of the first bucket (5); each of the others is twice as long as the one before it
  -l  buckets that are all as long as the first
  -w  columns of the output (80)
  -n  lines to show on a terminal (20; 0: all); elsewhere all are
  -N  taken and without effect: there are no results in between to show
  -c  directory with mansio.toml, or that file, instead of the usual one
queue_name: incoming, active, deferred, hold, corrupt, or a path that ends so; without one
incoming and active. maildrop is taken as well, and always empty: Mansio has no such queue.
)";

}  // namespace

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
  bool help = false;
  app.set_help_flag();
  app.add_flag("-h,--help", help);
  add_shape_options(app, order);
  app.add_option("-c", config, "configuration directory (or file), instead of the usual one");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError &e) {
    return app.exit(e) == 0 ? 0 : 1;
  }
  if (help) {
    put(kQshapeUsage);
    return 0;
  }
  return cli::qshape_main(instance_of(config), std::move(order));
}

}  // namespace mansio::cli::postfix
