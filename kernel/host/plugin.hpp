// A plugin's shared object, checked and opened, and what an instance of it is given. The instances by kind are in
// transport.hpp, lookup.hpp, filter.hpp, event.hpp, rate.hpp, auth.hpp and store.hpp.
//
// Loading refuses a file that others may write (owner and mode, as Postfix does for its maps), lacks the entry
// symbol, needs a later ABI, or is none of the kinds we know. Handles are never closed: static destructors and TLS make
// unloading unsound, and a changed file needs a new process anyway.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "kernel/base/clock.hpp"
#include "kernel/base/log.hpp"
#include "kernel/base/result.hpp"
#include "kernel/config/parse.hpp"
#include "kernel/io/asio.hpp"
#include "kernel/io/dns.hpp"
#include "kernel/io/tables.hpp"
#include "kernel/process/shared.hpp"
#include "mansio/abi.h"

namespace mansio::host {

inline constexpr const char *kTransportKind = "mansio.transport/1";
inline constexpr const char *kLookupKind = "mansio.lookup/1";
inline constexpr const char *kFilterKind = "mansio.filter/1~draft";
inline constexpr const char *kPolicyKind = "mansio.policy/1~draft";
inline constexpr const char *kEventKind = "mansio.event/1~draft";
inline constexpr const char *kRateKind = "mansio.rate/1~draft";
inline constexpr const char *kAuthKind = "mansio.auth/1~draft";
inline constexpr const char *kStoreKind = "mansio.store/1~draft";

// Fails with Status::BadConfig and a text that names the file, what is wrong with it and what helps.
Result<const mansio_plugin *> load_plugin(const std::string &path);
// The same of what an entry has returned: version, size, what must be there.
Result<void> check_entry(const std::string &path, const mansio_plugin *plugin);
bool offers(const mansio_plugin &plugin, std::string_view kind);
std::vector<config::PluginOption> options_of(const mansio_plugin &plugin);
// Checks the given options against the table; fills in defaults. Problems name the option and what was expected. What
// the plugin itself says of the values is option_check.hpp's.
Result<std::map<std::string, std::string>> check_options(const mansio_plugin &plugin,
                                                         const std::map<std::string, std::string> &given);

class Commands;
class Running;
class Submitter;

// What the process has that an instance works with. All outlive it.
struct Surroundings {
  asio::io_context &loop;
  const Clock &clock;
  Logger &log;
  io::Dns &dns;
  io::Tables *tables = nullptr;    // null: every table is one that does not exist
  Running *running = nullptr;      // where its calls into plugins are marked; null: nowhere
  Submitter *submitter = nullptr;  // null: there is no queue, and what is submitted is not taken
  Commands *commands = nullptr;    // where operators find its commands; null: nobody calls them
  // What all processes share, and the place in it of this one; null: its instances count alone.
  process::SharedMemory *shared = nullptr;
  std::uint32_t slot = 0;
  std::uint32_t config_epoch = 0;  // the configuration that its instances are of
  bool stays_awake = true;         // its loop may, for an answer of a plugin in another process (io::Awake)
};

// What an instance may use at most. Its process sets the others (memory, CPU, descriptors).
struct Limits {
  std::size_t in_flight = 10000;  // operations not answered; more are refused with "try later"
  std::uint32_t threads = 0;      // of a blocking plugin; 0 = what the plugin says
  std::uint32_t log_rate = 100;   // lines a second; the burst is ten times that
  // Of what is asked questions (lookups, auth, filters, policies): failures in a row within a window that open a
  // breaker, and for how long; 0 = it has none.
  std::uint32_t breaker_failures = 0;
  Nanos breaker_window = 0, breaker_time = 0;
};

inline Limits limits_of(const config::Budget &budget) {
  return {budget.in_flight_limit, budget.threads,        budget.log_rate_limit,
          budget.breaker_deaths,  budget.breaker_window, budget.breaker_time};
}

struct InstanceOptions {
  std::string name;                            // "smtp"
  std::map<std::string, std::string> options;  // canonical, from check_options
  std::map<std::string, std::string> facts;    // "instance", "kind", "myhostname", "self_addresses", "state_directory"
  Limits limits{};
};

// A message whose bytes can be read: descriptors stay the caller's, open for as long as `keep` is held. (A plugin's
// thread may be reading when its operation ends.)
struct MessageSource {
  std::vector<mansio_slice> slices;
  std::shared_ptr<const void> keep;
  // Before the plugin is given the slices: what they show must not change any more. False: it cannot have them. From
  // any thread; null: it does not anyway.
  std::function<bool()> lend = nullptr;
};

// Takes a metric: name with labels ("mansio_x_total{instance=\"a\"}") and value; or what a metric is
// (wire::Stats::kHelp).
using StatsSink = std::function<void(std::string name, double value)>;

}  // namespace mansio::host
