// The pure parts: replies, next hops and their order, commands, content, conversion to 7 bit.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plugins/transport-smtp/client/content.hpp"
#include "plugins/transport-smtp/client/envelope.hpp"
#include "plugins/transport-smtp/client/mime.hpp"
#include "plugins/transport-smtp/client/nexthop.hpp"
#include "plugins/transport-smtp/client/reply.hpp"
#include "plugins/transport-smtp/client/text.hpp"
#include "plugins/transport-smtp/client/xforward.hpp"

namespace mansio::smtp {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// ---- replies ----

Reply one(std::string_view bytes) {
  ReplyParser parser;
  std::size_t consumed = 0;
  EXPECT_EQ(parser.parse(bytes, consumed), ReplyParser::State::Complete);
  EXPECT_EQ(consumed, bytes.size());
  return parser.take();
}
ReplyParser::State state_of(std::string_view bytes) {
  std::size_t consumed = 0;
  return ReplyParser{}.parse(bytes, consumed);
}

TEST(ReplyParser, ReadsOneLine) {
  const auto r = one("250 2.1.0 Ok\r\n");
  EXPECT_EQ(r.code, 250);
  EXPECT_EQ(r.status().subject, 1);
  EXPECT_EQ(r.text, "Ok");
}
TEST(ReplyParser, JoinsLinesAndTakesEnhancedCodesOff) {
  const auto r = one("550-5.7.1 first\r\n550-5.7.1 second\r\n550 5.7.1 third\r\n");
  EXPECT_EQ(r.text, "first second third");
  EXPECT_EQ(r.status().subject, 7);
  EXPECT_EQ(r.lines.size(), 3u);
}
TEST(ReplyParser, TakesACodeWithoutTextAndABareLf) {
  EXPECT_EQ(one("354\r\n").code, 354);
  EXPECT_EQ(one("250 ok\n").text, "ok");
}
TEST(ReplyParser, IgnoresAnEnhancedCodeOfAnotherClass) {
  EXPECT_EQ(one("450 5.1.1 hm\r\n").status().cls, 4);
  EXPECT_EQ(one("450 5.1.1 hm\r\n").text, "5.1.1 hm");
  EXPECT_EQ(one("250 2.0 ok\r\n").enhanced.cls, 0);
}
TEST(ReplyParser, WaitsForTheRestAndLeavesTheNextReply) {
  ReplyParser parser;
  std::size_t consumed = 0;
  EXPECT_EQ(parser.parse("250-a\r\n250", consumed), ReplyParser::State::More);
  EXPECT_EQ(consumed, 7u);
  EXPECT_EQ(parser.parse("250 b\r\n354 c\r\n", consumed), ReplyParser::State::Complete);
  EXPECT_EQ(consumed, 7u);
  EXPECT_EQ(parser.take().text, "a b");
}
TEST(ReplyParser, RefusesWhatIsNoReply) {
  for (const char *bad : {"hello\r\n", "25 x\r\n", "650 x\r\n", "150 x\r\n", "250x\r\n", "\r\n"})
    EXPECT_EQ(state_of(bad), ReplyParser::State::Bad) << bad;
  EXPECT_EQ(state_of("250 " + std::string(kLineLimit, 'x')), ReplyParser::State::Bad);
  std::string lines;
  for (std::size_t i = 0; i <= kLinesLimit; ++i) lines += "250-x\r\n";
  EXPECT_EQ(state_of(lines), ReplyParser::State::Bad);
}
TEST(ReplyParser, MakesTextPrintable) { EXPECT_EQ(one("550 a\tb\x01\xff\xc3\xa4\r\n").text, "a b??\xc3\xa4"); }

TEST(Ehlo, FindsExtensions) {
  const auto c = parse_ehlo(one("250-host SIZE\r\n250-size 1000\r\n250-8bitmime\r\n250-DSN\r\n250 X-PIPELINING\r\n"));
  EXPECT_TRUE(c.size && c.eight_bit_mime && c.dsn);
  EXPECT_FALSE(c.pipelining);
  EXPECT_EQ(c.size_limit, 1000u);
  EXPECT_THAT(c.auth, IsEmpty());
  EXPECT_THAT(parse_ehlo(one("250-h\r\n250-AUTH PLAIN  LOGIN\r\n250-auth=CRAM-MD5\r\n250 AUTH\r\n")).auth,
              ElementsAre("PLAIN", "LOGIN", "CRAM-MD5"));
  std::string many = "250-h\r\n";
  for (int line = 0; line < 3; ++line) {
    many += "250-AUTH";
    for (int i = 0; i < 2000; ++i) many += " X";
    many += "\r\n";
  }
  EXPECT_EQ(parse_ehlo(one(many + "250 OK\r\n")).auth.size(), kMechanismsLimit);  // kept as long as the connection
  EXPECT_EQ(parse_ehlo(one("250-h\r\n250 SIZE 99999999999999999999999\r\n")).size_limit, 0u);
}

// ---- next hops ----

std::string key(std::string_view text) {
  const auto hop = parse_nexthop(text, 25);
  return hop ? hop->key() : "bad";
}
TEST(NextHop, ReadsEveryForm) {
  EXPECT_EQ(key("Example.COM"), "example.com:25");
  EXPECT_EQ(key("example.com:587"), "example.com:587");
  EXPECT_EQ(key("[mx.example.com]"), "[mx.example.com]:25");
  EXPECT_EQ(key("[mx.example.com]:26"), "[mx.example.com]:26");
  EXPECT_EQ(key("[192.0.2.1]:26"), "[192.0.2.1]:26");
  EXPECT_EQ(key("192.0.2.1:26"), "[192.0.2.1]:26");
  EXPECT_EQ(key("[IPv6:2001:DB8::1]"), "[2001:db8::1]:25");
  EXPECT_EQ(key("[2001:db8::1]:26"), "[2001:db8::1]:26");
  EXPECT_EQ(key("unix:/run/lmtp"), "unix:/run/lmtp");
  EXPECT_EQ(key("inet:host:24"), "[host]:24");
  EXPECT_EQ(key("b\xc3\xbc"
                "cher.example"),
            "xn--bcher-kva.example:25");
}
TEST(NextHop, RefusesTheRest) {
  for (const char *bad : {"", "[", "[x", "[x]y", "[x]:", "x:0", "x:99999", "x:25y", "a b", "a..b", "unix:", "inet:"})
    EXPECT_EQ(key(bad), "bad") << bad;
  EXPECT_FALSE(nexthop_of_domain("[not.an.address]", 25));
}

Target at(std::string address, std::uint16_t preference) { return {"h", std::move(address), 25, preference}; }
std::vector<std::string> addresses(const std::vector<Target> &targets) {
  std::vector<std::string> out;
  out.reserve(targets.size());
  for (const auto &t : targets) out.push_back(t.address);
  return out;
}
const auto kLast = [](std::size_t n) { return n - 1; };

TEST(TargetOrder, FollowsPreferenceAndAlternatesFamilies) {
  std::vector<Target> t{at("10.0.0.9", 20), at("2001:db8::1", 10), at("2001:db8::2", 10), at("10.0.0.1", 10),
                        at("10.0.0.1", 30)};
  order_targets(t, 0, kLast);
  EXPECT_THAT(addresses(t), ElementsAre("2001:db8::1", "10.0.0.1", "2001:db8::2", "10.0.0.9"));
}
TEST(TargetOrder, IsRandomInsideAPreference) {
  std::vector<Target> t{at("10.0.0.1", 10), at("10.0.0.2", 10), at("10.0.0.3", 5)};
  order_targets(t, 0, [](std::size_t) { return std::size_t{0}; });
  EXPECT_THAT(addresses(t), ElementsAre("10.0.0.3", "10.0.0.2", "10.0.0.1"));
}
TEST(TargetOrder, LimitKeepsBothFamilies) {
  std::vector<Target> t;
  for (int i = 1; i < 8; ++i) t.push_back(at("2001:db8::" + std::to_string(i), 10));
  t.push_back(at("10.0.0.1", 20));
  order_targets(t, 5, kLast);
  EXPECT_EQ(t.size(), 5u);
  EXPECT_EQ(t.back().address, "10.0.0.1");
}
TEST(PruneSelf, KeepsOnlyBetterServersThanOurselves) {
  std::vector<Target> t{at("10.0.0.1", 10), at("10.0.0.2", 20), at("10.0.0.3", 20), at("10.0.0.4", 30)};
  EXPECT_EQ(prune_self(t, {"10.0.0.3"}), 20);
  EXPECT_THAT(addresses(t), ElementsAre("10.0.0.1"));
  EXPECT_EQ(prune_self(t, {"10.0.0.3"}), std::nullopt);
}

// ---- commands ----

TEST(WireAddress, QuotesAndRefuses) {
  EXPECT_EQ(wire_address("a.b@x.org", false), "a.b@x.org");
  EXPECT_EQ(wire_address("a..b@x.org", false), "\"a..b\"@x.org");
  EXPECT_EQ(wire_address("\"a b\"@x.org", false), "\"a b\"@x.org");
  EXPECT_EQ(wire_address("a\"b\\c@x.org", false), "\"a\\\"b\\\\c\"@x.org");
  EXPECT_EQ(wire_address("postmaster", false), "postmaster");
  EXPECT_EQ(wire_address("a@[192.0.2.1]", false), "a@[192.0.2.1]");
  for (const char *bad : {"a\n@x.org", "a@x.org>", "@x.org", "a@", "\xff@x.org"})
    EXPECT_FALSE(wire_address(bad, true)) << bad;
}
TEST(Orcpt, WritesUtf8AddressesForBothKindsOfServer) {
  EXPECT_EQ(orcpt_value("utf-8;j\xc3\xb6@x.org", true), "utf-8;j\xc3\xb6@x.org");
  EXPECT_EQ(orcpt_value("utf-8;j\xc3\xb6+@x.org", false), "utf-8;j\\x{F6}\\x{2B}@x.org");
  EXPECT_EQ(orcpt_value("rfc822;a b=c", false), "rfc822;a+20b+3Dc");
  EXPECT_FALSE(orcpt_value("no type", false));
}

// ---- content ----

TEST(Content, KnowsCanonicalText) {
  EXPECT_TRUE(is_canonical(""));
  EXPECT_TRUE(is_canonical("a\r\n\r\n"));
  for (const char *bad : {"a", "a\n", "a\r", "\n", "a\rb\r\n", "a\r\r\n", "a\n\r"})
    EXPECT_FALSE(is_canonical(bad)) << bad;
}
TEST(Content, MendsAndStuffsTheSameInPiecesOfAnySize) {
  const std::string text = ".a\r\n..b\n.\r.c\r\n\r\n.";
  const std::string expected = "..a\r\n...b\r\n..\r\n..c\r\n\r\n..\r\n";
  for (std::size_t step = 1; step <= text.size(); ++step) {
    ContentFilter filter{true};
    std::string out;
    for (std::size_t i = 0; i < text.size(); i += step) filter.add(std::string_view{text}.substr(i, step), out);
    filter.finish(out);
    EXPECT_EQ(out, expected) << step;
  }
}

// ---- conversion ----

TEST(Conversion, LeavesSevenBitTextAlone) {
  const std::string text = "Subject: x\r\n\r\n=20 trailing \r\n";
  EXPECT_EQ(convert_to_seven_bit(text).message, text);
}
TEST(Conversion, MakesPlainTextMime) {
  EXPECT_EQ(convert_to_seven_bit("Subject: x\r\n\r\n\xc3\xa4=.\r\n.dot \r\n").message,
            "Subject: x\r\nContent-Transfer-Encoding: quoted-printable\r\nMIME-Version: 1.0\r\n"
            "Content-Type: text/plain; charset=utf-8\r\n\r\n=C3=A4=3D.\r\n=2Edot=20\r\n");
  EXPECT_THAT(convert_to_seven_bit("\r\n\xe4\r\n").message, HasSubstr("charset=unknown-8bit"));
}
TEST(Conversion, EncodesLeavesOfAMultipart) {
  const auto c = convert_to_seven_bit(
      "MIME-Version: 1.0\r\nContent-Type: multipart/mixed;\r\n boundary=\"b \\\"c\"\r\nContent-Transfer-Encoding: "
      "8bit\r\n\r\n"
      "pre\xc3\xa4mble\r\n--b \"c\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
      "<b>\xc3\xa4</b>\r\n--b \"c\r\nContent-Type: application/x\r\nContent-Transfer-Encoding: binary\r\n\r\n"
      "\xff\xfe\r\n--b \"c \r\n\r\nplain\r\n--b \"c--\r\nepilogue\xc3\xa4\r\n");
  ASSERT_TRUE(c.ok) << c.why;
  EXPECT_EQ(c.message,
            "MIME-Version: 1.0\r\nContent-Type: multipart/mixed;\r\n boundary=\"b "
            "\\\"c\"\r\nContent-Transfer-Encoding: 7bit\r\n\r\n"
            "pre??mble\r\n--b \"c\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: "
            "quoted-printable\r\n\r\n"
            "<b>=C3=A4</b>\r\n--b \"c\r\nContent-Type: application/x\r\nContent-Transfer-Encoding: base64\r\n\r\n"
            "//4=\r\n\r\n--b \"c \r\n\r\nplain\r\n--b \"c--\r\nepilogue??\r\n");
}
TEST(Conversion, GoesIntoForwardedMessages) {
  const auto c = convert_to_seven_bit(
      "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n\r\nSubject: in\r\nContent-Type: text/plain; "
      "charset=latin1\r\n\r\n\xe4\r\n");
  ASSERT_TRUE(c.ok);
  EXPECT_THAT(c.message, HasSubstr("Content-Transfer-Encoding: 7bit\r\nMIME-Version: 1.0\r\n\r\nSubject: in\r\n"));
  EXPECT_THAT(c.message, HasSubstr("quoted-printable\r\n\r\n=E4\r\n"));
}
TEST(Conversion, EncodesHeadersByTheirGrammar) {
  EXPECT_EQ(encode_header("Subject: gr\xc3\xbc\xc3\x9f"
                          "e und K\xc3\xbcsse \xc3\xa4"),
            "Subject: =?utf-8?Q?gr=C3=BC=C3=9Fe?= und =?utf-8?Q?K=C3=BCsse_=C3=A4?=");
  EXPECT_EQ(
      encode_header("From: \"J\xc3\xb6rg, x\" <j@x.org>, J\xc3\xb6rg M\xc3\xbcller<m@x.org> (\xc3\xa4)"),
      "From: =?utf-8?Q?J=C3=B6rg=2C_x?= <j@x.org>, =?utf-8?Q?J=C3=B6rg_M=C3=BCller?= <m@x.org> (=?utf-8?Q?=C3=A4?=)");
  EXPECT_EQ(encode_header("To: j\xc3\xb6rg@x.org"), "");
  EXPECT_EQ(encode_header("To: <j\xc3\xb6rg@x.org>"), "");
  EXPECT_EQ(encode_header("Message-ID: <\xc3\xa4@x>"), "");
  std::string folded;
  for (int i = 0; i < 60; ++i) folded += "\xe2\x82\xac";
  const auto encoded = encode_header("Subject: " + folded);
  for (std::string_view rest = encoded; !rest.empty();) {
    const auto end = std::min(rest.find("\r\n"), rest.size());
    EXPECT_LE(end, 85u);
    rest.remove_prefix(std::min(end + 2, rest.size()));
  }
}
TEST(Conversion, RefusesWhatCannotBeEncoded) {
  for (const char *text :
       {"To: <\xc3\xa4@x>\r\n\r\nx\r\n", "Content-Type: message/partial\r\n\r\n\xc3\xa4\r\n",
        "Content-Type: multipart/mixed\r\n\r\n\xc3\xa4\r\n", "Content-Transfer-Encoding: x-odd\r\n\r\n\xc3\xa4\r\n",
        "Content-Type: multipart/mixed; boundary=x\r\nContent-Transfer-Encoding: base64\r\n\r\n\xc3\xa4\r\n"})
    EXPECT_FALSE(convert_to_seven_bit(text).ok) << text;
  std::string deep = "\xc3\xa4\r\n";
  for (int i = 0; i < 200; ++i) deep = "Content-Type: message/rfc822\r\n\r\n" + deep;
  EXPECT_FALSE(convert_to_seven_bit(deep).ok);
}
TEST(Conversion, MendsStrayOctetsInEncodedParts) {
  EXPECT_THAT(convert_to_seven_bit("Content-Transfer-Encoding: quoted-printable\r\n\r\na=3D\xe4\r\n").message,
              HasSubstr("a=3D=E4\r\n"));
  EXPECT_THAT(convert_to_seven_bit("Content-Transfer-Encoding: base64\r\n\r\nQUJD\xe4\r\n").message,
              HasSubstr("\r\n\r\nQUJD\r\n"));
}
TEST(QuotedPrintable, KeepsLinesShort) {
  const auto out = quoted_printable(std::string(500, 'x') + "\r\n" + std::string(100, '\xe4') + " \r\n");
  for (std::string_view rest = out; !rest.empty();) {
    const auto end = rest.find("\r\n");
    EXPECT_LE(end, 76u);
    rest.remove_prefix(end + 2);
  }
  EXPECT_TRUE(out.ends_with("=20\r\n"));
}
TEST(Base64, PadsAndBreaksLines) {
  EXPECT_EQ(base64_lines("a"), "YQ==\r\n");
  EXPECT_EQ(base64_lines(std::string(57, 'a')).size(), 78u);
  EXPECT_EQ(base64_lines(""), "");
}

// ---- XFORWARD ----

constexpr std::uint32_t kAll =
    kForwardName | kForwardAddr | kForwardPort | kForwardProto | kForwardHelo | kForwardIdent | kForwardSource;

TEST(XForward, IsOfferedWithTheAttributesThatTheServerNames) {
  const auto offered = [](const std::string &line) {
    return parse_ehlo(one("250-fake.example\r\n250 " + line + "\r\n")).xforward;
  };
  EXPECT_EQ(offered("XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE"), kAll);
  EXPECT_EQ(offered("xforward addr  helo LOGIN"), static_cast<std::uint32_t>(kForwardAddr | kForwardHelo));
  EXPECT_EQ(offered("XFORWARD"), 0u);
  EXPECT_EQ(offered("XCLIENT NAME ADDR"), 0u);
}

TEST(XForward, TellsWhatIsKnownAsXtext) {
  plugin::Delivery delivery;
  delivery.origin = {MANSIO_ORIGIN_REMOTE, 1234, "192.0.2.7", "spike.example", "spike x", "ESMTP", "4ABC=1"};
  EXPECT_THAT(xforward_commands(delivery, kAll),
              ElementsAre("XFORWARD NAME=spike.example ADDR=192.0.2.7 PORT=1234\r\n",
                          "XFORWARD PROTO=ESMTP HELO=spike+20x IDENT=4ABC+3D1 SOURCE=REMOTE\r\n"));
  delivery.origin = {MANSIO_ORIGIN_LOCAL, 0, "", "", "", "", "4ABC"};
  EXPECT_THAT(xforward_commands(delivery, kAll),
              ElementsAre("XFORWARD NAME=[UNAVAILABLE] ADDR=[UNAVAILABLE] PORT=[UNAVAILABLE]\r\n",
                          "XFORWARD PROTO=[UNAVAILABLE] HELO=[UNAVAILABLE] IDENT=4ABC SOURCE=LOCAL\r\n"));
  delivery.origin.address = "2001:db8::1";
  EXPECT_THAT(xforward_commands(delivery, kForwardAddr), ElementsAre("XFORWARD ADDR=IPV6:2001:db8::1\r\n"));
  EXPECT_TRUE(xforward_commands(delivery, 0).empty());
}

TEST(XForward, OfAnOlderHostTellsOfTheClient) {
  plugin::Delivery delivery;
  delivery.queue_id = "4ABC";
  delivery.client_address = "192.0.2.7";
  delivery.client_name = "unknown";
  delivery.client_helo = "spike";
  EXPECT_THAT(xforward_commands(delivery, kForwardName | kForwardAddr | kForwardHelo | kForwardIdent | kForwardSource),
              ElementsAre("XFORWARD NAME=[UNAVAILABLE] ADDR=192.0.2.7\r\n",
                          "XFORWARD HELO=spike IDENT=4ABC SOURCE=REMOTE\r\n"));
}

}  // namespace
}  // namespace mansio::smtp
