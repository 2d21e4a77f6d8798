#include "kernel/cli/simulate/report.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace mansio::cli::simulate {
namespace {

constexpr std::size_t kRows = 20;  // of tenants and destinations, those with most
const std::string kNoName = "(none)";

std::string seconds(std::uint64_t microseconds) {
  const auto s = static_cast<double>(microseconds) * 1e-6;
  return s < 10 ? fmt::format("{:.2f}", s) : s < 1000 ? fmt::format("{:.1f}", s) : fmt::format("{:.0f}", s);
}

std::string index_of(const Fairness &f) {
  const auto index = f.index();
  return index ? fmt::format("{:.3f}", *index) : "";
}

std::string row(const std::string &name, const Totals &t, double over) {
  auto out =
      fmt::format("{:<26.26} {:>9} {:>9} {:>9} {:>9} {:>8} {:>8} {:>8} {:>8.1f} {:>7} {:>7} {:>7} {:>7} {:>6} {:>6}",
                  name, t.offered, t.delivered, t.deferred, t.suspended, t.rejected, t.expired, t.waiting(),
                  over > 0 ? static_cast<double>(t.delivered) / over : 0, seconds(t.delay.quantile(0.5)),
                  seconds(t.delay.quantile(0.9)), seconds(t.delay.quantile(0.99)), seconds(t.delay.max()),
                  index_of(t.between_destinations), index_of(t.between_tenants));
  out.erase(out.find_last_not_of(' ') + 1);
  return out + '\n';
}

std::vector<const Totals *> largest(const std::vector<Totals> &all) {
  std::vector<const Totals *> out;
  for (const auto &t : all) out.push_back(&t);
  std::stable_sort(out.begin(), out.end(), [](auto *a, auto *b) { return a->offered > b->offered; });
  if (out.size() > kRows) out.resize(kRows);
  return out;
}

std::string quoted(std::string text) {  // RFC 4180
  for (std::size_t i = 0; (i = text.find('"', i)) != text.npos; i += 2) text.insert(i, 1, '"');
  return '"' + text + '"';
}

}  // namespace

std::string name_of_tenant(const Report &r, std::size_t tenant) {
  const auto &name = r.tenants[tenant].name;
  return name.empty() ? kNoName : name;
}

std::vector<std::size_t> largest_tenants(const Report &r, std::size_t most) {
  std::vector<std::size_t> out;
  if (r.tenants.size() < 2) return out;
  for (std::size_t i = 0; i < std::min(r.tenants.size(), Step::kTenants); ++i) out.push_back(i);
  std::stable_sort(out.begin(), out.end(),
                   [&](std::size_t a, std::size_t b) { return r.tenants[a].offered > r.tenants[b].offered; });
  if (out.size() > most) out.resize(most);
  return out;
}

std::string table(const Scenario &s, const Report &r) {
  const auto over = static_cast<double>(r.ended) / kSecond;
  std::string out = s.title.empty() ? s.name + "\n" : s.name + ": " + s.title + "\n";
  out += fmt::format(
      "{:.0f} s of mail, the last delivery after {:.0f} s; counts are deliveries, delays seconds from arrival\n\n",
      static_cast<double>(s.duration) / kSecond, over);
  out += fmt::format("{:<26} {:>9} {:>9} {:>9} {:>9} {:>8} {:>8} {:>8} {:>8} {:>7} {:>7} {:>7} {:>7} {:>6} {:>6}\n", "",
                     "offered", "delivered", "deferred", "suspended", "rejected", "expired", "waiting", "each s", "p50",
                     "p90", "p99", "max", "Jain d", "Jain t");
  out += row("all", r.all, over);
  for (const auto *t : largest(r.destinations)) out += row(t->name, *t, over);
  if (r.destinations.size() > kRows) out += fmt::format("... and {} more\n", r.destinations.size() - kRows);
  const bool named = std::any_of(s.arrivals.begin(), s.arrivals.end(), [](const auto &a) { return !a.name.empty(); });
  if (named) {
    out += "\nby arrival\n";
    for (const auto &t : r.arrivals) out += row(t.name, t, over);
  }
  if (r.tenants.size() > 1) {
    out += "\nby tenant\n";
    for (const auto *t : largest(r.tenants)) out += row(t->name.empty() ? kNoName : t->name, *t, over);
    if (r.tenants.size() > kRows) out += fmt::format("... and {} more\n", r.tenants.size() - kRows);
  }
  if (!r.pools.empty()) {
    out += fmt::format("\n{:<26} {:>9} {:>9}\n", "by source pool", "tried", "delivered");
    for (const auto &p : r.pools) out += fmt::format("{:<26.26} {:>9} {:>9}\n", p.name, p.tried, p.delivered);
  }
  if (!r.rate_owners.empty()) {
    out += fmt::format("\n{:<26} {:>9} {:>9} {:>9} {:>9}\n", "by owner of limits", "questions", "permits", "returned",
                       "failures");
    for (const auto &o : r.rate_owners)
      out += fmt::format("{:<26.26} {:>9} {:>9} {:>9} {:>9}\n", o.name, o.questions, o.permits, o.returned, o.failures);
  }
  out +=
      "\nJain's index, 1 being even and 1/n all for one of n: d between destinations that are served, of a row or of a "
      "tenant's mail; t between tenants whose mail waits, there or anywhere; blank where there was nobody to "
      "compare.\n";
  out += fmt::format("{} decisions, {:.2f} us each\n", r.decisions,
                     r.decisions == 0 ? 0 : r.decision_seconds * 1e6 / static_cast<double>(r.decisions));
  if (r.violations.empty())
    return out + "no limit was exceeded, nothing waited that could go, nothing was leased twice or lost\n";
  for (const auto &v : r.violations) out += "VIOLATED " + v + "\n";
  return out;
}

std::string csv(const Scenario &s, const Report &r) {
  std::string out =
      "seconds,arrived,delivered,deferred,suspended,rejected,expired,due,waiting,under_way,mean_delay,p50,p90,p99";
  for (const auto &d : s.destinations) out += ',' + quoted("delivered " + d.name);
  for (const auto &p : r.pools) out += ',' + quoted("delivered from " + p.name);
  const auto tenants = largest_tenants(r, kRows);
  for (const auto t : tenants) out += ',' + quoted("delivered tenant " + name_of_tenant(r, t));
  out += '\n';
  for (const auto &step : r.steps) {
    out += fmt::format("{:.3f},{},{},{},{},{},{},{},{},{},{:.3f},{:.3f},{:.3f},{:.3f}",
                       static_cast<double>(step.at) / kSecond, step.arrived, step.delivered, step.deferred,
                       step.suspended, step.rejected, step.expired, step.due, step.waiting, step.under_way,
                       step.mean_delay, step.p50, step.p90, step.p99);
    for (const auto n : step.by_destination) out += fmt::format(",{}", n);
    for (std::size_t i = 0; i < r.pools.size(); ++i)
      out += fmt::format(",{}", i < step.by_pool.size() ? step.by_pool[i] : 0);
    for (const auto t : tenants) out += fmt::format(",{}", t < step.by_tenant.size() ? step.by_tenant[t] : 0);
    out += '\n';
  }
  return out;
}

}  // namespace mansio::cli::simulate
