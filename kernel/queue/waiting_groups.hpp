// Whose mail else waits for a limit: of some groups, how many are whose. A count that stops somewhere, as there may be
// millions; what it saw of them says who they are.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kernel/queue/json_line.hpp"

namespace mansio::queue {

struct WaitingGroups {
  static constexpr std::size_t kLookedAt = 1000;
  static constexpr std::size_t kNamed = 3;
  struct Names {
    std::string_view tenant, sender_domain, destination;
  };
  using Counts = std::map<std::string, std::uint64_t, std::less<>>;

  void add(const Names &names) {
    ++groups;
    count(tenants, names.tenant);
    count(sender_domains, names.sender_domain);
    count(destinations, names.destination);
  }
  void put(Json &j) const {
    const bool any =
        tells(tenants, own.tenant) || tells(sender_domains, own.sender_domain) || tells(destinations, own.destination);
    if (!any) return;
    j.key("waiting").open('{');
    if (!all) j.key("looked_at").number(groups);
    put(j, "tenant", tenants, own.tenant);
    put(j, "sender_domain", sender_domains, own.sender_domain);
    put(j, "destination", destinations, own.destination);
    j.close('}');
  }

  Names own;         // of the group asked about
  bool all = false;  // all that wait were looked at
  std::uint64_t groups = 0;
  Counts tenants, sender_domains, destinations;

 private:
  static void count(Counts &counts, std::string_view name) {
    const auto at = counts.find(name);
    if (at != counts.end())
      ++at->second;
    else
      counts.emplace(name, 1);
  }
  // Not where all are as the one asked about.
  static bool tells(const Counts &counts, std::string_view own) {
    return counts.size() > 1 || (counts.size() == 1 && counts.begin()->first != own);
  }
  // The largest few.
  static void put(Json &j, std::string_view key, const Counts &counts, std::string_view own) {
    if (!tells(counts, own)) return;
    std::vector<std::pair<std::string_view, std::uint64_t>> most{counts.begin(), counts.end()};
    std::stable_sort(most.begin(), most.end(), [](const auto &a, const auto &b) { return a.second > b.second; });
    most.resize(std::min(most.size(), kNamed));
    j.key(key).open('[');
    for (const auto &[name, n] : most) j.open('{').key("name").text(name).key("groups").number(n).close('}');
    j.close(']');
  }
};

}  // namespace mansio::queue
