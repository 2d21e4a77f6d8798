#include "kernel/ingress/client_name.hpp"

#include <chrono>
#include <memory>

#include "kernel/config/network.hpp"

namespace mansio::ingress {
namespace {

constexpr std::size_t kMaxNames = 10;  // of one address; more are not asked for

// Answers may come after the time is up, so the state lives as long as its last question. The waiter sleeps on
// the timer, which is also the time limit; the first confirmed name cuts it short.
struct Lookup : std::enable_shared_from_this<Lookup> {
  Lookup(asio::io_context &loop, io::Dns &resolver, std::string_view address)
      : dns(resolver), ip(config::parse_ip(address)), timer(loop) {}

  void start(const std::string &reverse) {
    ++open;
    dns.query(reverse, io::DnsType::Ptr, [self = shared_from_this()](const io::DnsResult &answer) {
      if (answer && !self->over)
        for (std::size_t i = 0; i < std::min(answer->records.size(), kMaxNames); ++i)
          self->confirm(answer->records[i].data);
      self->answered();
    });
  }
  void confirm(const std::string &candidate) {
    const bool v4 = config::parse_network("::ffff:0:0/96")->contains(*ip);
    ++open;
    dns.query(candidate, v4 ? io::DnsType::A : io::DnsType::Aaaa,
              [self = shared_from_this(), candidate](const io::DnsResult &answer) {
                if (answer && !self->over)
                  for (const auto &record : answer->records)
                    if (config::parse_ip(record.data) == self->ip) self->finish(candidate);
                self->answered();
              });
  }
  void answered() {
    if (--open == 0 && !over) finish("unknown");
  }
  void finish(std::string found) {
    if (over) return;
    over = true;
    name = std::move(found);
    timer.cancel();
  }

  io::Dns &dns;
  std::optional<std::array<std::uint8_t, 16>> ip;
  asio::steady_timer timer;
  std::string name = "unknown";
  std::size_t open = 0;
  bool over = false;
};

}  // namespace

Task<std::string> confirmed_name(asio::io_context &loop, io::Dns &dns, std::string address, Nanos timeout) {
  const auto reverse = io::reverse_name(address);
  if (reverse.empty()) co_return "unknown";
  if (address.starts_with("127.") || address == "::1") co_return "localhost";
  const auto lookup = std::make_shared<Lookup>(loop, dns, address);
  if (!lookup->ip) co_return "unknown";
  lookup->timer.expires_after(std::chrono::nanoseconds{timeout});
  lookup->start(reverse);
  if (!lookup->over) {
    ErrorCode ignored;
    co_await lookup->timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  }
  lookup->over = true;
  co_return lookup->name;
}

}  // namespace mansio::ingress
