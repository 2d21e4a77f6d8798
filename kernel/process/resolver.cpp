#include "kernel/process/resolver.hpp"

#include <utility>

namespace mansio::process {

std::unique_ptr<io::Dns> make_resolver(const RoleContext &context) {
  const auto &dns = context.settings.dns;
  io::DnsOptions options;
  options.servers = dns.servers;
  options.timeout = dns.timeout;
  options.tries = dns.tries;
  options.min_ttl = dns.min_ttl;
  options.max_ttl = dns.max_ttl;
  options.max_negative_ttl = dns.max_negative_ttl;
  return io::Dns::create(context.loop, context.clock, std::move(options));
}

}  // namespace mansio::process
