// XFORWARD: what its attributes mean, who may use it and when, and where it ends up.
#include "kernel/ingress/xforward.hpp"

#include "tests/unit/ingress/fixture.hpp"

namespace mansio::ingress {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

Origin understood(std::string_view attributes) {
  Origin origin;
  const auto bad = read_xforward(attributes, origin);
  EXPECT_FALSE(bad) << attributes << ": " << (bad ? bad->text : "");
  return origin;
}
std::string refused(std::string_view attributes) {
  Origin origin;
  origin.name = "before.example";
  const auto before = origin;
  const auto bad = read_xforward(attributes, origin);
  EXPECT_EQ(origin, before) << attributes;
  return bad ? to_string(*bad) : "taken";
}

TEST(XForward, HasAllAttributesThatThereAre) {
  const auto origin = understood(
      "NAME=spike.example ADDR=192.0.2.7 PORT=1234 PROTO=ESMTP HELO=spike+20x.example IDENT=4ABC+3D1 SOURCE=REMOTE");
  EXPECT_EQ(origin, (Origin{"spike.example", "192.0.2.7", "spike x.example", "ESMTP", "4ABC=1", 1234, false}));
  EXPECT_TRUE(understood("source=local").local);
}

TEST(XForward, WhatIsUnavailableIsNotKnown) {
  EXPECT_EQ(
      understood("NAME=[UNAVAILABLE] ADDR=[UNAVAILABLE] PORT=[unavailable] PROTO=[UNAVAILABLE] HELO=[UNAVAILABLE] "
                 "IDENT=[UNAVAILABLE] SOURCE=[UNAVAILABLE]"),
      Origin{});
  auto origin = understood("NAME=a.example ADDR=192.0.2.7 PORT=1 SOURCE=LOCAL");
  EXPECT_FALSE(read_xforward("NAME=[TEMPUNAVAIL] ADDR=[UNAVAILABLE] PORT=[UNAVAILABLE] SOURCE=[UNAVAILABLE]", origin));
  EXPECT_EQ(origin, Origin{});
}

TEST(XForward, AddsUpOverSeveralCommands) {
  auto origin = understood("NAME=a.example ADDR=192.0.2.7");
  EXPECT_FALSE(read_xforward("HELO=b.example  NAME=c.example", origin));
  EXPECT_EQ(origin.name, "c.example");
  EXPECT_EQ(origin.address, "192.0.2.7");
  EXPECT_EQ(origin.helo, "b.example");
}

TEST(XForward, TakesBothFormsOfIPv6) {
  EXPECT_EQ(understood("ADDR=IPV6:2001:DB8::1").address, "2001:db8::1");
  EXPECT_EQ(understood("ADDR=2001:db8::1").address, "2001:db8::1");
}

TEST(XForward, RefusesWhatIsNoValueAndChangesNothing) {
  for (const auto *bad : {"NAME",
                          "=x",
                          "NAME=a+2",
                          "NAME=a=b",
                          "NAME=",
                          "NAME=a..b",
                          "NAME=+0D+0Ax",
                          "ADDR=",
                          "ADDR=spike.example",
                          "ADDR=IPV6:192.0.2.7",
                          "ADDR=[192.0.2.7]",
                          "PORT=0",
                          "PORT=65536",
                          "PORT=",
                          "PORT=1x",
                          "PROTO=",
                          "PROTO=E+20X",
                          "SOURCE=",
                          "SOURCE=HERE",
                          "LOGIN=x",
                          "HELO=ok SIZE=1"})
    EXPECT_THAT(refused(bad), StartsWith("501 5.5.4 Error: ")) << bad;
  EXPECT_THAT(refused("HELO=" + std::string(256, 'x')), StartsWith("501 5.5.4 "));
  EXPECT_THAT(refused("\x01\xff=x"), AllOf(StartsWith("501 5.5.4 "), Not(HasSubstr("\x01")), Not(HasSubstr("\xff"))));
}

TEST(XForward, ControlsGoNoFurther) {
  EXPECT_EQ(understood("HELO=a+0D+0Ab+FF").helo, "a  b?");
  EXPECT_EQ(understood("IDENT=+00x").ident, "?x");
}

class XForwardSession : public testing::SmtpServerTest {
 protected:
  XForwardSession() {
    service.smtpd.authorized_xforward_hosts = {*config::parse_network("127.0.0.0/8")};
    come_from("127.0.0.1");
  }
  std::string send(testing::Peer &peer) {
    EXPECT_EQ(say(peer, "MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n"),
              "250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n354 End data with <CR><LF>.<CR><LF>\r\n");
    return say(peer, "Subject: x\r\n\r\nbody\r\n.\r\n");
  }
  const testing::Stored &last() const { return writer.stored_messages.back(); }
};

TEST_F(XForwardSession, IsOfferedAndKeptWithTheMessage) {
  auto peer = connect();
  EXPECT_THAT(say(peer, "EHLO filter.test\r\n"), HasSubstr("250 XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE\r\n"));
  EXPECT_EQ(
      say(peer, "XFORWARD NAME=spike.example ADDR=192.0.2.7 PORT=99\r\nXFORWARD PROTO=SMTP HELO=spike IDENT=4ABC\r\n"),
      "250 2.0.0 Ok\r\n250 2.0.0 Ok\r\n");
  EXPECT_THAT(send(peer), StartsWith("250 2.0.0 Ok: queued"));
  const auto &stored = last();
  EXPECT_EQ(stored.envelope.origin, (Origin{"spike.example", "192.0.2.7", "spike", "SMTP", "4ABC", 99, false}));
  // All else is about the client that we see.
  EXPECT_EQ(stored.envelope.client_address, "127.0.0.1");
  EXPECT_EQ(stored.envelope.helo, "filter.test");
  EXPECT_THAT(stored.prefix, AllOf(HasSubstr("from filter.test"), Not(HasSubstr("spike"))));
  EXPECT_THAT(sink.text, AllOf(HasSubstr("\"event\":\"xforward\""), HasSubstr("\"orig_client\":\"192.0.2.7\""),
                               HasSubstr("\"orig_queue_id\":\"4ABC\"")));
}

TEST_F(XForwardSession, HoldsForOneMessageAndNoLonger) {
  auto peer = greet();
  EXPECT_EQ(say(peer, "XFORWARD ADDR=192.0.2.7\r\n"), "250 2.0.0 Ok\r\n");
  send(peer);
  EXPECT_TRUE(last().envelope.origin);
  send(peer);
  EXPECT_FALSE(last().envelope.origin);
  EXPECT_EQ(say(peer, "XFORWARD ADDR=192.0.2.7\r\nRSET\r\n"), "250 2.0.0 Ok\r\n250 2.0.0 Ok\r\n");
  send(peer);
  EXPECT_FALSE(last().envelope.origin);
  EXPECT_EQ(writer.stored_messages.size(), 3u);
}

TEST_F(XForwardSession, IsForgottenWhereMoreOfItIsWrong) {
  auto peer = greet();
  EXPECT_EQ(say(peer, "XFORWARD ADDR=192.0.2.7\r\n"), "250 2.0.0 Ok\r\n");
  EXPECT_THAT(say(peer, "XFORWARD NAME=a..b\r\n"), StartsWith("501 5.5.4 "));
  send(peer);
  EXPECT_FALSE(last().envelope.origin);
}

TEST_F(XForwardSession, IsNotForClientsWithoutAnAddress) {
  client_address = {};
  client_address.ss_family = AF_UNIX;
  service.smtpd.authorized_xforward_hosts = {*config::parse_network("[::]/0")};
  auto peer = greet();
  EXPECT_EQ(say(peer, "XFORWARD ADDR=192.0.2.7\r\n"), "550 5.7.0 Error: insufficient authorization\r\n");
}

TEST_F(XForwardSession, HasItsPlaceAndItsSyntax) {
  auto peer = greet();
  EXPECT_EQ(say(peer, "XFORWARD\r\n"), "501 5.5.4 Syntax: XFORWARD attribute=value...\r\n");
  EXPECT_THAT(say(peer, "XFORWARD ADDR=nowhere\r\n"), StartsWith("501 5.5.4 Error: bad value of attribute ADDR"));
  EXPECT_THAT(say(peer, "XFORWARD LOGIN=x\r\n"), StartsWith("501 5.5.4 Error: no such attribute: LOGIN"));
  EXPECT_EQ(say(peer, "MAIL FROM:<a@b.example>\r\n"), "250 2.1.0 Ok\r\n");
  EXPECT_EQ(say(peer, "XFORWARD ADDR=192.0.2.7\r\n"), "503 5.5.1 Error: MAIL transaction in progress\r\n");
}

TEST_F(XForwardSession, IsNeitherOfferedToOthersNorTakenFromThem) {
  for (const auto *hosts : {"192.0.2.0/24", ""}) {
    service.smtpd.authorized_xforward_hosts.clear();
    if (*hosts) service.smtpd.authorized_xforward_hosts = {*config::parse_network(hosts)};
    auto peer = connect();
    EXPECT_THAT(say(peer, "EHLO client.test\r\n"), Not(HasSubstr("XFORWARD")));
    EXPECT_EQ(say(peer, "XFORWARD ADDR=192.0.2.7\r\n"), "550 5.7.0 Error: insufficient authorization\r\n");
    send(peer);
    EXPECT_FALSE(last().envelope.origin);
  }
}

}  // namespace
}  // namespace mansio::ingress
