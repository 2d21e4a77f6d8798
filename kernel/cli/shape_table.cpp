#include "kernel/cli/shape_table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>

#include "kernel/base/without_controls.hpp"
#include "kernel/cli/json_fields.hpp"

namespace mansio::cli {
namespace {

namespace json = boost::json;

constexpr std::size_t kLeastNameWidth = 18;
constexpr unsigned kLeastWidth = 80;

// "a.b.example.com" -> ".b.example.com" -> ".example.com" -> "": a top level domain is nobody's parent here.
std::string parent_of(const std::string &name) {
  const auto dot = name.find('.', name.starts_with('.') ? 1 : 0);
  if (dot == std::string::npos || dot == 0 || name.find('.', dot + 1) == std::string::npos) return {};
  return name.substr(dot);
}

}  // namespace

ShapeTable::ShapeTable(const ShapeForm &form) : form_(form), head_{"T"} {
  form_.width = std::max(form_.width, kLeastWidth);
  double end = 0;
  for (unsigned i = 1; i < form_.buckets; ++i) {
    end += form_.linear || i == 1 ? form_.minutes : end;
    head_.push_back(fmt::format("{:.15g}", end));
  }
  head_.push_back(fmt::format("{:.15g}+", end));
  total_.counts.resize(head_.size());
}

void ShapeTable::add_to(const std::string &name, const Counts &counts) {
  auto &row = rows_[name];
  row.counts.resize(head_.size());
  for (std::size_t i = 0; i < counts.size(); ++i) row.counts[i] += counts[i];
}

void ShapeTable::add(std::string_view json_line) {
  boost::system::error_code e;
  const auto value = json::parse({json_line.data(), json_line.size()}, e);
  if (e || !value.is_object()) return;
  const auto &o = value.get_object();
  const bool destination = o.contains("destination");
  // A name is the operator's word or a domain some sender chose.
  auto name = without_controls(text_of(o, destination ? "destination" : "domain"));
  const auto *ages = o.if_contains("ages");
  if ((!destination && !o.contains("domain")) || !ages || !ages->is_array() ||
      ages->get_array().size() + 1 != head_.size())
    return;
  Counts counts{0};
  for (const auto &n : ages->get_array()) {
    counts.push_back(n.is_int64() && n.get_int64() > 0 ? static_cast<std::uint64_t>(n.get_int64()) : 0);
    counts[0] += counts.back();
  }
  for (std::size_t i = 0; i < counts.size(); ++i) total_.counts[i] += counts[i];
  if (destination) {  // the same next hop of two transports is two destinations
    destinations_ = true;
    const auto transport = text_of(o, "transport");
    const auto key = rows_.contains(name) && rows_[name].transport != transport ? name + " (" + transport + ")" : name;
    add_to(key, counts);
    rows_[key].transport = transport;
    return;
  }
  bool fresh = !rows_.contains(name);
  add_to(name, counts);
  if (!form_.parents) return;
  for (auto parent = parent_of(name); !parent.empty(); parent = parent_of(parent)) {
    const bool fresh_parent = !rows_.contains(parent);
    add_to(parent, counts);
    if (fresh) ++rows_[parent].subdomains;
    fresh = fresh_parent;
  }
}

bool ShapeTable::shown(const std::string &name, const Row &row) const {
  return !name.starts_with('.') || row.subdomains >= form_.min_subdomains;
}

std::vector<std::pair<std::string, const ShapeTable::Row *>> ShapeTable::sorted() const {
  std::vector<std::pair<std::string, const Row *>> order;
  for (const auto &[name, row] : rows_)
    if (shown(name, row)) order.emplace_back(name, &row);
  order.emplace_back("TOTAL", &total_);  // a line like the others, and mostly the first
  std::stable_sort(order.begin(), order.end(), [](const auto &a, const auto &b) {
    const auto x = a.second->counts[0], y = b.second->counts[0];
    return x != y ? x > y : a.first.size() < b.first.size();
  });
  return order;
}

void ShapeTable::line(std::string &out, const std::string &name, std::size_t name_width,
                      const std::vector<std::string> &cells, const std::vector<std::size_t> &widths) {
  if (name.size() <= name_width) {
    out.append(name_width - name.size(), ' ') += name;
  } else {  // its end tells more than its beginning
    const std::string_view mark = name.starts_with('.') ? ".+" : "+";
    (out += mark) += name.substr(name.size() - (name_width - mark.size()));
  }
  for (std::size_t i = 0; i < cells.size(); ++i) out += fmt::format("{:>{}}", cells[i], widths[i]);
  out += '\n';
}

std::string ShapeTable::text() const {
  std::vector<std::size_t> widths;
  std::size_t all = 0;
  for (std::size_t i = 0; i < head_.size(); ++i) {
    const auto longest = std::max(head_[i].size(), std::to_string(total_.counts[i]).size());
    widths.push_back(longest > 2 ? longest + 1 : 3);
    all += widths.back();
  }
  const auto name_width = std::max<std::size_t>(form_.width > all ? form_.width - all : 0, kLeastNameWidth);
  std::string out;
  line(out, "", name_width, head_, widths);
  unsigned lines = 0;
  for (const auto &[name, row] : sorted()) {
    if (form_.top != 0 && ++lines > form_.top) break;
    std::vector<std::string> cells;
    for (const auto n : row->counts) cells.push_back(std::to_string(n));
    line(out, name, name_width, cells, widths);
  }
  return out;
}

std::string ShapeTable::json() const {
  std::string out;
  for (const auto &[name, row] : sorted()) {
    if (row == &total_) continue;
    json::object o;
    if (destinations_) o["transport"] = row->transport;
    o[destinations_ ? "destination" : "domain"] = name;
    o["total"] = row->counts[0];
    o["ages"] = json::array(row->counts.begin() + 1, row->counts.end());
    out += json::serialize(o) + "\n";
  }
  return out;
}

}  // namespace mansio::cli
