#include "kernel/route/aliases.hpp"

#include <fmt/format.h>

#include <cstddef>
#include <unordered_set>

#include "kernel/mail/utf8.hpp"

namespace mansio::route {
namespace {

// Lists of lists: how many times as many as it may have recipients are looked at before an expansion is given up.
constexpr std::size_t kMembersOfAnExpansion = 10;
constexpr std::size_t kNobody = static_cast<std::size_t>(-1);

// An address on the way, and of whose expansion it is part.
struct Member {
  std::string address, name;  // name: in lower case, for comparison
  std::size_t parent;
  std::size_t depth;
};

bool within_itself(const std::vector<Member> &members, std::size_t which) {
  for (auto above = members[which].parent; above != kNobody; above = members[above].parent)
    if (members[above].name == members[which].name) return true;
  return false;
}

Expansion never(std::string why) {
  Expansion out;
  out.later = true;
  out.text = std::move(why);
  return out;
}

}  // namespace

Aliases::Aliases(const config::Settings &settings, const DomainTables &domains)
    : map_(settings, domains, settings.virtual_alias_maps, "virtual"),
      recursion_limit_(settings.virtual_alias_recursion_limit),
      expansion_limit_(settings.virtual_alias_expansion_limit) {}

Task<Expansion> Aliases::expand(Search &search, std::string address) const {
  Expansion out;
  if (map_.empty()) {
    out.addresses.push_back(std::move(address));
    co_return out;
  }
  std::vector<Member> members;
  members.push_back({address, lower(address), kNobody, 0});
  std::unordered_set<std::string> expanded, delivered;
  const auto deliver = [&](const Member &member) {
    if (delivered.insert(member.address).second) out.addresses.push_back(member.address);
  };
  for (std::size_t i = 0; i < members.size(); ++i) {
    if (within_itself(members, i)) {
      deliver(members[i]);
      continue;
    }
    if (!expanded.insert(members[i].name).second) continue;
    const auto mapped = co_await map_.find(search, members[i].address);
    if (mapped.later) co_return never(mapped.text);
    if (mapped.addresses.empty()) {
      deliver(members[i]);
      continue;
    }
    out.alias = true;
    if (members[i].depth >= recursion_limit_)
      co_return never(fmt::format("virtual_alias_recursion_limit ({}) is reached with {}", recursion_limit_, address));
    for (const auto &each : mapped.addresses) members.push_back({each, lower(each), i, members[i].depth + 1});
    const auto recipients = out.addresses.size() + members.size() - i - 1;
    if (recipients > expansion_limit_ || members.size() > kMembersOfAnExpansion * expansion_limit_ + recursion_limit_)
      co_return never(fmt::format("virtual_alias_expansion_limit ({}) is reached with {}", expansion_limit_, address));
  }
  co_return out;
}

}  // namespace mansio::route
