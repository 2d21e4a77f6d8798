// cidr_table(5): networks and addresses, IPv4 and IPv6, in the order of the file.
#include <arpa/inet.h>

#include <array>
#include <charconv>
#include <cstdint>
#include <string>

#include "plugins/lookup-file/tables/rules.hpp"
#include "plugins/lookup-file/tables/table.hpp"

namespace mansio::lookup {
namespace {

struct Address {
  std::array<std::uint8_t, 16> bytes{};
  unsigned bits = 0;  // 32, 128; 0: none
};

Address parse_address(std::string_view text) {
  Address a;
  if (text.size() >= INET6_ADDRSTRLEN) return a;
  const std::string terminated{text};
  if (::inet_pton(AF_INET, terminated.c_str(), a.bytes.data()) == 1)
    a.bits = 32;
  else if (::inet_pton(AF_INET6, terminated.c_str(), a.bytes.data()) == 1)
    a.bits = 128;
  return a;
}

std::string_view without_brackets(std::string_view text) {
  return text.size() > 2 && text.front() == '[' && text.back() == ']' ? text.substr(1, text.size() - 2) : text;
}

struct Network {
  Address address;
  unsigned prefix = 0;

  bool contains(const Address &a) const {
    if (a.bits != address.bits) return false;
    for (unsigned bit = 0; bit < prefix; bit += 8) {
      const auto mask = prefix - bit >= 8 ? 0xffu : 0xffu << (8 - (prefix - bit));
      if (((a.bytes[bit / 8] ^ address.bytes[bit / 8]) & mask) != 0) return false;
    }
    return true;
  }
  bool has_host_bits() const {
    for (unsigned bit = prefix; bit < address.bits; ++bit)
      if ((address.bytes[bit / 8] >> (7 - bit % 8)) & 1) return true;
    return false;
  }
};

// "" = fine.
std::string parse_network(std::string_view text, Network &network) {
  const std::string shown{text};
  text = without_brackets(text);
  const auto slash = text.find('/');
  network.address = parse_address(without_brackets(text.substr(0, slash)));
  if (network.address.bits == 0)
    return "has \"" + shown + "\", expected an address or a network such as \"192.0.2.0/24\" or \"2001:db8::/32\"";
  network.prefix = network.address.bits;
  if (slash == std::string_view::npos) return {};
  const auto mask = text.substr(slash + 1);
  const auto [end, error] = std::from_chars(mask.data(), mask.data() + mask.size(), network.prefix);
  if (error != std::errc{} || end != mask.data() + mask.size() || network.prefix > network.address.bits)
    return "has \"" + shown + "\", expected a length from 0 to " + std::to_string(network.address.bits) +
           " after the slash";
  if (network.has_host_bits())
    return "has \"" + shown + "\" with bits set beyond its length, expected the network's first address";
  return {};
}

class CidrTable : public MemoryTable {
 public:
  Rules<Network, std::string> rules;

  Answer lookup(std::string_view key) const override {
    const auto address = parse_address(without_brackets(key));
    if (address.bits == 0) return Answer::not_found();
    bool failed = false;
    const auto *rule =
        rules.first([&](const Network &n) { return n.contains(address) ? Match::Yes : Match::No; }, failed);
    return rule ? Answer::found(*rule->result) : Answer::not_found();
  }
};

// "" = fine.
std::string add(CidrTable &table, const plugin::LogicalLine &line) {
  using plugin::text_table::blank;
  using plugin::text_table::trim;
  const auto text = rule_text(line.text);
  if (text.kind == RuleText::Kind::EndIf) {
    if (!text.rest.empty() || text.negated) return "has text after \"endif\"";
    return table.rules.close() ? "" : "has an \"endif\" without \"if\"";
  }
  std::size_t end = 0;
  while (end < text.rest.size() && !blank(text.rest[end])) ++end;
  const auto result = trim(text.rest.substr(end));
  Rules<Network, std::string>::Rule rule;
  rule.negated = text.negated;
  if (auto wrong = parse_network(text.rest.substr(0, end), rule.pattern); !wrong.empty()) return wrong;
  if (text.kind == RuleText::Kind::If) {
    if (!result.empty()) return "has text after the network of an \"if\"";
    table.rules.open(line.number, std::move(rule));
    return {};
  }
  if (result.empty()) return "has no result, expected: network result";
  rule.result = result;
  table.rules.add(std::move(rule));
  return {};
}

}  // namespace

ParsedTable parse_cidr_table(std::string_view text) {
  ParsedTable out;
  auto table = std::make_unique<CidrTable>();
  for (const auto &line : plugin::logical_lines(text, out.problems))
    if (auto wrong = add(*table, line); !wrong.empty()) out.problems.push_back({line.number, std::move(wrong)});
  table->rules.finish(out.problems);
  if (out.problems.empty()) out.table = std::move(table);
  return out;
}

}  // namespace mansio::lookup
