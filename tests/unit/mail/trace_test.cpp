// Received and the lines of final delivery: what they say, and that no client can write lines of its own into them.
#include "kernel/mail/trace.hpp"

#include <gtest/gtest.h>

namespace mansio {
namespace {

Envelope received() {
  Envelope e;
  e.client_address = "192.0.2.1";
  e.client_name = "client.example";
  e.helo = "helo.example";
  e.protocol = "ESMTPS";
  e.tls_version = "TLSv1.3";
  e.tls_cipher = "TLS_AES_256_GCM_SHA384";
  e.arrival = 1'795'326'381 * kSecond;
  e.recipients = {{"local@example.com", "Alias@example.com", "", 0, 0}};
  return e;
}

TEST(Date, IsThatOfRfc5322) {
  EXPECT_EQ(rfc5322_date(0), "Thu, 01 Jan 1970 00:00:00 +0000");
  EXPECT_EQ(rfc5322_date(1'709'208'000 * kSecond + 1), "Thu, 29 Feb 2024 12:00:00 +0000");
  EXPECT_EQ(rfc5322_date(1'709'208'000 * kSecond, -330), "Thu, 29 Feb 2024 06:30:00 -0530");
  EXPECT_EQ(rfc5322_date(-1), "Wed, 31 Dec 1969 23:59:59 +0000");
}

TEST(Received, NamesClientTlsServerAndTheOnlyRecipient) {
  EXPECT_EQ(received_header(received(), "mx.example.com", MessageId{1}),
            "Received: from helo.example (client.example [192.0.2.1])\r\n"
            "\t(using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384)\r\n"
            "\tby mx.example.com (Mansio) with ESMTPS id 0000000000001\r\n"
            "\tfor <Alias@example.com>;\r\n"
            "\t" +
                rfc5322_date(received().arrival) + "\r\n");
}

TEST(Received, NamesWhoAuthenticatedOnlyWhenAsked) {
  auto e = received();
  e.auth_user = "alice@example.com (x)\r\nBcc: y";
  EXPECT_EQ(received_header(e, "mx", MessageId{1}).find("alice"), std::string::npos);
  const auto header = received_header(e, "mx", MessageId{1}, true);
  EXPECT_NE(header.find("\r\n\t(Authenticated sender: alice@example.com??x?"), std::string::npos) << header;
  EXPECT_EQ(header.find("\r\nBcc"), std::string::npos) << header;
}

TEST(Received, SaysAPriorityThatIsNotTheUsualOne) {
  auto e = received();
  e.priority = static_cast<std::uint8_t>(-4);
  EXPECT_NE(received_header(e, "mx", MessageId{1}).find("\r\n\tfor <Alias@example.com> PRIORITY -4;\r\n"),
            std::string::npos);
  e.priority = 9;
  e.recipients.push_back({"other@example.com", "", "", 0, 0});
  EXPECT_NE(received_header(e, "mx", MessageId{1}).find(" id 0000000000001 PRIORITY 9;\r\n"), std::string::npos);
}

TEST(Received, KeepsSeveralRecipientsSecret) {
  auto e = received();
  e.recipients.push_back({"other@example.com", "", "", 0, 0});
  const auto header = received_header(e, "mx.example.com", MessageId{1});
  EXPECT_EQ(header.find("other"), std::string::npos);
  EXPECT_EQ(header.find("for <"), std::string::npos);
}

TEST(Received, WritesIpv6AsALiteral) {
  auto e = received();
  e.client_address = "2001:db8::1";
  EXPECT_NE(received_header(e, "mx", MessageId{1}).find("[IPv6:2001:db8::1])"), std::string::npos);
}

TEST(Received, LetsNoClientBreakOutOfItsPlace) {
  auto e = received();
  e.helo = "evil)\r\nX-Injected: (yes\xff";
  const auto header = received_header(e, "mx", MessageId{1});
  EXPECT_NE(header.find("from evil???X-Injected:??yes? ("), std::string::npos) << header;
}

TEST(Received, OfMailMadeHereNamesNoClient) {
  Envelope e;
  EXPECT_TRUE(received_header(e, "mx", MessageId{1}).starts_with("Received: by mx (Mansio) id 0000000000001;\r\n"));
}

TEST(Protocol, HasTheNamesOfRfc3848AndRfc6531) {
  EXPECT_EQ(protocol_name({}), "SMTP");
  EXPECT_EQ(protocol_name({.esmtp = true}), "ESMTP");
  EXPECT_EQ(protocol_name({.esmtp = true, .tls = true, .auth = true}), "ESMTPSA");
  EXPECT_EQ(protocol_name({.esmtp = true, .tls = true, .smtputf8 = true}), "UTF8SMTPS");
  EXPECT_EQ(protocol_name({.tls = true, .lmtp = true}), "LMTPS");
}

TEST(FinalDelivery, WritesReturnPathAndDeliveredTo) {
  EXPECT_EQ(return_path_header(""), "Return-Path: <>\r\n");
  EXPECT_EQ(return_path_header("a@b"), "Return-Path: <a@b>\r\n");
  EXPECT_EQ(delivered_to_header("a@b\r\nX: y"), "Delivered-To: a@b  X: y\r\n");
}

}  // namespace
}  // namespace mansio
