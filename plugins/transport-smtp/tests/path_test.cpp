// Two faults on the way to a server that look like the server's: a Cisco PIX that fixes SMTP up, and a path whose MTU
// cannot be found out. Either way mail fails again and again with a time-out at the end of the content.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <utility>

#include "plugins/transport-smtp/client/pix.hpp"
#include "plugins/transport-smtp/tests/fake_server.hpp"
#include "plugins/transport-smtp/tests/test_host.hpp"

namespace mansio::smtp::test {
namespace {

using ::testing::HasSubstr;

// ---- PIX -----------------------------------------------------------------------------------------------------------

Behaviour behind_a_pix() {
  Behaviour b;
  b.greeting = "220 **************************************0******0*********20 ****200**0*********0*00";
  b.extensions = {"PIPELINING", "CHUNKING"};
  b.on_command = [](const std::string &line) { return line.starts_with("EHLO") ? "500 5.5.1 unknown" : ""; };
  b.pix = true;
  return b;
}

TEST(SmtpPix, IsKnownByItsGreeting) {
  for (const auto *text : {"********", "**0**20 ****200*", " ***"}) EXPECT_TRUE(is_pix_greeting(text)) << text;
  for (const auto *text : {"", "2 0 2", "mx.example ESMTP ***", "**** 1 ***"})
    EXPECT_FALSE(is_pix_greeting(text)) << text;
}

TEST(SmtpPix, TheFinalDotOfAnOldMessageComesAlone) {
  FakeServer server{behind_a_pix()};
  TestHost host{kSmtp, {{"smtp_pix_workaround_threshold_time", "0"}, {"smtp_pix_workaround_delay_time", "1s"}}};
  auto mail = mail_to(server);
  mail.content += ".dot\r\n";
  mail.flags = MANSIO_MSG_LEADING_DOTS;
  EXPECT_EQ(host.deliver(mail)[0].status, MANSIO_OK);
  ASSERT_EQ(server.transactions().size(), 1u);
  EXPECT_EQ(server.transactions()[0].content, mail.content);
  EXPECT_EQ(server.count("EHLO"), 0u);
  EXPECT_EQ(server.count("HELO"), 1u);
  EXPECT_THAT(host.fake().log, HasSubstr("enabling PIX workarounds for "));
}

// Which is how one finds out: the first attempts fail, and may have delivered.
TEST(SmtpPix, AYoungMessageIsSentAsToAnyServer) {
  FakeServer server{behind_a_pix()};
  TestHost host{kSmtp, {{"smtp_data_done_timeout", "100ms"}}};
  const auto r = host.deliver(mail_to(server));
  EXPECT_EQ(r[0].status, MANSIO_UNCERTAIN);
  EXPECT_THAT(r[0].text, HasSubstr("timed out"));
  EXPECT_EQ(server.count("EHLO"), 1u);
}

// By default 500 s, as of Postfix. The lower age leaves the test a minute.
TEST(SmtpPix, AMessageIsOldFromTheThresholdTimeOn) {
  for (const auto &[age, old] : {std::pair{440, false}, {500, true}}) {
    auto b = behind_a_pix();
    b.pix = false;  // the workarounds are not what this is about
    FakeServer server{b};
    TestHost host{kSmtp, {{"smtp_pix_workarounds", "disable_esmtp"}}};
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    const std::chrono::nanoseconds arrival = now - std::chrono::seconds{age};
    host.facts["virtual_clock"] = std::to_string(arrival.count());  // when a message arrives that is delivered at once
    EXPECT_EQ(host.deliver(mail_to(server))[0].status, MANSIO_OK) << age;
    EXPECT_EQ(server.count("EHLO"), old ? 0u : 1u) << age;
    EXPECT_EQ(host.fake().log.find("enabling PIX workarounds") != std::string::npos, old) << age;
  }
}

TEST(SmtpPix, WorkaroundsCanBeChosen) {
  FakeServer server{behind_a_pix()};
  TestHost host{kSmtp,
                {{"smtp_pix_workaround_threshold_time", "0"},
                 {"smtp_pix_workaround_delay_time", "1s"},
                 {"smtp_pix_workarounds", "delay_dotcrlf"}}};
  EXPECT_EQ(host.deliver(mail_to(server))[0].status, MANSIO_OK);
  EXPECT_EQ(server.count("EHLO"), 1u);
  TestHost none{
      kSmtp,
      {{"smtp_pix_workaround_threshold_time", "0"}, {"smtp_pix_workarounds", ""}, {"smtp_data_done_timeout", "100ms"}}};
  EXPECT_EQ(none.deliver(mail_to(server))[0].status, MANSIO_UNCERTAIN);
}

TEST(SmtpPix, NeverSeesAChunk) {
  auto b = behind_a_pix();
  b.on_command = [](const auto &) { return std::string{}; };  // one that lets EHLO pass
  b.pix = false;
  FakeServer server{b};
  TestHost host;
  EXPECT_EQ(host.deliver(mail_to(server))[0].status, MANSIO_OK);
  EXPECT_FALSE(server.transactions().at(0).bdat);
}

TEST(SmtpPix, OtherServersAreNotSuspected) {
  FakeServer server;
  TestHost host{kSmtp, {{"smtp_pix_workaround_threshold_time", "0"}, {"smtp_pix_workaround_delay_time", "1h"}}};
  EXPECT_EQ(host.deliver(mail_to(server))[0].status, MANSIO_OK);
  EXPECT_EQ(server.count("EHLO"), 1u);
}

TEST(SmtpPix, WrongWordsAreNamed) {
  const auto said =
      FakeHost::check(plugin::Glue<SmtpTransport, plugin::TransportKind>::entry(), {{"smtp_pix_workarounds", "ehlo"}});
  EXPECT_THAT(said, HasSubstr("smtp_pix_workarounds holds \"ehlo\", expected disable_esmtp or delay_dotcrlf"));
}

// ---- path MTU ------------------------------------------------------------------------------------------------------

// A router of a smaller MTU on the way, whose ICMP messages somebody drops: large segments vanish.
Behaviour behind_a_black_hole() {
  Behaviour b;
  b.largest_segment = 1000;
  return b;
}
Mail large_mail_to(const FakeServer &server) {
  auto mail = mail_to(server);
  for (int i = 0; i < 2000; ++i) mail.content += std::string(70, 'x') + "\r\n";
  return mail;
}

TEST(SmtpPathMtu, SmallMailPassesAndLargeMailTimesOut) {
  FakeServer server{behind_a_black_hole()};
  TestHost patient;
  EXPECT_EQ(patient.deliver(mail_to(server))[0].status, MANSIO_OK);
  TestHost host{kSmtp, {{"smtp_data_done_timeout", "100ms"}}};
  const auto r = host.deliver(large_mail_to(server));
  EXPECT_EQ(r[0].status, MANSIO_UNCERTAIN);
  EXPECT_THAT(r[0].text, HasSubstr("timed out"));
}

TEST(SmtpPathMtu, ASegmentSizeForTheDestinationLetsLargeMailPass) {
  for (const auto *setting : {"127.0.0.1=536", "other.example=1400, 127.0.0.1=900"}) {
    FakeServer server{behind_a_black_hole()};
    TestHost host{kSmtp, {{"smtp_tcp_maxseg", setting}, {"smtp_data_done_timeout", "10s"}}};
    EXPECT_EQ(host.deliver(large_mail_to(server))[0].status, MANSIO_OK) << setting;
  }
}

TEST(SmtpPathMtu, WrongSizesAreNamed) {
  for (const auto *bad : {"example.com", "example.com=", "=536", "example.com=87", "example.com=40000", "a=1x"}) {
    const auto said =
        FakeHost::check(plugin::Glue<SmtpTransport, plugin::TransportKind>::entry(), {{"smtp_tcp_maxseg", bad}});
    EXPECT_THAT(said, HasSubstr("smtp_tcp_maxseg holds ")) << bad;
  }
}

}  // namespace
}  // namespace mansio::smtp::test
