// Suspensions: mail that is not to be tried for a while, by destination, tenant, campaign, sender or source pool
// (everywhere, or at one destination), because an operator says so or a next hop's reply does. It waits where it is;
// the time it waits counts neither for its age nor for its back-off, so how long each suspension lasted is remembered
// after it has ended.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "kernel/base/clock.hpp"
#include "kernel/scheduler/limits.hpp"

namespace mansio::scheduler {

inline constexpr Nanos kForGood = std::numeric_limits<Nanos>::max();

struct Suspension {
  enum class Key : std::uint8_t { Destination, Tenant, Campaign, Sender, SourcePool };  // written down
  Key key = Key::Destination;
  std::string name;  // ".example.com" and "@example.com" stand for all that end so
  Nanos from = 0, until = kForGood;
  std::string reason;
  std::string destination = {};  // of a source pool: only what goes there, also ".example.com"; "": all of it

  bool covers(Key k, std::string_view what) const { return k == key && destination.empty() && stands_for(name, what); }
  bool covers_at(std::string_view source_pool, std::string_view to) const {
    return key == Key::SourcePool && !destination.empty() && stands_for(name, source_pool) &&
           stands_for(destination, to);
  }
  bool is(Key k, std::string_view n, std::string_view to) const { return k == key && n == name && to == destination; }

  static bool stands_for(std::string_view pattern, std::string_view what) {
    if (what == pattern) return true;
    const bool end = pattern.starts_with('.') || pattern.starts_with('@');
    return end && what.size() > pattern.size() && what.ends_with(pattern);
  }
};

// "tenant acme is suspended: they asked us to".
std::string text_of(const Suspension &suspension);

// What a message is, as far as suspensions look at it.
struct Subject {
  std::string_view destination, tenant, campaign, sender, source_pool = {};
  std::string_view source_group = {};  // that the source pool was chosen from
};

class Suspensions {
 public:
  // In place of one with the same name.
  void add(Suspension s, Nanos now) {
    remove(s.key, s.name, now, s.destination);
    s.from = now;
    active_.push_back(std::move(s));
  }
  // False: there is none of this name.
  bool remove(Suspension::Key key, std::string_view name, Nanos now, std::string_view destination = {}) {
    const auto at =
        std::find_if(active_.begin(), active_.end(), [&](const auto &s) { return s.is(key, name, destination); });
    if (at == active_.end()) return false;
    end(at, now);
    return true;
  }
  // Ends those whose time is over; true: there were some.
  bool expire(Nanos now) {
    bool any = false;
    for (std::size_t i = 0; i < active_.size();) {
      if (active_[i].until > now) {
        ++i;
        continue;
      }
      any = true;
      end(active_.begin() + static_cast<std::ptrdiff_t>(i), active_[i].until);
    }
    return any;
  }
  Nanos next() const {  // when expire() has something to do; kForGood: never
    Nanos at = kForGood;
    for (const auto &s : active_) at = std::min(at, s.until);
    return at;
  }
  // The one that lasts longest, of those that cover it.
  const Suspension *find(const Subject &of) const {
    const Suspension *found = nullptr;
    for (const auto &s : active_)
      if (covers(s, of) && (!found || s.until > found->until)) found = &s;
    return found;
  }
  const Suspension *find(Suspension::Key key, std::string_view name) const {
    for (const auto &s : active_)
      if (s.covers(key, name)) return &s;
    return nullptr;
  }
  const Suspension *find_at(std::string_view source_pool, std::string_view destination) const {
    for (const auto &s : active_)
      if (s.covers_at(source_pool, destination)) return &s;
    return nullptr;
  }
  // A source pool is suspended at that destination, whichever it is.
  bool any_at(std::string_view destination) const {
    return std::any_of(active_.begin(), active_.end(), [&](const auto &s) {
      return !s.destination.empty() && Suspension::stands_for(s.destination, destination);
    });
  }
  // How long since then it was suspended.
  Nanos time(const Subject &of, Nanos since, Nanos now) const;

  const std::vector<Suspension> &active() const { return active_; }
  const std::deque<Suspension> &past() const { return past_; }
  void restore(std::vector<Suspension> active, std::deque<Suspension> past) {
    active_ = std::move(active);
    past_ = std::move(past);
  }
  bool empty() const { return active_.empty() && past_.empty(); }

 private:
  static constexpr std::size_t kPast = 1000;

  static bool covers(const Suspension &s, const Subject &of) {
    switch (s.key) {
      case Suspension::Key::Destination:
        return s.covers(s.key, of.destination);
      case Suspension::Key::Tenant:
        return s.covers(s.key, of.tenant);
      case Suspension::Key::Campaign:
        return s.covers(s.key, of.campaign);
      case Suspension::Key::SourcePool:
        return s.covers(s.key, of.source_pool) || s.covers(s.key, of.source_group) ||
               s.covers_at(of.source_pool, of.destination) || s.covers_at(of.source_group, of.destination);
      case Suspension::Key::Sender:
        break;
    }
    return s.covers(s.key, of.sender);
  }
  void end(std::vector<Suspension>::iterator at, Nanos now) {
    at->until = now;
    past_.push_back(std::move(*at));
    if (past_.size() > kPast) past_.pop_front();
    active_.erase(at);
  }

  std::vector<Suspension> active_;
  std::deque<Suspension> past_;
};

}  // namespace mansio::scheduler
