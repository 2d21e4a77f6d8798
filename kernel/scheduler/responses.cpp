#include "kernel/scheduler/responses.hpp"

#include <algorithm>

#include "kernel/scheduler/limits.hpp"

namespace mansio::scheduler {
namespace {

constexpr Nanos kForgetEach = 60 * kSecond;

bool code_matches(std::string_view pattern, std::string_view code) {
  if (code.empty()) return false;
  if (!pattern.ends_with('*')) return pattern == code;
  pattern.remove_suffix(1);
  return code.starts_with(pattern);
}

}  // namespace

void Responses::set(std::vector<ResponseRule> rules) {
  rules_ = std::move(rules);
  counts_.clear();
}

bool Responses::matches(const ResponseRule &rule, const Reply &reply) const {
  if (!rule.destinations.empty() && !matches_any(rule.destinations, reply.destination) &&
      !matches_any(rule.destinations, reply.site))
    return false;
  const auto code = [&](const std::string &c) {
    return code_matches(c, reply.code) || code_matches(c, reply.enhanced);
  };
  if (!rule.codes.empty() && std::none_of(rule.codes.begin(), rule.codes.end(), code)) return false;
  return !rule.text || rule.text(reply.text);
}

const ResponseRule *Responses::match(const Reply &reply) const {
  const auto rule = std::find_if(rules_.begin(), rules_.end(), [&](const auto &r) { return matches(r, reply); });
  return rule == rules_.end() ? nullptr : &*rule;
}

bool Responses::reached(const ResponseRule &rule, std::string_view destination, Nanos now) {
  if (rule.threshold <= 1) return true;
  if (now >= forget_at_) forget(now);
  const Key key{static_cast<std::size_t>(&rule - rules_.data()), std::string{destination}};
  auto &times = counts_[key];
  times.push_back(now);
  while (times.front() + rule.window <= now) times.pop_front();
  if (times.size() < rule.threshold) return false;
  counts_.erase(key);
  return true;
}

std::vector<Responses::Count> Responses::counts(std::size_t most, Nanos now) const {
  std::vector<Count> out;
  for (const auto &[key, times] : counts_) {
    if (out.size() >= most) break;
    if (times.back() + rules_[key.first].window <= now) continue;
    out.push_back({static_cast<std::uint32_t>(key.first), key.second, {times.begin(), times.end()}});
  }
  return out;
}

void Responses::restore(const std::vector<Count> &counts, Nanos now) {
  for (const auto &count : counts) {
    if (count.rule >= rules_.size()) continue;
    std::deque<Nanos> times;
    for (const auto at : count.times)  // one that has yet to come is a clock's that was wrong
      if (at <= now && at + rules_[count.rule].window > now && times.size() < rules_[count.rule].threshold)
        times.push_back(at);
    std::sort(times.begin(), times.end());
    if (!times.empty()) counts_[{count.rule, count.destination}] = std::move(times);
  }
}

void Responses::forget(Nanos now) {
  forget_at_ = now + kForgetEach;
  std::erase_if(counts_, [&](const auto &c) { return c.second.back() + rules_[c.first.first].window <= now; });
}

}  // namespace mansio::scheduler
