// What a crash of the queue process forgets of destinations and rates: as good as nothing of the former, and of the
// latter nothing that lets more go than a limit allows.
#include <gmock/gmock.h>

#include <string>

#include "tests/unit/queue/bench.hpp"

namespace mansio::queue {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using wire::DeliveryStatus;

class AfterACrash : public Bench {
 protected:
  config::Transport &smtp() { return settings_.transports.front(); }
  void crash() {  // no stop before it
    begin();
    advance(kSecond);
  }
};

TEST_F(AfterACrash, ADestinationThatDiedIsStillDead) {
  begin();
  for (int i = 0; i < 5; ++i) mail_to({"a@dead.example"});
  mail_to({"a@slow.example"});
  for (const auto &l : leases())
    if (l.recipients.at(0).address == "a@dead.example") report(l, DeliveryStatus::Deferred, true);
  advance(5 * kSecond);
  crash();
  const auto id = mail_to({"b@dead.example"});
  for (const auto &l : leases()) EXPECT_NE(l.id, id);
  EXPECT_THAT(ask("why", {}, {to_string(id)}).lines, HasSubstr("backoff"));  // deferred without an attempt
}

// A limit of each kind, of one delivery an hour.
enum class Kind {
  Tenant,
  Campaign,
  Sender,
  SourcePool,
  Pair,
  Destination,
  DestinationDelay,
  Transport,
  TransportDelay
};

class ARateAfterACrash : public AfterACrash, public ::testing::WithParamInterface<Kind> {
 protected:
  void SetUp() override {
    switch (GetParam()) {
      case Kind::Tenant:
        return rule(config::RateKey::Tenant);
      case Kind::Campaign:
        return rule(config::RateKey::Campaign);
      case Kind::Sender:
        return rule(config::RateKey::Sender);
      case Kind::SourcePool:
        return rule(config::RateKey::SourcePool);
      case Kind::Pair:
        return rule(config::RateKey::SourcePoolDestination);
      case Kind::Destination:
        smtp().destination_rate_limit = "1/h";
        return;
      case Kind::DestinationDelay:
        smtp().destination_rate_delay = 3600 * kSecond;
        return;
      case Kind::Transport:
        smtp().transport_rate_limit = "1/h";
        return;
      case Kind::TransportDelay:
        smtp().transport_rate_delay = 3600 * kSecond;
        return;
    }
  }
  void rule(config::RateKey key) {
    auto &r = settings_.rate_limits.emplace_back();
    r.key = key;
    r.rate = "1/h";
    r.burst = 1;
  }
  // `whose`: tenant, campaign, sender, pool and destination.
  MessageId mail_of(const std::string &whose) {
    auto e = envelope({"a@" + whose + ".example"}, whose + "@example.org");
    e.tenant = e.campaign = e.source_pool = whose;
    return mail(e);
  }
  bool of_all() const { return GetParam() == Kind::Transport || GetParam() == Kind::TransportDelay; }
};

TEST_P(ARateAfterACrash, IsNotExceeded) {
  begin();
  advance(600 * kSecond);
  mail_of("x");
  auto l = leases();
  ASSERT_THAT(l, SizeIs(1));
  report(l[0], DeliveryStatus::Sent);
  mail_of("x");
  EXPECT_THAT(leases(), IsEmpty());
  advance(kSecond);
  crash();
  EXPECT_THAT(leases(), IsEmpty());
  advance(3590 * kSecond);
  EXPECT_THAT(leases(), IsEmpty());
  advance(20 * kSecond);
  EXPECT_THAT(leases(), SizeIs(1));
}

// Whose mail it was that nothing was written down of is known to nobody, after the next restart as well.
TEST_P(ARateAfterACrash, CountsAsUsedUpForAll) {
  begin();
  advance(600 * kSecond);
  mail_of("x");
  auto l = leases();
  ASSERT_THAT(l, SizeIs(1));
  report(l[0], DeliveryStatus::Sent);
  crash();
  ASSERT_TRUE(core_->stop().ok());
  begin();
  mail_of("y");
  advance(3590 * kSecond);
  EXPECT_THAT(leases(), IsEmpty());
  advance(20 * kSecond);
  EXPECT_THAT(leases(), SizeIs(1));
}

TEST_P(ARateAfterACrash, IsKnownWhenNothingWasUnderWay) {
  begin();
  advance(600 * kSecond);
  mail_of("x");
  auto l = leases();
  ASSERT_THAT(l, SizeIs(1));
  report(l[0], DeliveryStatus::Sent);
  for (int i = 0; i < 10; ++i) advance(kSecond);
  crash();
  mail_of("x");
  EXPECT_THAT(leases(), IsEmpty());
  const auto other = mail_of("y");
  l = leases();
  if (of_all()) {
    EXPECT_THAT(l, IsEmpty());
  } else {
    ASSERT_THAT(l, SizeIs(1));
    EXPECT_EQ(l[0].id, other);
  }
}

INSTANTIATE_TEST_SUITE_P(Kinds, ARateAfterACrash,
                         ::testing::Values(Kind::Tenant, Kind::Campaign, Kind::Sender, Kind::SourcePool, Kind::Pair,
                                           Kind::Destination, Kind::DestinationDelay, Kind::Transport,
                                           Kind::TransportDelay));

}  // namespace
}  // namespace mansio::queue
