// Plugins as they were released with 1.0, against today's host (tests/abi/golden-1.0).
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <chrono>
#include <optional>

#include "kernel/host/lookup.hpp"
#include "kernel/host/transport.hpp"

namespace mansio::host {
namespace {

using namespace std::literals;

class Quiet final : public LogSink {
 public:
  void emit(LogLevel, std::string_view) override {}
};
class NoDns final : public io::Dns {
 public:
  void query(std::string_view, io::DnsType, std::function<void(const io::DnsResult &)>) override {}
};

class Golden : public ::testing::Test {
 protected:
  const mansio_plugin *load(const std::string &name) {
    const auto plugin = load_plugin(MANSIO_GOLDEN "/" + name + ".so");
    EXPECT_TRUE(plugin.ok()) << plugin.error().text;
    return plugin ? *plugin : nullptr;
  }
  asio::io_context loop_;
  SystemClock clock_;
  Quiet sink_;
  Logger log_{sink_, clock_, "test"};
  NoDns dns_;
};

TEST_F(Golden, LookupOfOneZeroStillAnswers) {
  const auto *plugin = load("golden-lookup");
  ASSERT_NE(plugin, nullptr);
  EXPECT_EQ(plugin->abi_minor, 0u);
  const auto options = check_options(*plugin, {{"answer", "yes"}});
  ASSERT_TRUE(options.ok());
  auto made = LookupInstance::create({loop_, clock_, log_, dns_}, *plugin, {"golden", *options, {}, {}});
  ASSERT_TRUE(made.ok()) << made.error().text;
  io::TableAnswer answer;
  (*made)->lookup("k", kSecond, [&](const io::TableAnswer &a) { answer = a; });
  EXPECT_THAT(answer.values, ::testing::ElementsAre("yes", "yes"));
  EXPECT_EQ(answer.ttl, 5 * kSecond);
  (*made)->lookup("none", kSecond, [&](const io::TableAnswer &a) { answer = a; });
  EXPECT_EQ(answer.outcome, io::TableAnswer::Outcome::NotFound);
  EXPECT_EQ((*made)->misbehaviours(), 0u);
}

TEST_F(Golden, TransportOfOneZeroStillDelivers) {
  const auto *plugin = load("golden-transport");
  ASSERT_NE(plugin, nullptr);
  std::optional<wire::RecipientOutcome> first, last;
  TransportInstance::Events events;
  events.recipient = [&](std::uint64_t, const wire::RecipientOutcome &o) { first = o; };
  events.complete = [&](std::uint64_t, const wire::RecipientOutcome &o, bool, const std::string &) { last = o; };
  auto made = TransportInstance::create({loop_, clock_, log_, dns_}, *plugin, {"golden", {}, {}, {}}, events);
  ASSERT_TRUE(made.ok()) << made.error().text;
  const int fd = ::memfd_create("message", MFD_CLOEXEC);
  ASSERT_EQ(::write(fd, "Hello.\r\n", 8), 8);
  wire::Lease lease;
  lease.lease = 1;
  lease.sender = "a@example.com";
  lease.recipients = {{0, "b@example.com", "", "", 0}, {1, "c@example.com", "", "", 0}};
  lease.deadline = clock_.mono() + 60 * kSecond;
  (*made)->start(lease, {{{sizeof(mansio_slice), fd, 0, 8}}, nullptr});
  const auto limit = std::chrono::steady_clock::now() + 20s;
  while (!last && std::chrono::steady_clock::now() < limit) {
    loop_.restart();
    loop_.run_one_for(1s);
  }
  ASSERT_TRUE(first && last);
  EXPECT_EQ(first->status, wire::DeliveryStatus::Sent);
  EXPECT_EQ(first->smtp_code, 250);
  EXPECT_EQ(first->relay, "golden");
  EXPECT_EQ(first->text, "a@example.com to b@example.com of 2, 8 bytes: Hello.  ");
  EXPECT_EQ(last->status, wire::DeliveryStatus::Bounced);
  EXPECT_EQ((*made)->misbehaviours(), 0u);
  ::close(fd);
}

}  // namespace
}  // namespace mansio::host
