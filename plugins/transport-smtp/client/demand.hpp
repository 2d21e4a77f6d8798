// Which next hops have so much mail that a connection to them is worth keeping: those with several deliveries at
// once, or with one soon after the other. Pure: the caller gives the time.
#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace mansio::smtp {

class Demand {
 public:
  // A delivery to the next hop begins, ends. Monotonic ns.
  void begin(const std::string &nexthop, std::int64_t now);
  void end(const std::string &nexthop, std::int64_t now);
  // Of a delivery under way: others are, too, or another had just ended when it began.
  bool high(const std::string &nexthop) const;

 private:
  struct Entry {
    std::size_t running = 0;
    std::int64_t ended = 0;
    bool close = false;  // the last one to begin followed closely
  };
  std::map<std::string, Entry> entries_;
};

}  // namespace mansio::smtp
