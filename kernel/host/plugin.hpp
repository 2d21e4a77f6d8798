// LoadedPlugin: one shared object, checked and opened; Instance: one configured use of it with its host services.
//
// Loading refuses a file that others may write (owner and mode, as Postfix does for its maps), lacks the entry
// symbol, or was built for another ABI. Handles are never closed: static destructors and TLS make unloading
// unsound, and a changed file needs a new process anyway.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "kernel/base/log.hpp"
#include "kernel/base/result.hpp"
#include "kernel/config/parse.hpp"
#include "kernel/io/asio.hpp"
#include "kernel/io/dns.hpp"
#include "kernel/wire/queue_messages.hpp"
#include "mansio/abi.h"

namespace mansio::host {

// Fails with Status::BadConfig and a text that names the file, what is wrong with it and what helps.
Result<const mansio_plugin *> load_plugin(const std::string &path);
std::vector<config::PluginOption> options_of(const mansio_plugin &plugin);
// Checks the given options against the table; fills in defaults. Problems name the option and what was expected. What
// the plugin itself says of the values is option_check.hpp's.
Result<std::map<std::string, std::string>> check_options(const mansio_plugin &plugin,
                                                         const std::map<std::string, std::string> &given);

struct InstanceOptions {
  std::string name;                            // "smtp"
  std::map<std::string, std::string> options;  // canonical, from check_options
  std::map<std::string, std::string> facts;    // "instance", "myhostname", "self_addresses"
};

// A message whose bytes can be read: descriptors stay the caller's, open for as long as `keep` is held. (A plugin's
// thread may be reading when its operation ends.)
struct MessageSource {
  std::vector<mansio_slice> slices;
  std::shared_ptr<const void> keep;
};

// A transport plugin at work in this process. All calls on the loop's thread, create() included; callbacks run on it
// too, never inside plugin code. They may come before start() returns, but complete() comes exactly once a start().
class TransportInstance {
 public:
  struct Events {
    std::function<void(std::uint64_t lease, const wire::RecipientOutcome &)> recipient;
    // Every recipient not reported before takes `status`/text of `last`.
    // `destination`: where a connection stays open and idle; "" = nowhere.
    std::function<void(std::uint64_t lease, const wire::RecipientOutcome &last, bool site_failure,
                       const std::string &destination)>
        complete;
    // Called with the message's id (0 = unknown) before and with 0 after each call into plugin code.
    std::function<void(std::uint64_t message)> working_on;
  };
  static Result<std::unique_ptr<TransportInstance>> create(asio::io_context &loop, const Clock &clock, Logger &log,
                                                           io::Dns &dns, const mansio_plugin &plugin,
                                                           InstanceOptions options, Events events);
  virtual ~TransportInstance() = default;
  virtual void start(const wire::Lease &lease, MessageSource message) = 0;
  virtual void cancel(std::uint64_t lease) = 0;
  virtual std::size_t in_flight() const = 0;
  virtual std::uint64_t misbehaviours() const = 0;  // second, late or unknown answers, exceptions: ignored but counted
};

}  // namespace mansio::host
