// mansio/numbers.hpp: what all processes of an instance count together (mansio/draft/services.h) as C++20, header-only.
//
//   explicit Quota(mansio::plugin::Host host) : host_(host), numbers_(host) {}
//   ...
//   if (numbers_.add_to_window("daily", kDay, sender) > 100) token.complete(...);
//
// Any thread; nothing waits. The numbers are there over reloads and deaths of processes, and go with the program.
//
// The service is a draft: a plugin whose kinds are not says of which build it is,
//
//   static constexpr std::uint32_t draft_build = MANSIO_DRAFT_BUILD;
//
// and loads only where that is the host's.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "mansio/draft/services.h"
#include "mansio/plugin.hpp"

namespace mansio::plugin {

// Copy it freely; it lives as long as the instance.
class Numbers {
 public:
  // Throws BadConfig where the host does not offer it.
  explicit Numbers(const Host &host)
      : host_(host.raw()), table_(host.service<mansio_host_numbers>("mansio.host.numbers/1~draft")) {}

  // The new value; nothing: there are too many counters, or the name is bad.
  std::optional<std::int64_t> add(std::string_view counter, std::int64_t n = 1) const noexcept {
    std::int64_t value = 0;
    if (table_->add(host_, str(counter), n, &value) != MANSIO_OK) return std::nullopt;
    return value;
  }
  std::int64_t read(std::string_view counter) const noexcept { return table_->read(host_, str(counter)); }

  // What there was within the last `length_ns`, these `n` included.
  double add_to_window(std::string_view name, std::int64_t length_ns, std::string_view key,
                       std::uint64_t n = 1) const noexcept {
    double count = 0;
    table_->window_add(host_, str(name), length_ns, str(key), n, &count);
    return count;
  }
  double count_in_window(std::string_view name, std::int64_t length_ns, std::string_view key) const noexcept {
    return table_->window_count(host_, str(name), length_ns, str(key));
  }

  // 0: `n` are taken. Otherwise none, and how long it takes until there are so many (ns); -1: a bad name, rate or n.
  std::int64_t take(std::string_view name, std::int64_t interval_ns, std::int64_t burst, std::string_view key,
                    std::int64_t n = 1) const noexcept {
    std::int64_t wait = 0;
    const auto status = table_->take(host_, str(name), interval_ns, burst, str(key), n, &wait);
    return status == MANSIO_OK ? 0 : status == MANSIO_DEFER ? wait : -1;
  }
  std::int64_t available(std::string_view name, std::int64_t interval_ns, std::int64_t burst,
                         std::string_view key) const noexcept {
    return table_->available(host_, str(name), interval_ns, burst, str(key));
  }

 private:
  const mansio_host *host_;
  const mansio_host_numbers *table_;
};

}  // namespace mansio::plugin
