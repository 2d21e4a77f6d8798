// The plugin as it is loaded. What the engine does is tested with transport-smtp (plugins/transport-smtp/tests).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string_view>

#include "mansio/testing/fake_host.hpp"
#include "plugins/testing/readme.hpp"
#include "plugins/transport-smtp/tests/fake_server.hpp"

namespace {

using mansio::smtp::test::Behaviour;
using mansio::smtp::test::FakeServer;
using mansio::testing::FakeHost;
using mansio::testing::FakeMail;
using ::testing::HasSubstr;

TEST(TransportLmtp, IsATransportOfThatName) {
  const auto *plugin = mansio_plugin_entry_1();
  EXPECT_STREQ(plugin->name, "transport-lmtp");
  EXPECT_STREQ(plugin->kinds[0], "mansio.transport/1");
  EXPECT_EQ(plugin->kinds[1], nullptr);
}

TEST(TransportLmtp, GivesEachRecipientTheStoresOwnReply) {
  Behaviour store;
  store.lmtp = true;
  store.on_content = [](const auto &) { return "250 2.1.5 kept\r\n452 4.2.2 full\r\n"; };
  const FakeServer server{store};
  FakeHost host{mansio_plugin_entry_1(), {}};
  FakeMail mail{.sender = "a@example.org", .content = "Subject: x\r\n\r\nhello\r\n", .nexthop = server.nexthop};
  for (const auto *address : {"bob@example.com", "amy@example.com"}) mail.recipients.push_back({address, "", "", 0});
  const auto result = host.run(mail);
  EXPECT_EQ(result.recipients.at(0).status, MANSIO_OK);
  EXPECT_EQ(result.recipients.at(1).status, MANSIO_DEFER);
  EXPECT_EQ(result.recipients.at(1).enhanced, "4.2.2");
}

TEST(TransportLmtp, OptionsOfSmtpAreNoneOfIts) {
  const auto *const options = mansio_plugin_entry_1()->options;
  for (const auto *o = options; o->name; ++o) EXPECT_FALSE(std::string_view{o->name}.starts_with("smtp_")) << o->name;
  EXPECT_THAT(FakeHost::check(mansio_plugin_entry_1(), {{"lmtp_tcp_port", "99999"}}),
              HasSubstr("lmtp_tcp_port is 99999"));
}

TEST(TransportLmtp, ReadmeHasTheOptionsAndAnExample) {
  mansio::testing::expect_options_in_readme(mansio_plugin_entry_1());
  mansio::testing::expect_example_in_readme(mansio_plugin_entry_1());
}

}  // namespace
