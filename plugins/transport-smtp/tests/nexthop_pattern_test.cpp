// Keys of tls_policy and the other lists by next hop: what they match, which of several counts, and what is refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plugins/transport-smtp/client/nexthop_pattern.hpp"
#include "plugins/transport-smtp/tests/fake_server.hpp"
#include "plugins/transport-smtp/tests/test_host.hpp"

namespace mansio::smtp::test {
namespace {

using ::testing::HasSubstr;

NextHop hop(std::string_view text) { return parse_nexthop(text, 25).value(); }
NextHopPattern pattern_of(std::string_view text) { return parse_nexthop_pattern(text).value(); }
bool matches(std::string_view pattern, std::string_view nexthop) { return pattern_of(pattern).matches(hop(nexthop)); }

TEST(NextHopPattern, MatchesTheNextHopThatItIsWrittenLike) {
  for (const auto *text : {"example.com", "example.com:2525", "[mx.example.com]", "[mx.example.com]:2525",
                           "[192.0.2.1]:2525", "[2001:db8::1]:2525", "[IPv6:2001:db8::1]", "inet:mx.example.com:24",
                           "unix:/run/lmtp", "192.0.2.1", "192.0.2.1:2525"})
    EXPECT_TRUE(matches(text, text)) << text;
}

TEST(NextHopPattern, AnAddressMatchesHoweverItIsWritten) {
  EXPECT_TRUE(matches("192.0.2.1", "[192.0.2.1]:2525"));
  EXPECT_TRUE(matches("[192.0.2.1]", "192.0.2.1"));
  EXPECT_TRUE(matches("2001:DB8:0::1", "[2001:db8::1]:2525"));
  EXPECT_FALSE(matches("[192.0.2.1]", "[192.0.2.11]"));
  EXPECT_FALSE(matches(".0.2.1", "[192.0.2.1]"));
}

TEST(NextHopPattern, WithAPortMatchesThatPortAlone) {
  EXPECT_TRUE(matches("[mx.example.com]:25", "[mx.example.com]"));
  EXPECT_FALSE(matches("[mx.example.com]:25", "[mx.example.com]:2525"));
  EXPECT_TRUE(matches("[mx.example.com]", "[mx.example.com]:2525"));
  EXPECT_TRUE(matches("example.com:2525", "[example.com]:2525"));
  EXPECT_TRUE(matches(".example.com:2525", "mx.example.com:2525"));
  EXPECT_FALSE(matches(".example.com:2525", "mx.example.com"));
}

TEST(NextHopPattern, InBracketsMatchesTheHostAlone) {
  EXPECT_TRUE(matches("example.com", "[example.com]"));
  EXPECT_FALSE(matches("[example.com]", "example.com"));
}

TEST(NextHopPattern, WithADotMatchesWhatIsBelow) {
  EXPECT_TRUE(matches(".example.com", "a.b.example.com"));
  EXPECT_TRUE(matches(".example.com", "[mx.example.com]:2525"));
  EXPECT_FALSE(matches(".example.com", "example.com"));
  EXPECT_FALSE(matches("example.com", "mx.example.com"));
  EXPECT_FALSE(matches(".example.com", "unix:/x.example.com"));
}

TEST(NextHopPattern, TakesCapitalsATrailingDotAndUnicode) {
  EXPECT_TRUE(matches(" Example.COM. ", "example.com"));
  EXPECT_TRUE(
      matches("b\xc3\xbc"
              "cher.example",
              "xn--bcher-kva.example"));
}

TEST(NextHopPattern, WhatCanMatchNothingIsNone) {
  for (const auto *bad : {"", ".", "[x", "[]", "[x]y", "[x]:", "[x]:0", "[.example.com]", "not a domain", "!!", "unix:",
                          "x:y", "x:65536", "..example.com", ".[x]", ".192.0.2.1:25x", ".unix:/a", "x@example.com"})
    EXPECT_FALSE(parse_nexthop_pattern(bad)) << bad;
}

TEST(NextHopPattern, TheMostSpecificOneCounts) {
  Options o;
  o.tcp_maxseg = {{pattern_of(".example.com"), 1000},
                  {pattern_of("mx.example.com"), 536},
                  {pattern_of(".com"), 1200},
                  {pattern_of("mx.example.com:587"), 537},
                  {pattern_of("[mx.example.com]"), 538},
                  {pattern_of("[mx.example.com]:26"), 539},
                  {pattern_of("mx.example.com:26"), 540}};
  EXPECT_EQ(o.maxseg_for(hop("mx.example.com")), 536);
  EXPECT_EQ(o.maxseg_for(hop("a.example.com")), 1000);
  EXPECT_EQ(o.maxseg_for(hop("example.com")), 1200);
  EXPECT_EQ(o.maxseg_for(hop("example.org")), 0);
  EXPECT_EQ(o.maxseg_for(hop("[mx.example.com]")), 538);
  EXPECT_EQ(o.maxseg_for(hop("[mx.example.com]:587")), 537);
  EXPECT_EQ(o.maxseg_for(hop("[mx.example.com]:26")), 539);
  EXPECT_EQ(o.maxseg_for(hop("mx.example.com:26")), 540);
}

TEST(NextHopPattern, APolicyInTheWordsOfTheRouteHolds) {
  FakeServer server;
  const auto port = std::to_string(server.port);
  for (const auto &pattern : {"[127.0.0.1]:" + port, std::string{"[127.0.0.1]"}, "127.0.0.1:" + port}) {
    TestHost host{kSmtp, {{"tls_policy", pattern + "=encrypt"}}};
    Mail mail;
    mail.nexthop = server.nexthop;
    EXPECT_EQ(host.deliver(mail)[0].enhanced, "4.7.4") << pattern;
  }
  EXPECT_EQ(server.count("MAIL"), 0u);
}

TEST(NextHopPattern, ConnectionsToAListedNextHopAreKept) {
  FakeServer server;
  TestHost host{kSmtp,
                {{"smtp_connection_cache_destinations", "[127.0.0.1]:" + std::to_string(server.port)},
                 {"smtp_connection_cache_on_demand", "false"}}};
  Mail mail;
  mail.nexthop = server.nexthop;
  for (int i = 0; i < 3; ++i) host.deliver(mail);
  EXPECT_EQ(server.connections(), 1u);
}

TEST(NextHopPattern, AnEntryThatCanMatchNothingIsNamed) {
  const auto check = [](const std::string &option, const std::string &value) {
    return FakeHost::check(plugin::Glue<SmtpTransport, plugin::TransportKind>::entry(), {{option, value}});
  };
  for (const std::string bad : {"[x", "not a domain", "!!", "unix:/a"}) {
    EXPECT_THAT(check("tls_policy", bad + "=encrypt"),
                HasSubstr("tls_policy holds \"" + bad + "=encrypt\", which can match no next hop"));
    EXPECT_THAT(check("smtp_tcp_maxseg", bad + "=536"),
                HasSubstr("smtp_tcp_maxseg holds \"" + bad + "=536\", which can match no next hop"));
  }
  EXPECT_THAT(check("smtp_connection_cache_destinations", "[x, example.com"),
              HasSubstr("smtp_connection_cache_destinations holds \"[x\", which can match no next hop"));
  EXPECT_EQ(check("smtp_connection_cache_destinations", "unix:/run/lmtp, [::1]:25, .example.com"), "");
}

}  // namespace
}  // namespace mansio::smtp::test
