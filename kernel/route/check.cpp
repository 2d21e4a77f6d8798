#include "kernel/route/check.hpp"

#include "kernel/route/route_table.hpp"

namespace mansio::route {

std::vector<config::Problem> check_routes(const config::Parsed &parsed, const std::string &file) {
  const RouteTable table{parsed.settings};
  // The null sender, and one that no route names.
  for (const auto *sender : {"", "nobody@sender.invalid"}) {
    const auto decision = table.route(sender, "postmaster");
    if (!decision.refusal) continue;
    const auto place = parsed.places.find("postmaster");
    config::Problem problem{file, 0, "postmaster",
                            "has no way: every route for it refuses (" + std::to_string(decision.refusal->code) + ' ' +
                                decision.refusal->text +
                                "), but mail for postmaster must be accepted; expected an address that some "
                                "[[route]] delivers"};
    if (place != parsed.places.end()) problem.file = place->second.file, problem.line = place->second.line;
    return {std::move(problem)};
  }
  return {};
}

}  // namespace mansio::route
