// Responses: what next hops' replies make us do. Rules say which replies (code, enhanced code, text, destination), how
// many of them in what time, and what then: suspend the destination, slow it down, lower its concurrency, take another
// source pool, or give the mail back. Pure: it is told of replies and answers with rules whose threshold was reached.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kernel/base/clock.hpp"

namespace mansio::scheduler {

struct ResponseRule {
  enum class Action : std::uint8_t { Suspend, Slow, Concurrency, Bounce, Pool };
  std::vector<std::string> destinations;  // empty: any; see matches_any()
  // SMTP codes and enhanced codes: "421", "4.7.1"; '*' stands for any rest: "4*", "4.7.*". Empty: any.
  std::vector<std::string> codes;
  std::function<bool(std::string_view)> text;  // none: any
  std::uint32_t threshold = 1;                 // so many such replies of one destination ...
  Nanos window = 60 * kSecond;                 // ... in this time
  Action action = Action::Suspend;
  Nanos time = 600 * kSecond;     // how long Suspend and Pool last
  std::uint32_t concurrency = 1;  // of Concurrency: deliveries at once from then on, until successes raise it again
  std::string pool;
};

struct Reply {
  std::string_view destination;
  std::string_view code, enhanced;  // "421", "4.7.0"; "" if there was none
  std::string_view text;
  std::string_view site = {};  // whose rules for destinations count as well
};

class Responses {
 public:
  void set(std::vector<ResponseRule> rules);
  bool empty() const { return rules_.empty(); }
  // The first rule that the reply matches; null: none. Good until set().
  const ResponseRule *match(const Reply &reply) const;
  // Counts a reply that the rule matches. True: its threshold is reached; it counts anew then.
  bool reached(const ResponseRule &rule, std::string_view destination, Nanos now);
  std::size_t remembered() const { return counts_.size(); }  // destinations and rules

  // Replies of a destination that a rule has counted: of what a restart is to know. Times are mono.
  struct Count {
    std::uint32_t rule = 0;  // its number
    std::string destination;
    std::vector<Nanos> times;
  };
  std::vector<Count> counts(std::size_t most, Nanos now) const;
  void restore(const std::vector<Count> &counts, Nanos now);  // of the rules that are set

 private:
  using Key = std::pair<std::size_t, std::string>;  // rule, destination
  bool matches(const ResponseRule &rule, const Reply &reply) const;
  void forget(Nanos now);

  std::vector<ResponseRule> rules_;
  std::map<Key, std::deque<Nanos>> counts_;
  Nanos forget_at_ = 0;
};

}  // namespace mansio::scheduler
