#include "kernel/control/metrics.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <iterator>
#include <map>
#include <string_view>

namespace mansio::control {
namespace {

std::string number(double v) {
  if (std::isnan(v)) return "NaN";
  if (std::isinf(v)) return v > 0 ? "+Inf" : "-Inf";
  return fmt::format("{}", v);
}

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\\' || c == '"') out += '\\';
    if (c == '\n')
      out += "\\n";
    else
      out += c;
  }
  return out;
}

std::string help_line(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\\')
      out += "\\\\";
    else if (c == '\n')
      out += "\\n";
    else
      out += c;
  }
  return out;
}

}  // namespace

std::string prometheus_text(const std::vector<wire::Stats> &stats) {
  std::map<std::string, std::string, std::less<>> families, help;
  // While sessions outlive a reload there are two processes of a name, which may not have the same labels.
  std::map<std::string_view, std::uint32_t> latest;
  for (const auto &s : stats) latest[s.from.name] = std::max(latest[s.from.name], s.from.generation);
  for (const auto &s : stats) {
    for (const auto &text : s.help) help.emplace(text.substr(0, text.find(' ')), text);
    const auto process = escaped(s.from.name);
    for (const auto &[sample, value] : s.values) {
      const auto brace = sample.find('{');
      const auto name = sample.substr(0, brace);
      std::string labels = fmt::format("process=\"{}\"", process);
      if (s.from.generation < latest[s.from.name]) labels += fmt::format(",epoch=\"{}\"", s.from.generation);
      if (brace != std::string::npos && sample.size() > brace + 2)
        labels += ',' + sample.substr(brace + 1, sample.size() - brace - 2);
      fmt::format_to(std::back_inserter(families[name]), "{}{{{}}} {}\n", name, labels, number(value));
    }
  }
  std::string out;
  for (const auto &[name, samples] : families) {
    if (const auto text = help.find(name); text != help.end())
      out += std::string{wire::Stats::kHelp} + help_line(text->second) + '\n';
    out += fmt::format("# TYPE {} {}\n{}", name, name.ends_with("_total") ? "counter" : "gauge", samples);
  }
  return out;
}

}  // namespace mansio::control
