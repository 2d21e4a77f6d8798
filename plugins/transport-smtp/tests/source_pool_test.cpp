// Where connections come from: the pool that a message names.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "plugins/transport-smtp/tests/fake_server.hpp"
#include "plugins/transport-smtp/tests/test_host.hpp"

namespace mansio::smtp::test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Mail from_pool(const FakeServer &server, std::string pool) {
  Mail mail;
  mail.nexthop = server.nexthop;
  mail.source_pool = std::move(pool);
  return mail;
}

TEST(SmtpSourcePool, ChoosesTheAddress) {
  FakeServer server;
  TestHost host{kSmtp, {{"source_pools", "one=127.0.0.9,two=127.0.0.10"}, {"bind_address", "127.0.0.8"}}};
  EXPECT_EQ(host.deliver(from_pool(server, "two")).at(0).status, MANSIO_OK);
  EXPECT_EQ(host.deliver(from_pool(server, "one")).at(0).status, MANSIO_OK);
  EXPECT_EQ(host.deliver(from_pool(server, "")).at(0).status, MANSIO_OK);
  EXPECT_THAT(server.peers(), ElementsAre("127.0.0.10", "127.0.0.9", "127.0.0.8"));  // none used a cached connection
  EXPECT_EQ(host.deliver(from_pool(server, "one")).at(0).connection_use, 2u);
}

TEST(SmtpSourcePool, AnyOfItsAddressesIsUsed) {
  FakeServer server;
  TestHost host{
      kSmtp, {{"source_pools", "both=127.0.0.9,both=127.0.0.10,both=::1"}, {"smtp_connection_cache_time_limit", "0"}}};
  for (int i = 0; i < 40; ++i) EXPECT_EQ(host.deliver(from_pool(server, "both")).at(0).status, MANSIO_OK);
  const auto peers = server.peers();
  EXPECT_EQ(std::set<std::string>(peers.begin(), peers.end()), (std::set<std::string>{"127.0.0.9", "127.0.0.10"}));
}

TEST(SmtpSourcePool, MailWaitsForOneThatDoesNotExist) {
  FakeServer server;
  TestHost host{kSmtp, {{"source_pools", "one=127.0.0.9"}}};
  const auto reply = host.deliver(from_pool(server, "bulk")).at(0);
  EXPECT_EQ(reply.status, MANSIO_DEFER);
  EXPECT_EQ(reply.enhanced, "4.3.5");
  EXPECT_EQ(reply.text, "there is no source pool bulk");
  EXPECT_EQ(reply.flags & MANSIO_REPLY_SITE_FAILURE, 0u);  // the destination is not to blame
  EXPECT_EQ(server.connections(), 0u);
}

TEST(SmtpSourcePool, MailWaitsWhereItHasNoAddressOfTheServersFamily) {
  FakeServer server;
  TestHost host{kSmtp, {{"source_pools", "six=2001:db8::1"}}};
  const auto reply = host.deliver(from_pool(server, "six")).at(0);
  EXPECT_EQ(reply.enhanced, "4.3.5");
  EXPECT_THAT(reply.text, HasSubstr("source pool six has no address of the family of 127.0.0.1"));
  EXPECT_EQ(server.connections(), 0u);
}

TEST(SmtpSourcePool, AnAddressThatIsNotOursIsAFailureToConnect) {
  FakeServer server;
  TestHost host{kSmtp, {{"source_pools", "gone=192.0.2.77"}}};
  const auto reply = host.deliver(from_pool(server, "gone")).at(0);
  EXPECT_EQ(reply.status, MANSIO_DEFER);
  EXPECT_EQ(reply.enhanced, "4.4.1");
}

TEST(SmtpSourcePool, WhatIsNoAddressIsRefused) {
  for (const auto *bad : {"one", "one=", "=127.0.0.1", "one=mail.example.com"}) {
    TestHost host{kSmtp, {{"source_pools", bad}}};
    EXPECT_THROW(host.fake(), std::runtime_error) << bad;
  }
}

}  // namespace
}  // namespace mansio::smtp::test
