// The numbers of a fake host (mansio/draft/services.h): as a real host counts, by the clock of the test, but each key
// for good: nothing is forgotten for want of room. They are the fake host's own, or those of
// several that stand for the processes of an instance. Any thread.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>

#include "mansio/draft/services.h"
#include "mansio/plugin.hpp"

namespace mansio::testing {

class FakeNumbers {
 public:
  template <class F>
  auto locked(F f) {
    const std::lock_guard lock{mutex_};
    return f(*this);
  }
  // The others within locked() only.
  mansio_status add(mansio_str name, std::int64_t n, std::int64_t &value) {
    constexpr std::size_t kMostCounters = 10'000;
    if (!good(name)) return MANSIO_FAIL;
    const auto known = counters_.find(plugin::view(name));
    if (known == counters_.end() && counters_.size() >= kMostCounters) return MANSIO_FAIL;
    auto &counter = known == counters_.end() ? counters_[plugin::string(name)] : known->second;
    counter = static_cast<std::int64_t>(static_cast<std::uint64_t>(counter) + static_cast<std::uint64_t>(n));
    value = counter;
    return MANSIO_OK;
  }
  std::int64_t read(mansio_str name) const {
    const auto known = counters_.find(plugin::view(name));
    return known == counters_.end() ? 0 : known->second;
  }

  mansio_status add_to_window(mansio_str name, std::int64_t length, mansio_str key, std::uint64_t n, double &count,
                              std::int64_t now) {
    if (!good(name) || length < 1 || length > kLongest) return MANSIO_FAIL;
    auto &periods = windows_[{plugin::string(name), length, plugin::string(key)}];
    periods = at(periods, length, now);
    periods.current += static_cast<double>(n);
    count = within(periods, length, now);
    return MANSIO_OK;
  }
  double count_in_window(mansio_str name, std::int64_t length, mansio_str key, std::int64_t now) const {
    const auto known = windows_.find({plugin::string(name), length, plugin::string(key)});
    return known == windows_.end() ? 0 : within(at(known->second, length, now), length, now);
  }

  mansio_status take(mansio_str name, std::int64_t interval, std::int64_t burst, mansio_str key, std::int64_t n,
                     std::int64_t &wait, std::int64_t now) {
    if (!good(name) || !good(interval, burst) || n < 0 || n > burst) return MANSIO_FAIL;
    auto &full_at = full_at_[{{plugin::string(name), plugin::string(key)}, {interval, burst}}];
    const auto then = std::max(full_at, now) + n * interval, most = now + burst * interval;
    if (then > most) {
      wait = then - most;
      return MANSIO_DEFER;
    }
    if (n > 0) full_at = then;
    return MANSIO_OK;
  }
  std::int64_t available(mansio_str name, std::int64_t interval, std::int64_t burst, mansio_str key,
                         std::int64_t now) const {
    if (!good(name) || !good(interval, burst)) return 0;
    const auto known = full_at_.find({{plugin::string(name), plugin::string(key)}, {interval, burst}});
    if (known == full_at_.end() || known->second <= now) return burst;
    return std::max<std::int64_t>((now + burst * interval - known->second) / interval, 0);
  }

 private:
  static constexpr std::int64_t kLongest = 36'500 * std::int64_t{86'400} * 1'000'000'000;  // a hundred years
  struct Periods {
    std::int64_t period = 0;
    double current = 0, last = 0;
  };
  static bool good(mansio_str name) { return name.n >= 1 && name.n <= 128; }
  static bool good(std::int64_t interval, std::int64_t burst) {
    return interval >= 1 && burst >= 1 && burst <= kLongest / interval;
  }
  static Periods at(const Periods &from, std::int64_t length, std::int64_t now) {
    const auto period = now / length;
    if (from.period >= period) return from;  // another host's clock may be ahead
    return {period, 0, from.period == period - 1 ? from.current : 0};
  }
  static double within(const Periods &periods, std::int64_t length, std::int64_t now) {
    return periods.current + periods.last * (1 - static_cast<double>(now % length) / static_cast<double>(length));
  }

  using RateKey = std::pair<std::pair<std::string, std::string>, std::pair<std::int64_t, std::int64_t>>;
  std::mutex mutex_;
  std::map<std::string, std::int64_t, std::less<>> counters_;
  std::map<std::tuple<std::string, std::int64_t, std::string>, Periods> windows_;
  std::map<RateKey, std::int64_t> full_at_;
};

// The service. Host::with_numbers(host, f) runs f(FakeNumbers &, now).
template <class Host>
struct FakeNumberService {
  static constexpr mansio_host_numbers table{
      [](const mansio_host *h, mansio_str name, std::int64_t n, std::int64_t *value) noexcept {
        return Host::with_numbers(h, [&](FakeNumbers &all, std::int64_t) { return all.add(name, n, *value); });
      },
      [](const mansio_host *h, mansio_str name) noexcept {
        return Host::with_numbers(h, [&](FakeNumbers &all, std::int64_t) { return all.read(name); });
      },
      [](const mansio_host *h, mansio_str name, std::int64_t length, mansio_str key, std::uint64_t n,
         double *count) noexcept {
        return Host::with_numbers(h, [&](FakeNumbers &all, std::int64_t now) {
          return all.add_to_window(name, length, key, n, *count, now);
        });
      },
      [](const mansio_host *h, mansio_str name, std::int64_t length, mansio_str key) noexcept {
        return Host::with_numbers(
            h, [&](FakeNumbers &all, std::int64_t now) { return all.count_in_window(name, length, key, now); });
      },
      [](const mansio_host *h, mansio_str name, std::int64_t interval, std::int64_t burst, mansio_str key,
         std::int64_t n, std::int64_t *wait) noexcept {
        return Host::with_numbers(
            h, [&](FakeNumbers &all, std::int64_t now) { return all.take(name, interval, burst, key, n, *wait, now); });
      },
      [](const mansio_host *h, mansio_str name, std::int64_t interval, std::int64_t burst, mansio_str key) noexcept {
        return Host::with_numbers(
            h, [&](FakeNumbers &all, std::int64_t now) { return all.available(name, interval, burst, key, now); });
      }};
};

}  // namespace mansio::testing
