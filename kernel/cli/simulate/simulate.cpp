#include "kernel/cli/simulate/simulate.hpp"

#include <CLI/CLI.hpp>
#include <fstream>
#include <iostream>

#include "kernel/cli/simulate/report.hpp"

namespace mansio::cli {
namespace {

bool write(const std::string &path, const std::string &text) {
  if (path.empty()) return true;
  std::ofstream file{path, std::ios::binary};
  if (file << text && file.flush()) return true;
  std::cerr << "mansio: cannot write " << path << "\n";
  return false;
}

}  // namespace

int simulate_main(int argc, char **argv) {
  CLI::App app{"Run the queue's scheduler on a scenario under a virtual clock", "mansio simulate"};
  std::string path, csv, svg;
  std::uint64_t seed = 0;
  app.add_option("scenario", path, "TOML file; examples/simulate has some")->required();
  app.add_option("--csv", csv, "write a line a step to FILE");
  app.add_option("--svg", svg, "write a plot to FILE");
  auto *seeded = app.add_option("--seed", seed, "instead of the scenario's");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError &e) {
    return app.exit(e) == 0 ? 0 : 64;  // EX_USAGE
  }
  auto scenario = simulate::read_scenario(path);
  if (!scenario) {
    std::cerr << scenario.error().text;
    return 1;
  }
  if (*seeded) scenario->seed = seed;
  const auto report = simulate::Simulation{*scenario}.run();
  std::cout << simulate::table(*scenario, report);
  const bool written = write(csv, simulate::csv(*scenario, report)) && write(svg, simulate::svg(*scenario, report));
  return written && report.violations.empty() ? 0 : 1;
}

}  // namespace mansio::cli
