// Exchangers: which hosts take mail for a domain, for the queue's limits. DNS has its time; a question that it cannot
// answer now has no reply, and the queue asks again if it still wants to know.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <unordered_set>
#include <vector>

#include "kernel/io/dns.hpp"
#include "kernel/wire/queue_messages.hpp"

namespace mansio::router {

// As MxReply has them. A set, whatever the preferences: sorted, each once. Of one that is too long for a name, the
// first hosts. The null MX (RFC 7505) is no host.
std::string exchangers_of(const std::vector<io::DnsRecord> &records);

class Exchangers {
 public:
  using Say = std::function<void(const wire::MxReply &)>;  // never inside ask()
  Exchangers(std::unique_ptr<io::Dns> dns, Say say);
  ~Exchangers();

  // A domain without MX records is its own exchanger (RFC 5321 section 5.1).
  void ask(const std::string &domain);
  std::size_t in_hand() const { return in_hand_.size(); }

 private:
  void answered(const std::string &domain, const std::string &name, const io::DnsResult &result);

  static constexpr std::size_t kAtOnce = 20'000;  // what is beyond is not looked up

  Say say_;
  std::unordered_set<std::string> in_hand_;
  std::shared_ptr<int> alive_ = std::make_shared<int>();
  std::unique_ptr<io::Dns> dns_;
};

}  // namespace mansio::router
