#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "mansio/testing/fake_host.hpp"
#include "plugins/testing/readme.hpp"

namespace {

using mansio::testing::FakeHost;
using ::testing::HasSubstr;

// "STATUS CODE TEXT" of every recipient.
std::string said(const FakeHost::Options &options, const std::string &nexthop) {
  FakeHost host{mansio_plugin_entry_1(), options};
  const auto result = host.run({.sender = "a@example.org",
                                .recipients = {{"b@example.com", "", "", 0}, {"c@example.com", "", "", 0}},
                                .nexthop = nexthop});
  EXPECT_EQ(result.recipients.size(), 2u);
  const auto &reply = result.recipients.at(1);
  EXPECT_EQ(reply.relay, "none");
  const auto *status = reply.status == MANSIO_FAIL ? "bounce" : reply.status == MANSIO_DEFER ? "defer" : "?";
  return std::string{status} + ' ' + reply.enhanced + ' ' + reply.text;
}

TEST(TransportError, SaysWhatTheNextHopSays) {
  EXPECT_EQ(said({}, "5.1.1 user unknown"), "bounce 5.1.1 user unknown");
  EXPECT_EQ(said({}, "4.7.1 not now"), "defer 4.7.1 not now");
  EXPECT_EQ(said({}, "this has moved"), "bounce 5.0.0 this has moved");
}

TEST(TransportError, SaysItsOwnReasonWithoutANextHop) {
  EXPECT_EQ(said({{"text", "4.3.2 closed for the night"}}, ""), "defer 4.3.2 closed for the night");
  EXPECT_EQ(said({{"text", "gone"}}, ""), "bounce 5.0.0 gone");
  EXPECT_EQ(said({}, ""), "bounce 5.0.0 mail for this address is not delivered");
}

TEST(TransportError, TheActionOverridesTheCodesClass) {
  EXPECT_EQ(said({{"action", "defer"}}, "5.1.1 user unknown"), "defer 4.1.1 user unknown");
  EXPECT_EQ(said({{"action", "bounce"}}, "4.7.1 not now"), "bounce 5.7.1 not now");
  EXPECT_EQ(said({{"action", "defer"}}, "later"), "defer 4.0.0 later");
}

TEST(TransportError, RefusesOptionsThatItCannotUse) {
  const auto problems = [](const FakeHost::Options &options) {
    return FakeHost::check(mansio_plugin_entry_1(), options);
  };
  EXPECT_THAT(problems({{"action", "drop"}}), HasSubstr("action is \"drop\", expected \"bounce\", \"defer\" or \"\""));
  EXPECT_THAT(problems({{"text", ""}}), HasSubstr("text is \"\", expected a reason such as"));
  EXPECT_THAT(problems({{"text", "5.1.1"}}), HasSubstr("text is \"5.1.1\", expected a reason"));
  EXPECT_EQ(problems({{"text", "no"}, {"action", "defer"}}), "");
}

TEST(TransportError, ReadmeHasTheOptionsAndAnExample) {
  mansio::testing::expect_options_in_readme(mansio_plugin_entry_1());
  mansio::testing::expect_example_in_readme(mansio_plugin_entry_1());
}

}  // namespace
