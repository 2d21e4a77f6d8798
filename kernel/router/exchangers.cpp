#include "kernel/router/exchangers.hpp"

#include <algorithm>
#include <utility>

#include "kernel/mail/address.hpp"

namespace mansio::router {
namespace {

constexpr Nanos kNegativeTtl = 300 * kSecond;
constexpr std::size_t kLongest = 1000;  // octets: it becomes a name that people read

}  // namespace

std::string exchangers_of(const std::vector<io::DnsRecord> &records) {
  std::vector<std::string> hosts;
  for (const auto &record : records)
    if (!record.data.empty()) hosts.push_back(record.data);
  std::sort(hosts.begin(), hosts.end());
  hosts.erase(std::unique(hosts.begin(), hosts.end()), hosts.end());
  std::string out;
  for (const auto &host : hosts) {
    if (out.size() + host.size() >= kLongest) break;
    if (!out.empty()) out += ',';
    out += host;
  }
  return out;
}

Exchangers::Exchangers(std::unique_ptr<io::Dns> dns, Say say) : say_(std::move(say)), dns_(std::move(dns)) {}
Exchangers::~Exchangers() = default;

void Exchangers::ask(const std::string &domain) {
  const auto ascii = ascii_domain(domain);
  if (!ascii || in_hand_.size() >= kAtOnce || !in_hand_.insert(domain).second) return;
  // Answers may be on their way to us when we are gone.
  dns_->query(*ascii, io::DnsType::Mx,
              [this, domain, name = *ascii, alive = std::weak_ptr{alive_}](const io::DnsResult &result) {
                if (!alive.expired()) answered(domain, name, result);
              });
}

void Exchangers::answered(const std::string &domain, const std::string &name, const io::DnsResult &result) {
  in_hand_.erase(domain);
  if (result) return say_({domain, exchangers_of(result->records), result->ttl});
  switch (result.error().status) {
    case Status::NotFound:
      return say_({domain, name, kNegativeTtl});
    case Status::Fail:
      return say_({domain, "", kNegativeTtl});
    default:
      return;
  }
}

}  // namespace mansio::router
