#include "kernel/cli/qshape.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cstdio>
#include <iostream>

#include "kernel/base/without_controls.hpp"

namespace mansio::cli {
namespace {

namespace json = boost::json;

std::string line_of(const std::string &name, std::size_t name_width, const auto &numbers,
                    const std::vector<std::size_t> &widths) {
  auto out = fmt::format("{:>{}}", name, name_width);
  for (std::size_t i = 0; i < numbers.size(); ++i) out += fmt::format(" {:>{}}", numbers[i], widths[i]);
  return out + "\n";
}

}  // namespace

ShapeTable::ShapeTable(unsigned buckets, unsigned width, bool linear) : head_{"T"} {
  std::uint64_t end = width;
  for (unsigned i = 0; i < buckets; ++i) {
    head_.push_back(std::to_string(end));
    if (i + 1 < buckets) end = std::min<std::uint64_t>(linear ? end + width : end * 2, 1'000'000);
  }
  head_.push_back(std::to_string(end) + "+");
}

void ShapeTable::add(std::string_view json_line) {
  boost::system::error_code e;
  const auto value = json::parse({json_line.data(), json_line.size()}, e);
  if (e || !value.is_object()) return;
  const auto &o = value.get_object();
  const auto *name = o.if_contains("destination");
  const auto *ages = o.if_contains("ages");
  if (!name || !name->is_string() || !ages || !ages->is_array() || ages->get_array().size() + 1 != head_.size()) return;
  // A next hop is the operator's word or a domain some sender chose.
  Row row{without_controls(std::string{name->get_string()}), {0}};
  for (const auto &n : ages->get_array()) {
    row.numbers.push_back(n.is_int64() ? n.get_int64() : 0);
    row.numbers[0] += row.numbers.back();
  }
  rows_.push_back(std::move(row));
}

std::string ShapeTable::text() const {
  Row total{"TOTAL", std::vector<std::int64_t>(head_.size())};
  std::size_t name_width = total.name.size();
  for (const auto &row : rows_) {
    name_width = std::max(name_width, row.name.size());
    for (std::size_t i = 0; i < head_.size(); ++i) total.numbers[i] += row.numbers[i];
  }
  std::vector<std::size_t> widths;  // the totals are the longest of their columns
  for (std::size_t i = 0; i < head_.size(); ++i)
    widths.push_back(std::max({head_[i].size(), std::to_string(total.numbers[i]).size(), std::size_t{3}}));
  auto order = rows_;
  std::stable_sort(order.begin(), order.end(), [](const Row &a, const Row &b) {
    return a.numbers[0] != b.numbers[0] ? a.numbers[0] > b.numbers[0] : a.name < b.name;
  });
  auto out = line_of("", name_width, head_, widths) + line_of(total.name, name_width, total.numbers, widths);
  for (const auto &row : order) out += line_of(row.name, name_width, row.numbers, widths);
  return out;
}

int qshape_main(const Where &where, const ShapeOrder &order) {
  const auto complain = [](const std::string &text) {
    std::cerr << "mansio: " << text << "\n";
    return 1;
  };
  auto control = ControlClient::connect(where);
  if (!control) return complain(control.error().text);
  std::string states;
  for (const auto &state : order.states) states += (states.empty() ? "" : ",") + state;
  ShapeTable table{order.buckets, order.width, order.linear};
  const json::object match{{"state", states.empty() ? "incoming,active" : states},
                           {"buckets", std::to_string(order.buckets)},
                           {"width", std::to_string(order.width)},
                           {"linear", order.linear ? "true" : "false"}};
  const auto request =
      json::serialize(json::object{{"command", "queue"}, {"verb", "qshape"}, {"all", true}, {"match", match}});
  const auto asked = control->ask(request, [&](std::string_view line) {
    if (order.json)
      std::fwrite((std::string{line} + "\n").data(), 1, line.size() + 1, stdout);
    else
      table.add(line);
  });
  if (!asked) return complain(asked.error().text);
  if (!order.json) {
    const auto text = table.text();
    std::fwrite(text.data(), 1, text.size(), stdout);
  }
  return 0;
}

}  // namespace mansio::cli
