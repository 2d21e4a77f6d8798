// The plot: panels over time, drawn as plain SVG 1.1.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "kernel/cli/simulate/report.hpp"

namespace mansio::cli::simulate {
namespace {

constexpr double kWidth = 900, kLeft = 80, kRight = 190, kPanel = 170, kGap = 50, kTop = 50;
constexpr std::size_t kLines = 8;  // of destinations, and of tenants
constexpr std::string_view kColours[] = {"#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e",
                                         "#17becf", "#8c564b", "#e377c2", "#7f7f7f", "#bcbd22"};

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) out += c == '<' ? "&lt;" : c == '&' ? "&amp;" : c == '"' ? "&quot;" : std::string(1, c);
  return out;
}

struct Line {
  std::string name;
  std::vector<double> values;  // by step
};

// The next of 1, 2, 5 times a power of ten.
double round_up(double x) {
  if (x <= 0) return 1;
  const auto power = std::pow(10, std::floor(std::log10(x)));
  for (const double f : {1.0, 2.0, 5.0})
    if (f * power >= x) return f * power;
  return 10 * power;
}

std::string panel(double top, const std::string &title, const std::vector<Line> &lines, const std::vector<double> &at) {
  double most = 0;
  for (const auto &line : lines)
    for (const auto v : line.values) most = std::max(most, v);
  most = round_up(most);
  const auto end = at.empty() ? 1 : at.back();
  const auto x = [&](double t) { return kLeft + t / end * (kWidth - kLeft - kRight); };
  const auto y = [&](double v) { return top + kPanel * (1 - v / most); };
  auto out =
      fmt::format("<text x=\"{}\" y=\"{:.1f}\" font-weight=\"bold\">{}</text>\n", kLeft, top - 8, escaped(title));
  for (int i = 0; i <= 4; ++i) {
    const auto v = most * i / 4;
    out += fmt::format(
        "<line x1=\"{}\" x2=\"{}\" y1=\"{:.1f}\" y2=\"{:.1f}\" stroke=\"#ddd\"/>"
        "<text x=\"{}\" y=\"{:.1f}\" text-anchor=\"end\">{:g}</text>\n",
        kLeft, kWidth - kRight, y(v), y(v), kLeft - 6, y(v) + 4, v);
    out += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"middle\">{:g}</text>\n", x(end * i / 4),
                       top + kPanel + 16, std::round(end * i / 4));
  }
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const auto colour = kColours[i % std::size(kColours)];
    std::string points;
    for (std::size_t k = 0; k < at.size(); ++k)
      points += fmt::format("{:.1f},{:.1f} ", x(at[k]), y(lines[i].values[k]));
    out += fmt::format("<polyline fill=\"none\" stroke=\"{}\" stroke-width=\"1.3\" points=\"{}\"/>\n", colour, points);
    out += fmt::format("<text x=\"{}\" y=\"{:.1f}\" fill=\"{}\">{}</text>\n", kWidth - kRight + 10,
                       top + 12 + 16 * static_cast<double>(i), colour, escaped(lines[i].name));
  }
  return out;
}

}  // namespace

std::string svg(const Scenario &s, const Report &r) {
  std::vector<double> at;
  for (const auto &step : r.steps) at.push_back(static_cast<double>(step.at) / kSecond);
  // A rate for each step, whose last one may be short.
  const auto rate = [&](auto count) {
    std::vector<double> out;
    double before = 0;
    for (std::size_t i = 0; i < at.size(); ++i) {
      const auto length = std::max(at[i] - before, 1e-9);
      out.push_back(static_cast<double>(count(r.steps[i])) / length);
      before = at[i];
    }
    return out;
  };
  const auto value = [&](auto of) {
    std::vector<double> out;
    for (const auto &step : r.steps) out.push_back(static_cast<double>(of(step)));
    return out;
  };
  std::vector<Line> served{{"arrived", rate([](const Step &x) { return x.arrived; })},
                           {"delivered", rate([](const Step &x) { return x.delivered; })}};
  if (s.destinations.size() > 1)
    for (std::size_t i = 0; i < s.destinations.size() && i < kLines; ++i)
      served.push_back({s.destinations[i].name, rate([i](const Step &x) { return x.by_destination[i]; })});
  for (std::size_t i = 0; i < r.pools.size() && i < kLines; ++i)
    served.push_back(
        {"from " + r.pools[i].name, rate([i](const Step &x) { return i < x.by_pool.size() ? x.by_pool[i] : 0; })});
  const std::vector<Line> failed{{"deferred", rate([](const Step &x) { return x.deferred; })},
                                 {"suspended", rate([](const Step &x) { return x.suspended; })},
                                 {"rejected", rate([](const Step &x) { return x.rejected; })},
                                 {"expired", rate([](const Step &x) { return x.expired; })}};
  const std::vector<Line> left{{"waiting", value([](const Step &x) { return x.waiting; })},
                               {"under way", value([](const Step &x) { return x.under_way; })}};
  const std::vector<Line> late{{"p50", value([](const Step &x) { return x.p50; })},
                               {"p90", value([](const Step &x) { return x.p90; })},
                               {"p99", value([](const Step &x) { return x.p99; })},
                               {"mean", value([](const Step &x) { return x.mean_delay; })}};
  std::vector<Line> tenants;
  for (const auto t : largest_tenants(r, kLines))
    tenants.push_back(
        {name_of_tenant(r, t), rate([t](const Step &x) { return t < x.by_tenant.size() ? x.by_tenant[t] : 0; })});
  std::vector<std::pair<std::string, const std::vector<Line> *>> panels{
      {"deliveries a second", &served},
      {"what did not go through, a second", &failed},
      {"deliveries that wait and under way (over seconds)", &left},
      {"delay of what was delivered, seconds", &late}};
  if (!tenants.empty()) panels.emplace_back("deliveries a second, by tenant", &tenants);
  const auto height = kTop + static_cast<double>(panels.size()) * (kPanel + kGap) + 10;
  auto out = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0}\" height=\"{1}\" viewBox=\"0 0 {0} {1}\" "
      "font-family=\"sans-serif\" font-size=\"11\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
      "<text x=\"{2}\" y=\"22\" font-size=\"15\">{3}</text>\n",
      kWidth, height, kLeft, escaped(s.title.empty() ? s.name : s.title));
  auto top = kTop;
  for (const auto &[title, lines] : panels) {
    out += panel(top, title, *lines, at);
    top += kPanel + kGap;
  }
  return out + "</svg>\n";
}

}  // namespace mansio::cli::simulate
