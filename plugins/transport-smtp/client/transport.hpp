// The transport plugin's instance, for SMTP and LMTP alike: deliveries under way, and what they share.
#pragma once

#include <cstdint>
#include <unordered_map>

#include "plugins/transport-smtp/client/delivery.hpp"

namespace mansio::smtp {

class Transport {
 public:
  Transport(Host host, const Personality &personality);
  ~Transport();
  Transport(const Transport &) = delete;
  Transport &operator=(const Transport &) = delete;

  void start(plugin::Token token, plugin::Delivery delivery);
  void cancel(mansio_op op);

 private:
  Task<> serve(mansio_op op, std::unique_ptr<DeliveryJob> job);

  Context context_;
  Shared shared_;
  std::unordered_map<std::uint64_t, DeliveryJob *> jobs_;  // owned by their coroutines
};

// Throws what the constructor would, but for a CA file that this process may not read.
void check_options(const plugin::Config &config, const Personality &personality);

// What MANSIO_TRANSPORT_PLUGIN wants to know.
template <const Personality &personality>
class Instance : public Transport {
 public:
  static constexpr plugin::Info info{personality.plugin, "0.1", MANSIO_NEEDS_NETWORK};
  static constexpr const mansio_option *options = personality.lmtp ? kLmtpOptions : kSmtpOptions;
  explicit Instance(Host host) : Transport(host, personality) {}
  static void check(const plugin::Config &config) { check_options(config, personality); }
};
using SmtpTransport = Instance<kSmtp>;
using LmtpTransport = Instance<kLmtp>;

}  // namespace mansio::smtp
