// Which server addresses answer, as far as this process knows: what is being opened now, and what failed a moment ago.
// So one mail exchanger that hangs costs a delivery now and then, not the throughput of its domain. Pure: the caller
// gives the time.
//
// An address is left alone for a while after it did not connect or did not greet; then one delivery, and only one,
// tries it again. While an opening is slow, others go elsewhere, long before it is given up. Nothing is ever ruled
// out: where all addresses are bad, they are tried as if all were good.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "plugins/transport-smtp/client/nexthop.hpp"

namespace mansio::smtp {

class Health {
 public:
  // Monotonic ns: how long an opening may take at first while there is another address to try; how long an address
  // that failed is left alone at first. Both double with each further failure, up to bounds.
  Health(std::int64_t failover_time, std::int64_t probe_interval)
      : failover_time_(failover_time), probe_interval_(probe_interval) {}

  // The time that opening the address may take while another one is left; 0 = no limit of ours.
  std::int64_t patience(const std::string &key) const;
  // Those to be trusted first, whatever their preference; inside one preference first those where no opening is late,
  // then those with the fewest openings under way. Otherwise the order stays.
  void order(std::vector<Target> &targets, std::int64_t now) const;

  // An opening begins; it ends with one of the three below.
  void begin(const std::string &key, std::int64_t now);
  void answered(const std::string &key, std::int64_t began);
  void failed(const std::string &key, std::int64_t began, std::int64_t now);
  void withdrawn(const std::string &key, std::int64_t began);  // our own decision

  std::size_t known() const { return entries_.size(); }

 private:
  struct Entry {
    std::multiset<std::int64_t> opening;  // since when
    unsigned failures = 0;                // in a row
    std::int64_t down_until = 0;
  };
  bool trusted(const std::string &key, std::int64_t now) const;
  std::size_t openings(const std::string &key) const;
  bool late(const std::string &key, std::int64_t now) const;
  void end(const std::string &key, std::int64_t began);
  void forget_old(std::int64_t now);

  std::int64_t failover_time_, probe_interval_;
  std::map<std::string, Entry> entries_;  // only what is being opened, or has failed
};

}  // namespace mansio::smtp
