// Scenario: what the simulator is given: limits as in Mansio's own configuration, the plugins that own some of them,
// next hops with their latency, errors and capacity over time, mail that arrives for them, and what operators order
// meanwhile. docs/scheduling.md has the options.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "kernel/base/clock.hpp"
#include "kernel/base/result.hpp"
#include "kernel/config/settings.hpp"
#include "kernel/scheduler/rate.hpp"

namespace mansio::cli::simulate {

// How next hops behave from a time on. Several hosts of a destination are tried in random order.
struct Behaviour {
  Nanos from = 0;
  Nanos latency = 100 * kMillisecond;  // of a delivery
  double spread = 0.5;                 // of the latency, as a fraction both ways
  double error = 0;                    // of deliveries: 4xx for the recipient
  double refuse = 0;                   // of deliveries: the connection fails at once
  double reject = 0;                   // of deliveries: 5xx
  std::uint32_t connections = 0;       // at once; one more is refused; 0: any number
  double rate = 0;                     // deliveries a second; what is beyond gets 4xx; 0: any
  std::uint32_t hosts = 1;
  std::uint32_t hanging = 0;  // of these, do not answer at all
  std::string blocks;         // the source pool that deliveries do not come from: 4xx; "": none

  bool operator==(const Behaviour &) const = default;
};

struct DestinationSpec {
  std::string name;  // with count above 1, '#' stands for the number
  std::uint32_t count = 1;
  std::string transport;
  bool by_pool = false;  // `connections` and `rate` are of each source pool by itself
  std::string mx;  // sorted, with commas between: all of the spec are on these hosts, and share what they can take
  Nanos connect_timeout = 30 * kSecond;
  Nanos host_memory = 60 * kSecond;  // a host that hung is not tried again for so long, but for one probe; 0: no memory
  std::string error_reply = "451 4.3.0 try again later";  // what `error` is told; a [[response]] may look at it
  std::string rate_reply = "450 4.7.1 too much at once";  // ... and what is beyond `rate`
  std::vector<Behaviour> phases;  // in the order of their times; the first is from the beginning
};

struct ArrivalSpec {
  std::string name;         // for the report
  std::string destination;  // name of a DestinationSpec
  std::string tenant, campaign, sender, source_pool;
  int priority = 0;
  Nanos from = 0, to = 0;
  double rate = 0;               // messages a second, at random times
  std::uint64_t messages = 0;    // or so many, evenly from `from` to `to`; all at once if these are the same
  std::uint32_t recipients = 1;  // of each message, one after the other over the spec's destinations
  std::uint32_t tenants = 1;     // '#' in the tenant's name stands for one of so many
};

// An operator's order, or what befalls a transport's processes: with Stop it has none, until Start.
struct EventSpec {
  enum class Action : std::uint8_t { Suspend, Resume, Flush, Hold, Release, Rebind, Unthrottle, Stop, Start };
  Nanos at = 0;
  Action action = Action::Suspend;
  // Whose mail; of those that are given all must fit. A destination may be a row's name, which is all of its, or
  // ".example.com", all below it.
  std::string destination = {}, tenant = {}, campaign = {}, source_pool = {}, transport = {};
  std::string pool = {};  // of Rebind: that it leaves from from now on
  Nanos time = 0;         // of Suspend; 0: until it is resumed
  bool paced = true;      // of Flush, as the queue process does it; else all of it goes at once
};

// A plugin that owns limits, [rate.NAME]: how it answers, and what it gives.
struct RateOwnerSpec {
  struct Limit {
    std::string name = {}, key = {};  // "tenant_rate_limit" and the tenant; "" is any
    Nanos from = 0, to = 0;
    scheduler::RateLimit rate = {};            // none: as configured
    std::optional<std::uint32_t> places = {};  // likewise
  };
  struct Failure {
    Nanos from = 0, to = 0;
    bool silent = false;  // no answer; else one that says that it fails
  };
  std::string name;
  Nanos latency = 5 * kMillisecond;  // there and back
  double spread = 0.5;               // of the latency, as a fraction both ways
  Nanos lease_time = 5 * kSecond;    // of permits
  Nanos hold_time = 120 * kSecond;   // of places
  std::vector<Limit> limits;         // the first that fits: what other nodes leave of it
  std::vector<Failure> failures;
};

struct Scenario {
  std::string name, title;
  Nanos duration = 3600 * kSecond;
  Nanos step = 10 * kSecond;  // of the plot and the CSV
  std::uint64_t seed = 1;
  std::optional<Nanos> date;  // wall, of its beginning; none: after all warm-ups
  bool drain = true;  // after `duration` nothing arrives, and the run goes on until all mail is delivered or expired
  Nanos drain_limit = 5 * 86400 * kSecond;
  config::Settings settings;               // what configured.hpp reads
  std::vector<RateOwnerSpec> rate_owners;  // of settings.rates, by name
  std::vector<DestinationSpec> destinations;
  std::vector<ArrivalSpec> arrivals;
  std::vector<EventSpec> events;  // in the order of their times
};

// Problems are reported as `mansio check` does, one a line.
Result<Scenario> parse_scenario(const std::string &path, const std::string &text);
Result<Scenario> read_scenario(const std::string &path);

}  // namespace mansio::cli::simulate
