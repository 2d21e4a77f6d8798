// The scripts of examples/lua do what their first lines say.
#include "plugins/lua/tests/scripted.hpp"

namespace mansio::lua::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

struct Example {
  explicit Example(const std::string &name)
      : host(mansio_plugin_entry_1(), {{"script", std::string{MANSIO_SOURCE_DIR} + "/examples/lua/" + name}}) {}
  FakeHost host;
};

FakeStage rcpt(const std::string &address, std::vector<std::pair<std::string, std::string>> macros) {
  FakeStage stage;
  stage.stage = MANSIO_STAGE_RCPT;
  stage.arguments = {address};
  stage.macros = std::move(macros);
  return stage;
}

TEST(Examples, GreylistDefersWhatIsNew) {
  Example e{"greylist.lua"};
  const auto mail = rcpt("b@example.com", {{"client_address", "192.0.2.1"}, {"sender", "a@example.org"}});
  const auto first = e.host.run(mail);
  EXPECT_EQ(first.last->status, MANSIO_DEFER) << e.host.log;
  EXPECT_EQ(first.last->smtp_code, 450);
  EXPECT_THAT(first.last->text, HasSubstr("five minutes"));
  // Another server of that network, at once: known, but too soon.
  const auto again = rcpt("B@example.com", {{"client_address", "192.0.2.9"}, {"sender", "A@example.org"}});
  EXPECT_THAT(e.host.run(again).last->text, HasSubstr("some minutes"));
  EXPECT_EQ(e.host.run(rcpt("b@example.com", {{"client_address", "192.0.2.1"}, {"client_trusted", "true"}})).last->status,
            MANSIO_OK);
}

TEST(Examples, QuotaDefersWhatIsTooMuch) {
  Example e{"quota.lua"};
  auto mail = rcpt("b@example.com", {{"client_address", "192.0.2.1"}, {"auth_user", "alice"}});
  for (int i = 0; i < 200; ++i) ASSERT_EQ(e.host.run(mail).last->status, MANSIO_OK) << e.host.log;
  EXPECT_EQ(e.host.run(mail).last->status, MANSIO_DEFER);
  EXPECT_EQ(e.host.metric("quota_refused"), 1);
  EXPECT_THAT(e.host.log, HasSubstr("alice is over the hourly quota"));
  mail.macros = {{"client_address", "192.0.2.1"}, {"auth_user", "bob"}};
  EXPECT_EQ(e.host.run(mail).last->status, MANSIO_OK);
}

TEST(Examples, RecipientsLeavesOutWhatFollowsThePlus) {
  Example e{"recipients.lua"};
  e.host.tables[{"users", "alice@example.com"}] = {MANSIO_OK, {"1"}, ""};
  e.host.tables[{"users", "slow@example.com"}] = {MANSIO_DEFER, {}, "away"};
  EXPECT_THAT(e.host.lookup("Alice+lists@Example.com", "recipients").values, ElementsAre("1"));
  EXPECT_THAT(e.host.lookup("alice@example.com", "recipients").values, ElementsAre("1"));
  EXPECT_EQ(e.host.lookup("bob@example.com", "recipients").status, MANSIO_NOT_FOUND);
  EXPECT_EQ(e.host.lookup("nonsense", "recipients").status, MANSIO_NOT_FOUND);
  EXPECT_EQ(e.host.lookup("slow@example.com", "recipients").status, MANSIO_DEFER);
}

TEST(Examples, BannerGoesBelowPlainTextFromOutside) {
  Example e{"banner.lua"};
  FakeStage stage;
  stage.stage = MANSIO_STAGE_END_OF_MESSAGE;
  stage.content = "Subject: a\r\n\r\nbody\r\n";
  EXPECT_THAT(e.host.run(stage).edits,
              ElementsAre("replace_body body\r\n",
                          "replace_body \r\n-- \r\nThis message comes from outside of the company.\r\n",
                          "add_header X-Banner: yes"))
      << e.host.log;
  stage.content = "Content-Type: TEXT/HTML\r\n\r\n<p>body\r\n";
  EXPECT_THAT(e.host.run(stage).edits, IsEmpty());
  stage.content = "DKIM-Signature: v=1\r\n\r\nbody\r\n";
  EXPECT_THAT(e.host.run(stage).edits, IsEmpty());
  stage.content = "Subject: a\r\n\r\nbody\r\n";
  stage.macros = {{"client_trusted", "true"}};
  EXPECT_THAT(e.host.run(stage).edits, IsEmpty());
}

TEST(Examples, DnsblAddsUpWhatListsSay) {
  Example e{"dnsbl.lua"};
  const auto from = [&](const std::string &address) {
    FakeStage stage;
    stage.stage = MANSIO_STAGE_CONNECT;
    stage.macros = {{"client_address", address}};
    return e.host.run(stage);
  };
  e.host.dns[{"2.2.0.192.bl.example.org", MANSIO_DNS_A}] = {MANSIO_OK, {{"127.0.0.2", 0}}, ""};
  e.host.dns[{"3.2.0.192.bl.example.org", MANSIO_DNS_A}] = {MANSIO_OK, {{"127.0.0.2", 0}}, ""};
  e.host.dns[{"3.2.0.192.good.example.com", MANSIO_DNS_A}] = {MANSIO_OK, {{"127.0.0.2", 0}}, ""};
  e.host.dns[{"4.2.0.192.bl.example.org", MANSIO_DNS_A}] = {MANSIO_DEFER, {}, "SERVFAIL"};
  EXPECT_EQ(from("192.0.2.2").last->text, "192.0.2.2 is listed by bl.example.org") << e.host.log;
  EXPECT_EQ(from("192.0.2.3").last->status, MANSIO_OK);
  EXPECT_EQ(from("192.0.2.4").last->status, MANSIO_OK);
  const auto asked = e.host.dns_queries.size();
  from("192.0.2.2");
  EXPECT_EQ(e.host.dns_queries.size(), asked);
}

}  // namespace
}  // namespace mansio::lua::testing
