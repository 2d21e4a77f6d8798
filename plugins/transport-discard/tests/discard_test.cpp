#include <gtest/gtest.h>

#include "mansio/testing/fake_host.hpp"
#include "plugins/testing/readme.hpp"

namespace {

using mansio::testing::FakeHost;
using mansio::testing::FakeReply;

FakeReply second_of_two(const FakeHost::Options &options) {
  FakeHost host{mansio_plugin_entry_1(), options};
  const auto result = host.run({.sender = "a@example.org",
                                .recipients = {{"b@example.com", "", "", 0}, {"c@example.com", "", "", 0}},
                                .content = "Subject: x\r\n\r\nhello\r\n"});
  EXPECT_TRUE(host.faults.empty());
  EXPECT_EQ(result.recipients.size(), 2u);
  return result.recipients.at(1);
}

TEST(TransportDiscard, TakesEveryRecipient) {
  const auto reply = second_of_two({});
  EXPECT_EQ(reply.status, MANSIO_OK);
  EXPECT_EQ(reply.text, "discarded");
  EXPECT_EQ(reply.relay, "none");
}

TEST(TransportDiscard, SaysWhatItIsToSay) { EXPECT_EQ(second_of_two({{"text", "not kept"}}).text, "not kept"); }

TEST(TransportDiscard, ReadmeHasTheOptionsAndAnExample) {
  mansio::testing::expect_options_in_readme(mansio_plugin_entry_1());
  mansio::testing::expect_example_in_readme(mansio_plugin_entry_1());
}

}  // namespace
