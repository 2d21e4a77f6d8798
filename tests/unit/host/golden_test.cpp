// Plugins as they were released with 1.0, against today's host (tests/abi/golden-1.0).
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <optional>

#include "kernel/host/lookup.hpp"
#include "kernel/host/transport.hpp"
#include "tests/unit/host/host_rig.hpp"

namespace mansio::host {
namespace {

class Golden : public HostTest {
 protected:
  const mansio_plugin *load(const std::string &name) {
    const auto plugin = load_plugin(MANSIO_GOLDEN "/" + name + ".so");
    EXPECT_TRUE(plugin.ok()) << plugin.error().text;
    return plugin ? *plugin : nullptr;
  }
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
  ASSERT_TRUE(until([&] { return last.has_value(); }));
  ASSERT_TRUE(first);
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
