// The LMTP personality: LHLO, a reply for each recipient after the content, UNIX sockets.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "plugins/transport-smtp/tests/fake_server.hpp"
#include "plugins/transport-smtp/tests/test_host.hpp"

namespace mansio::smtp::test {
namespace {

Behaviour lmtp(std::vector<std::string> extensions) {
  Behaviour b;
  b.lmtp = true;
  b.extensions = std::move(extensions);
  return b;
}

class Lmtp : public ::testing::TestWithParam<std::vector<std::string>> {};
INSTANTIATE_TEST_SUITE_P(Extensions, Lmtp,
                         ::testing::Values(std::vector<std::string>{"PIPELINING"}, std::vector<std::string>{},
                                           std::vector<std::string>{"PIPELINING", "CHUNKING"}));

TEST_P(Lmtp, GivesEachRecipientItsReplyAfterTheContent) {
  auto b = lmtp(GetParam());
  b.on_command = [](const std::string &line) -> std::string {
    return line.find("<no@") == std::string::npos ? "" : "550 5.1.1 no";
  };
  b.on_content = [](const auto &) { return "250 2.0.0 first\r\n452 4.2.2 full\r\n552 5.2.2 for ever full\r\n"; };
  FakeServer server{b};
  TestHost host{kLmtp};
  auto mail = mail_to(server, {"a@x.org", "no@x.org", "b@x.org", "c@x.org"});
  const auto r = host.deliver(mail);
  ASSERT_EQ(r.size(), 4u);
  EXPECT_EQ(r[0].text, "first");
  EXPECT_EQ(r[1].enhanced, "5.1.1");
  EXPECT_EQ(r[2].status, MANSIO_DEFER);
  EXPECT_EQ(r[2].enhanced, "4.2.2");
  EXPECT_EQ(r[3].status, MANSIO_FAIL);
  EXPECT_EQ(server.count("LHLO client.example.net"), 1u);
  EXPECT_EQ(server.count("EHLO"), 0u);
}

TEST_P(Lmtp, LeavesOnlyTheUnansweredUncertainWhenTheConnectionIsLost) {
  auto b = lmtp(GetParam());
  b.on_content = [](const auto &) { return std::string{"250 2.0.0 first\r\n"} + kDrop; };
  FakeServer server{b};
  TestHost host{kLmtp};
  const auto r = host.deliver(mail_to(server, {"a@x.org", "b@x.org"}));
  EXPECT_EQ(r[0].status, MANSIO_OK);
  EXPECT_EQ(r[1].status, MANSIO_UNCERTAIN);
}

TEST_P(Lmtp, ReportsEachRecipientWhenItsReplyArrives) {
  auto b = lmtp(GetParam());
  b.on_content = [](const auto &) { return std::string{"250 2.0.0 one\r\n"} + kStall; };
  FakeServer server{b};
  TestHost host{kLmtp};
  const auto op = host.fake().deliver(mail_to(server, {"a@x.org", "b@x.org"}));
  EXPECT_TRUE(host.fake().run_until([&] { return host.fake().result(op).recipients.contains(0); }));
  EXPECT_FALSE(host.fake().completed(op));
}

TEST_P(Lmtp, SurvivesADeliveryWithoutAcceptedRecipients) {
  auto b = lmtp(GetParam());
  b.on_command = [](const std::string &line) -> std::string {
    return line.find("<no@") == std::string::npos ? "" : "550 5.1.1 no";
  };
  FakeServer server{b};
  TestHost host{kLmtp};
  EXPECT_EQ(host.deliver(mail_to(server, {"no@x.org"}))[0].status, MANSIO_FAIL);
  EXPECT_EQ(host.deliver(mail_to(server, {"yes@x.org"}))[0].status, MANSIO_OK);
}

TEST(LmtpTransport, SpeaksOverAUnixSocket) {
  const auto path = std::filesystem::temp_directory_path() / ("mansio-lmtp-" + std::to_string(::getpid()));
  {
    FakeServer server{lmtp({"PIPELINING"}), path.string(), nullptr};
    TestHost host{kLmtp};
    const auto r = host.deliver(mail_to(server, {"a@x.org"}));
    EXPECT_EQ(r[0].status, MANSIO_OK);
    EXPECT_EQ(r[0].relay, "client.example.net[" + path.string() + "]");
  }
  std::filesystem::remove(path);
}

TEST(LmtpTransport, DefersWhenTheSocketIsNotThere) {
  TestHost host{kLmtp};
  Mail mail;
  mail.nexthop = "unix:/nowhere/lmtp";
  const auto r = host.deliver(mail);
  EXPECT_EQ(r[0].status, MANSIO_DEFER);
  EXPECT_NE(r[0].flags & MANSIO_REPLY_SITE_FAILURE, 0u);
}

TEST(LmtpTransport, LooksUpNoMx) {
  FakeServer server{lmtp({})};
  TestHost host{kLmtp};
  host.answer("store.example.com", MANSIO_DNS_A, {{"127.0.0.1", 0}});
  Mail mail;
  mail.nexthop = "store.example.com:" + std::to_string(server.port);
  EXPECT_EQ(host.deliver(mail)[0].status, MANSIO_OK);
  EXPECT_FALSE(host.asked("store.example.com", MANSIO_DNS_MX));
}

TEST(LmtpFilter, IsToldWhoseMailItIs) {
  FakeServer server{lmtp({"PIPELINING", "XFORWARD ADDR SOURCE"})};
  TestHost host{kLmtp, {{"lmtp_send_xforward_command", "true"}}};
  auto mail = mail_to(server, {"a@x.org"});
  mail.origin = {MANSIO_ORIGIN_REMOTE, 1234, "192.0.2.7", "spike.example", "spike", "ESMTP", "4ABC"};
  EXPECT_EQ(host.deliver(mail)[0].status, MANSIO_OK);
  EXPECT_EQ(server.count("XFORWARD ADDR=192.0.2.7"), 1u);
  EXPECT_EQ(server.count("XFORWARD SOURCE=REMOTE"), 1u);
}

}  // namespace
}  // namespace mansio::smtp::test
