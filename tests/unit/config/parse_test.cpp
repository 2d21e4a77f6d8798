// A configuration text becomes Settings, or a list of all its problems, each with file, line, key and what was
// expected.
#include "kernel/config/parse.hpp"

#include <gmock/gmock.h>

#include "tests/unit/config/memory_files.hpp"

namespace mansio::config {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(Settings, AFileWithTheLeastHasTheDefaults) {
  const auto parsed = parse_with_rest("");
  ASSERT_THAT(all(parsed), IsEmpty());
  const auto &s = parsed.settings;
  EXPECT_EQ(s.spool, "/var/spool/mansio");
  EXPECT_EQ(s.user, "mansio");
  EXPECT_FALSE(s.myhostname.empty());
  ASSERT_EQ(s.listeners.size(), 1u);
  EXPECT_EQ(s.listeners[0].smtpd, s.smtpd);
  ASSERT_EQ(s.transports.size(), 1u);
  EXPECT_EQ(s.transports[0].process_limit, 100u);
}

TEST(Settings, OnlyThisHostMayRelayByDefault) {
  const auto parsed = parse_with_rest("");
  const auto &networks = parsed.settings.listeners.at(0).smtpd.mynetworks;
  EXPECT_TRUE(contains(networks, "127.0.0.1"));
  EXPECT_TRUE(contains(networks, "::1"));
  EXPECT_FALSE(contains(networks, "10.0.0.1"));
  EXPECT_FALSE(contains(networks, "192.0.2.1"));
}

TEST(Settings, ReadsEveryType) {
  const auto parsed = parse_with_rest(R"(
myhostname = "Mail.Example.COM"
sandbox = false
stop_timeout = 10
mydestination = ["Example.com", "bücher.example"]
[log]
level = "debug"
[smtpd]
message_size_limit = "20M"
timeout = "2m"
recipient_limit = 5
[queue]
backoff_jitter = 1
maximal_queue_lifetime = 0
)");
  ASSERT_THAT(all(parsed), IsEmpty());
  const auto &s = parsed.settings;
  EXPECT_EQ(s.myhostname, "mail.example.com");
  EXPECT_EQ(s.mydomain, "example.com");
  EXPECT_FALSE(s.sandbox);
  EXPECT_EQ(s.stop_timeout, 10 * kSecond);
  EXPECT_THAT(s.mydestination, ::testing::ElementsAre("example.com", "xn--bcher-kva.example"));
  EXPECT_EQ(s.log.level, LogLevel::Debug);
  EXPECT_EQ(s.smtpd.message_size_limit, 20u << 20);
  EXPECT_EQ(s.smtpd.timeout, 120 * kSecond);
  EXPECT_EQ(s.queue.backoff_jitter, 1.0);
  EXPECT_EQ(s.queue.maximal_queue_lifetime, 0);
}

TEST(Settings, NoMessageMayBeLargerThanTheSpoolTakes) {
  const auto text = all(parse_text("[smtpd]\nmessage_size_limit = \"4G\"\n"));
  EXPECT_THAT(text, HasSubstr("/etc/m.toml:2: smtpd.message_size_limit is \"4G\", expected a size"));
  EXPECT_THAT(text, HasSubstr(" from 1K to 4095M\n"));
}

TEST(Settings, NoCommandMayBeLongerThanTheServersBuffer) {
  EXPECT_THAT(all(parse_text("[smtpd]\ncommand_length_limit = \"64K\"\n")), HasSubstr(" from 512 to 31K\n"));
}

TEST(Settings, EveryProblemIsReportedWithFileLineKeyAndWhatWasExpected) {
  const auto parsed = parse_text(R"(spol = "/x"
stop_timeout = "5 parsecs"
[smtpd]
helo_required = "yes"
recipient_limit = 0
timout = 5
forbid_bare_newline = "reject!"
mynetworks = ["192.0.2.1/24", "10.0.0.0/8"]
[lisener.smtp]
listen = ["x"]
)");
  const auto text = all(parsed);
  EXPECT_THAT(text, HasSubstr("/etc/m.toml:1: spol is not an option at top level; did you mean spool?\n"));
  EXPECT_THAT(text, HasSubstr("/etc/m.toml:2: stop_timeout is \"5 parsecs\", expected a duration"));
  EXPECT_THAT(text, HasSubstr("/etc/m.toml:4: smtpd.helo_required is \"yes\", expected true or false\n"));
  EXPECT_THAT(text, HasSubstr("/etc/m.toml:5: smtpd.recipient_limit is 0, expected an integer from 1 to 100000\n"));
  EXPECT_THAT(text, HasSubstr("/etc/m.toml:6: smtpd.timout is not an option in [smtpd]; did you mean timeout?\n"));
  EXPECT_THAT(text, HasSubstr("/etc/m.toml:7: smtpd.forbid_bare_newline is \"reject!\", expected \"normalize\" or "
                              "\"reject\"; did you mean \"reject\"?\n"));
  EXPECT_THAT(text, HasSubstr("/etc/m.toml:8: smtpd.mynetworks holds \"192.0.2.1/24\", expected a network"));
  EXPECT_THAT(text, HasSubstr("/etc/m.toml:9: lisener is not an option at top level; did you mean listener?\n"));
  EXPECT_THAT(text, HasSubstr("/etc/m.toml: listener is missing"));
  EXPECT_THAT(text, HasSubstr("/etc/m.toml: route is missing"));
}

TEST(Settings, ARateMayBeASourcePools) {
  const auto parsed = parse_with_rest("[[rate_limit]]\nkey = \"source_pool\"\nrate = \"50/h\"\n");
  ASSERT_THAT(all(parsed), IsEmpty());
  EXPECT_EQ(parsed.settings.rate_limits.at(0).key, RateKey::SourcePool);
  EXPECT_THAT(all(parse_with_rest("[[rate_limit]]\nkey = \"pool\"\nrate = \"50/h\"\n")), HasSubstr("\"source_pool\""));
}

TEST(Settings, ARateMayWarmUpDayByDay) {
  const std::string table = "[[rate_limit]]\nkey = \"source_pool\"\nrate = \"50/h\"\n",
                    days = "warm_up = [\"50/d\", \"100/d\"]\n";
  const auto parsed = parse_with_rest(table + days + "warm_up_from = \"2026-02-28\"\n");
  ASSERT_THAT(all(parsed), IsEmpty());
  EXPECT_EQ(parsed.settings.rate_limits.at(0).warm_up, (std::vector<std::string>{"50/d", "100/d"}));
  EXPECT_THAT(all(parse_with_rest(table + days)), HasSubstr("rate_limit[1] has one of warm_up and warm_up_from"));
  EXPECT_THAT(all(parse_with_rest(table + "warm_up_from = \"2026-02-28\"\n")), HasSubstr("without the other"));
  for (const auto *wrong :
       {"2026-02-29", "26-02-28", "2026-2-28", "2026-02-28T00", "1969-12-31", "tomorrow", "9999-01-01"})
    EXPECT_THAT(all(parse_with_rest(table + days + "warm_up_from = \"" + wrong + "\"\n")), HasSubstr("expected a date"))
        << wrong;
}

TEST(Settings, ALimitMayBeASourcePoolsAtDestinations) {
  const std::string key = "[[rate_limit]]\nkey = \"source_pool_destination\"\n";
  const auto parsed = parse_with_rest(key + "destination = [\"Big.example\", \".p.example\"]\nconcurrency = 3\n" + key +
                                      "rate = \"50/d\"\n");
  ASSERT_THAT(all(parsed), IsEmpty());
  const auto &rule = parsed.settings.rate_limits.at(0);
  EXPECT_EQ(rule.key, RateKey::SourcePoolDestination);
  EXPECT_EQ(rule.destination, (std::vector<std::string>{"big.example", ".p.example"}));
  EXPECT_EQ(rule.concurrency, 3u);
  EXPECT_THAT(all(parse_with_rest(key)), HasSubstr("rate_limit[1] has neither rate nor concurrency"));
  EXPECT_THAT(all(parse_with_rest(key + "rate = \"1/s\"\ndestination = []\n")), HasSubstr("is empty"));
  for (const auto *wrong : {"concurrency = 1\n", "destination = [\"a.example\"]\n"})
    EXPECT_THAT(all(parse_with_rest("[[rate_limit]]\nkey = \"source_pool\"\nrate = \"1/s\"\n" + std::string{wrong})),
                HasSubstr("has a destination or concurrency"));
  EXPECT_THAT(all(parse_with_rest("[[rate_limit]]\nkey = \"tenant\"\n")), HasSubstr("rate_limit[1] has no rate"));
}

TEST(Settings, ASourceGroupHasPoolsWithWeights) {
  const std::string group = "[[source_group]]\nname = \"bulk\"\npools = [\"old=9\", \"new\"]\n";
  const auto parsed = parse_with_rest(group);
  ASSERT_THAT(all(parsed), IsEmpty());
  EXPECT_EQ(parsed.settings.source_groups, (std::vector<SourceGroup>{{"bulk", {"old=9", "new"}}}));
  for (const auto *wrong : {"new=0", "new=", "new=x", "=1", "", "new=1000001", "new=1.5"})
    EXPECT_THAT(all(parse_with_rest("[[source_group]]\nname = \"bulk\"\npools = [\"" + std::string{wrong} + "\"]\n")),
                HasSubstr("expected a name with its weight"))
        << wrong;
  EXPECT_THAT(all(parse_with_rest(group + group)), HasSubstr("source_group[2].name is \"bulk\" a second time"));
  EXPECT_THAT(all(parse_with_rest("[[source_group]]\n")), HasSubstr("source_group[1] has no pools"));
  EXPECT_THAT(all(parse_with_rest("[[source_group]]\n")), HasSubstr("source_group[1] has no name"));
  EXPECT_THAT(all(parse_with_rest(group + "[[source_group]]\nname = \"g\"\npools = [\"a\", \"a=2\", \"bulk\"]\n")),
              AllOf(HasSubstr("holds \"a\" a second time"), HasSubstr("holds \"bulk\", which is a group itself")));
  EXPECT_THAT(
      all(parse_with_rest(group + "[[rate_limit]]\nkey = \"source_pool\"\nrate = \"1/s\"\nmatch = [\"bulk\"]\n")),
      HasSubstr("\"bulk\", which is a [[source_group]]"));
}

TEST(Settings, AnOptionOfAnotherTableOrWithPostfixsNameIsShownItsPlace) {
  EXPECT_THAT(all(parse_with_rest("log_format = \"postfix\"\n")),
              HasSubstr("/etc/m.toml:1: log_format is not an option at top level; expected it as format in [log]\n"));
  EXPECT_THAT(all(parse_with_rest("smtpd_timeout = 5\n")), HasSubstr("expected it as timeout in [smtpd]\n"));
  EXPECT_THAT(all(parse_with_rest("message_size_limit = 5\n")),
              HasSubstr("expected it as message_size_limit in [smtpd]\n"));
  EXPECT_THAT(all(parse_with_rest("[smtpd]\nmydestination = []\n")),
              HasSubstr("expected it as mydestination at top level\n"));
  EXPECT_THAT(all(parse_with_rest("process_limit = 5\n")), HasSubstr("in [transport.NAME]\n"));
}

TEST(Settings, AnOptionLikeNoOtherIsToldWhatIsAllowed) {
  EXPECT_THAT(all(parse_with_rest("[log]\nfoo = 1\n")),
              HasSubstr("log.foo is not an option in [log], expected one of format, level, target, syslog_name\n"));
  EXPECT_THAT(all(parse_with_rest("nosuch = 1\n")), HasSubstr(", expected one of include, log, smtpd, "));
}

TEST(Settings, TheSyslogNameIsOneThatLogLinesCanCarry) {
  EXPECT_EQ(parse_with_rest("").settings.log.syslog_name, "mansio");
  EXPECT_EQ(parse_with_rest("[log]\nsyslog_name = \"postfix/out\"\n").settings.log.syslog_name, "postfix/out");
  for (const auto *bad : {"", "a b", "a:", "a[1]"})
    EXPECT_THAT(all(parse_with_rest("[log]\nsyslog_name = \"" + std::string{bad} + "\"\n")),
                HasSubstr("log.syslog_name is"))
        << bad;
}

TEST(Settings, WrongTypesOfTablesAreProblems) {
  EXPECT_THAT(all(parse_text("smtpd = 5\n")), HasSubstr(":1: smtpd is an integer, expected a table [smtpd]"));
  EXPECT_THAT(all(parse_text("listener = []\n")), HasSubstr(":1: listener is a list, expected a table"));
  EXPECT_THAT(all(parse_text("[listener]\nsmtp = 5\n")), HasSubstr(":2: listener.smtp is an integer"));
  EXPECT_THAT(all(parse_text("[route]\ntransport = \"x\"\n")),
              HasSubstr(":1: route is a table, expected tables [[route]]"));
  EXPECT_THAT(all(parse_text("route = [1]\n")), HasSubstr("route is an integer, expected a table [[route]]"));
  EXPECT_THAT(all(parse_text("[transport.\"a b\"]\nplugin = \"transport-smtp\"\n")), HasSubstr("is no name"));
}

TEST(Settings, WhatIsNotTomlIsReportedWithItsLine) {
  EXPECT_THAT(all(parse_text("a = 1\nb =\n")), HasSubstr("/etc/m.toml:2: is not TOML"));
  EXPECT_THAT(all(parse_text("spool = \"a\"\nspool = \"b\"\n")), HasSubstr("/etc/m.toml:2: is not TOML"));
  EXPECT_THAT(all(parse({})), HasSubstr("/etc/m.toml: cannot be read"));
}

TEST(Settings, AHeaderWithoutAKeyIsAProblemLikeAnyOther) {
  for (const auto *bad : {"[=]", "[[[a]]]", "[", "[[", "[]", "[[]]", "[.a]", "[a.]", "[a.=]", "= 1", "a.=1", "{",
                          "x = {=1}", "x = {a.}", "x = [,]", "x = [1 2]"}) {
    EXPECT_THAT(all(parse_text("y = 1\n" + std::string{bad} + "\n")), HasSubstr("is not TOML")) << bad;
  }
}

TEST(Settings, LettersOfAnyScriptDoNotDisturbTheParser) {
  for (const auto *bad : {"ä = 1", "x = ä", "[ä]", "[a ä]", "x = [ä]", "x = 1 ä", "あ = 1", "x = あ", "x = { ä = 1 }",
                          "\u2028 = 1", "\ufeff x = 1"}) {
    EXPECT_THAT(all(parse_text("y = 1\n" + std::string{bad} + "\n")), HasSubstr("is not TOML")) << bad;
  }
  EXPECT_THAT(all(parse_with_rest("# Grüße あ\n[smtpd]\nbanner = \"\"\"\\\n  あ ä\"\"\"\n")), IsEmpty());
  EXPECT_THAT(all(parse_text("\n# \xff\n")), HasSubstr("/etc/m.toml:2: is not UTF-8 text"));
}

TEST(Settings, DepthIsBounded) {
  std::string key = "a";
  for (int i = 0; i < 200000; ++i) key += ".a";
  EXPECT_THAT(all(parse_text("\n" + key + " = 1\n")), HasSubstr(":2: a dotted key has more than 32 parts"));
  EXPECT_THAT(all(parse_text("[" + key + "]\n")), HasSubstr("a dotted key"));
  EXPECT_THAT(all(parse_text("x = '''\n'\" ''', \n" + key + " = 1\n")), HasSubstr("a dotted key"));
  EXPECT_THAT(all(parse_text("x = { y = \"\"\"\"a\"\"\"\"\", " + key + " = 1 }\n")), HasSubstr("a dotted key"));
  EXPECT_THAT(all(parse_text("x = " + std::string(100000, '['))), HasSubstr("is not TOML"));
  std::string dots(10000, '.');
  EXPECT_THAT(all(parse_with_rest("# " + dots + "\n[smtpd]\nbanner = \"" + dots + "\"\n")), IsEmpty());
}

TEST(Settings, AListenerOverridesAnyServerOption) {
  const auto parsed = parse_text(R"(
[smtpd]
timeout = "10s"
mynetworks = ["10.0.0.0/8"]
[listener.a]
listen = ["*:25"]
[listener.b]
listen = ["127.0.0.1:26", "[::1]:26"]
timeout = "20s"
mynetworks = ["192.0.2.0/24"]
durability = "process"
[transport.smtp]
plugin = "transport-smtp"
[[route]]
transport = "smtp"
)");
  ASSERT_THAT(all(parsed), IsEmpty());
  const auto &a = parsed.settings.listener("a")->smtpd;
  const auto &b = parsed.settings.listener("b")->smtpd;
  EXPECT_EQ(a.timeout, 10 * kSecond);
  EXPECT_EQ(b.timeout, 20 * kSecond);
  EXPECT_EQ(b.durability, Durability::Process);
  EXPECT_TRUE(contains(a.mynetworks, "10.1.1.1"));
  EXPECT_FALSE(contains(b.mynetworks, "10.1.1.1"));
  EXPECT_EQ(a.client_event_limit_exceptions, a.mynetworks);
  EXPECT_EQ(b.client_event_limit_exceptions, b.mynetworks);
}

TEST(Settings, RatesOfClientsAreEachListenersAndNoneByDefault) {
  const auto parsed = parse_text(R"(
[smtpd]
client_message_rate_limit = 100
anvil_rate_time_unit = "10m"
[listener.a]
listen = ["*:25"]
[listener.b]
listen = ["*:587"]
client_message_rate_limit = 20
client_ipv6_prefix_length = 64
[transport.smtp]
plugin = "transport-smtp"
[[route]]
transport = "smtp"
)");
  ASSERT_THAT(all(parsed), IsEmpty());
  const auto &a = parsed.settings.listener("a")->smtpd;
  const auto &b = parsed.settings.listener("b")->smtpd;
  EXPECT_EQ(a.client_message_rate_limit, 100u);
  EXPECT_EQ(b.client_message_rate_limit, 20u);
  EXPECT_EQ(b.anvil_rate_time_unit, 600 * kSecond);
  EXPECT_EQ(a.client_connection_rate_limit + a.client_recipient_rate_limit + a.client_auth_rate_limit +
                a.client_new_tls_session_rate_limit,
            0u);
  EXPECT_EQ(a.client_ipv6_prefix_length, 84u);
  EXPECT_EQ(b.client_ipv6_prefix_length, 64u);
  EXPECT_THAT(all(parse_with_rest("[smtpd]\nclient_ipv4_prefix_length = 33\n")),
              HasSubstr("expected an integer from 0 to 32\n"));
}

TEST(Settings, SoftBounceOfRepliesFollowsTheTopLevelUnlessGiven) {
  const auto soft = [](std::string_view top, std::string_view smtpd, std::string_view listener) {
    const auto parsed = parse_text(std::string{top} + "\n[smtpd]\n" + std::string{smtpd} +
                                   "\n[listener.a]\nlisten = [\"127.0.0.1:1\"]\n" + std::string{listener} +
                                   "\n[transport.smtp]\nplugin = \"transport-smtp\"\n"
                                   "[[route]]\ntransport = \"smtp\"\n");
    EXPECT_THAT(all(parsed), IsEmpty());
    return parsed.settings.listener("a")->smtpd.soft_bounce;
  };
  EXPECT_FALSE(soft("", "", ""));
  EXPECT_TRUE(soft("soft_bounce = true", "", ""));
  EXPECT_FALSE(soft("soft_bounce = true", "", "soft_bounce = false"));
  EXPECT_FALSE(soft("soft_bounce = true", "soft_bounce = false", ""));
  EXPECT_TRUE(soft("", "", "soft_bounce = true"));
  EXPECT_TRUE(soft("", "soft_bounce = true", ""));
}

TEST(Settings, ListenersAndTransportsKeepTheOrderOfTheFile) {
  const auto parsed = parse_text(R"([transport.z]
plugin = "transport-smtp"
[transport.a]
plugin = "transport-lmtp"
[listener.z]
listen = ["127.0.0.1:1"]
[listener.a]
listen = ["127.0.0.1:2"]
[[route]]
transport = "a"
)");
  ASSERT_THAT(all(parsed), IsEmpty());
  EXPECT_EQ(parsed.settings.transports[0].name, "z");
  EXPECT_EQ(parsed.settings.listeners[0].name, "z");
}

TEST(Settings, WhatTheKernelDoesNotKnowOfATransportIsThePlugins) {
  const auto parsed = parse_text(R"([listener.smtp]
listen = ["127.0.0.1:25"]
[transport.smtp]
plugin = "transport-smtp"
process_limit = 7
helo_name = "x"
port = 2525
tls = true
wait = "5m"
sources = ["192.0.2.1", "192.0.2.2"]
[[route]]
transport = "smtp"
)");
  ASSERT_THAT(all(parsed), IsEmpty());
  const auto &transport = *parsed.settings.transport("smtp");
  EXPECT_EQ(transport.process_limit, 7u);
  EXPECT_EQ(
      transport.options,
      (std::map<std::string, std::string>{
          {"helo_name", "x"}, {"port", "2525"}, {"tls", "true"}, {"wait", "5m"}, {"sources", "192.0.2.1,192.0.2.2"}}));
  EXPECT_EQ(parsed.places.at("transport.smtp.wait").line, 9u);
  EXPECT_THAT(all(parse_with_rest("[transport.x]\nplugin = \"transport-x\"\na = [\"b,c\"]\n")),
              HasSubstr("transport.x.a holds \"b,c\", expected texts without comma"));
  EXPECT_THAT(all(parse_with_rest("[transport.x]\nplugin = \"transport-x\"\na = { b = 1 }\n")),
              HasSubstr("transport.x.a.b is an integer, expected a list of texts"));
}

TEST(Settings, ATableForAPluginIsAListOfNamesWithTheirElements) {
  const auto with = [](const std::string &option) {
    return parse_with_rest("[transport.x]\nplugin = \"transport-x\"\n" + option + "\n");
  };
  const auto parsed = with("pools = { bulk = [\"192.0.2.1\", \"2001:db8::1\"], news = [\"192.0.2.2\"], none = [] }");
  ASSERT_THAT(all(parsed), IsEmpty());
  EXPECT_EQ(parsed.settings.transport("x")->options.at("pools"), "bulk=192.0.2.1,bulk=2001:db8::1,news=192.0.2.2");
  EXPECT_THAT(all(with("pools = { a = [\"x,y\"] }")), HasSubstr("transport.x.pools.a holds \"x,y\", expected texts"));
  EXPECT_THAT(all(with("pools = { \"a=b\" = [\"x\"] }")), HasSubstr("expected names without comma and '='"));
  EXPECT_THAT(all(with("pools = { a = { b = 1 } }")), HasSubstr("transport.x.pools.a is a table"));
}

TEST(Settings, RelativePathsAreRelativeToTheirFile) {
  const auto parsed = parse_with_rest("spool = \"run/../spool\"\n[queue]\nbounce_template_file = \"/abs/t\"\n");
  ASSERT_THAT(all(parsed), IsEmpty());
  EXPECT_EQ(parsed.settings.spool, "/etc/spool");
  EXPECT_EQ(parsed.settings.queue.bounce_template_file, "/abs/t");
}

TEST(Problems, PrintOnOneLine) {
  EXPECT_EQ(to_string(Problem{"f", 3, "a.b", "is 1, expected 2"}), "f:3: a.b is 1, expected 2");
  EXPECT_EQ(to_string(Problem{"f", 0, "a", "is missing"}), "f: a is missing");
  EXPECT_EQ(to_string(Problem{"f", 0, "", "cannot be read"}), "f: cannot be read");
}

TEST(Parse, DestinationsOverrideTheirTransport) {
  const auto parsed = parse_with_rest(R"(
[transport.x]
plugin = "transport-x"
destination_concurrency_limit = 10
destination_concurrency_negative_feedback = "1/concurrency"
[[transport.x.destination]]
match = ["Slow.Example", ".example.org"]
destination_concurrency_limit = 2
[[transport.x.destination]]
match = ["[192.0.2.1]:2525"]
destination_recipient_limit = 7
)");
  ASSERT_THAT(all(parsed), IsEmpty());
  const auto &x = *parsed.settings.transport("x");
  ASSERT_EQ(x.destinations.size(), 2u);
  EXPECT_EQ(x.destinations[0].match, (std::vector<std::string>{"slow.example", ".example.org"}));
  EXPECT_EQ(x.destinations[0].limits.destination_concurrency_limit, 2u);
  EXPECT_EQ(x.destinations[0].limits.initial_destination_concurrency, 2u);  // follows
  EXPECT_EQ(x.destinations[0].limits.destination_concurrency_negative_feedback, "1/concurrency");
  EXPECT_EQ(x.destinations[1].limits.destination_concurrency_limit, 10u);
  EXPECT_EQ(x.destinations[1].limits.destination_recipient_limit, 7u);
}

TEST(Parse, ATransportToMailboxesTakesTwoAtOnceForEach) {
  const auto x = [](const std::string &options) {
    const auto parsed = parse_with_rest("[transport.x]\nplugin = \"transport-maildir\"\n" + options);
    EXPECT_THAT(all(parsed), IsEmpty());
    return *parsed.settings.transport("x");
  };
  auto t = x("[[transport.x.destination]]\nmatch = [\"[192.0.2.1]:24\"]\ndestination_recipient_limit = 1\n");
  EXPECT_EQ(t.destination_key, DestinationKey::Recipient);
  EXPECT_EQ(t.destination_concurrency_limit, 2u);
  EXPECT_EQ(t.initial_destination_concurrency, 2u);
  EXPECT_EQ(t.destinations.at(0).limits.destination_concurrency_limit, 2u);
  t = x("destination_concurrency_limit = 20\n");
  EXPECT_EQ(t.destination_key, DestinationKey::Recipient);
  EXPECT_EQ(t.destination_concurrency_limit, 20u);
  EXPECT_EQ(t.initial_destination_concurrency, 5u);
  t = x("destination_key = \"nexthop\"\n");
  EXPECT_EQ(t.destination_key, DestinationKey::Nexthop);
  EXPECT_EQ(t.destination_concurrency_limit, 20u);
}

TEST(Parse, OfATransportToMailboxesTheSnapshotSaysTheSame) {
  const auto parsed = parse_with_rest(
      "[transport.x]\nplugin = \"transport-maildir\"\ndestination_concurrency_limit = 20\n"
      "[transport.y]\nplugin = \"transport-maildir\"\ndestination_key = \"nexthop\"\n"
      "[transport.z]\nplugin = \"transport-maildir\"\n");
  ASSERT_THAT(all(parsed), IsEmpty());
  const auto read = parse_snapshot(parsed.snapshot);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->transports, parsed.settings.transports);
}

TEST(Parse, TransportsFollowTheDefaultsOfAll) {
  const auto parsed = parse_with_rest(R"(
default_process_limit = 7
initial_destination_concurrency = 4
default_destination_concurrency_limit = 9
default_destination_concurrency_positive_feedback = "1/concurrency"
default_destination_concurrency_negative_feedback = "1/sqrt_concurrency"
default_destination_concurrency_failed_cohort_limit = 3
default_destination_recipient_limit = 8
default_destination_rate_delay = "2s"
default_transport_rate_delay = "3s"
default_delivery_slot_cost = 11
default_delivery_slot_loan = 12
default_delivery_slot_discount = 13
default_minimum_delivery_slots = 14
[transport.x]
plugin = "transport-x"
[transport.y]
plugin = "transport-x"
process_limit = 100
initial_destination_concurrency = 5
destination_concurrency_limit = 20
destination_concurrency_positive_feedback = "1"
destination_concurrency_negative_feedback = "1"
destination_concurrency_failed_cohort_limit = 1
destination_recipient_limit = 50
destination_rate_delay = 0
transport_rate_delay = 0
delivery_slot_cost = 5
delivery_slot_loan = 3
delivery_slot_discount = 50
minimum_delivery_slots = 3
[[transport.x.destination]]
match = ["a.example"]
destination_recipient_limit = 1
[transport.low]
plugin = "transport-x"
destination_concurrency_limit = 2
[transport.boxes]
plugin = "transport-maildir"
)");
  ASSERT_THAT(all(parsed), IsEmpty());
  const auto &x = *parsed.settings.transport("x");
  EXPECT_EQ(x.process_limit, 7u);
  EXPECT_EQ(x.initial_destination_concurrency, 4u);
  EXPECT_EQ(x.destination_concurrency_limit, 9u);
  EXPECT_EQ(x.destination_concurrency_positive_feedback, "1/concurrency");
  EXPECT_EQ(x.destination_concurrency_negative_feedback, "1/sqrt_concurrency");
  EXPECT_EQ(x.destination_concurrency_failed_cohort_limit, 3u);
  EXPECT_EQ(x.destination_recipient_limit, 8u);
  EXPECT_EQ(x.destination_rate_delay, 2 * kSecond);
  EXPECT_EQ(x.transport_rate_delay, 3 * kSecond);
  EXPECT_EQ(x.delivery_slot_cost, 11u);
  EXPECT_EQ(x.delivery_slot_loan, 12u);
  EXPECT_EQ(x.delivery_slot_discount, 13u);
  EXPECT_EQ(x.minimum_delivery_slots, 14u);
  EXPECT_EQ(x.destinations.at(0).limits.destination_recipient_limit, 1u);
  EXPECT_EQ(x.destinations.at(0).limits.destination_concurrency_limit, 9u);

  auto fresh = Transport{};  // what is written into a transport counts, also where it is what nobody need write
  fresh.name = "y";
  fresh.plugin = "transport-x";
  EXPECT_EQ(*parsed.settings.transport("y"), fresh);
  EXPECT_EQ(parsed.settings.transport("low")->initial_destination_concurrency, 2u);
  EXPECT_EQ(parsed.settings.transport("boxes")->destination_concurrency_limit, 2u);
  EXPECT_EQ(parsed.settings.transport("boxes")->destination_recipient_limit, 8u);

  const auto read = parse_snapshot(parsed.snapshot);
  ASSERT_TRUE(read);
  EXPECT_EQ(*read, parsed.settings);
}

TEST(Parse, DefaultsOfAllTransportsHaveTheFormOfWhatTheyAreFor) {
  EXPECT_THAT(all(parse_with_rest("default_destination_concurrency_negative_feedback = \"2/3/4\"\n")),
              HasSubstr("default_destination_concurrency_negative_feedback"));
  EXPECT_THAT(all(parse_with_rest("default_delivery_slot_discount = 101\n")), HasSubstr("an integer from 0 to 100"));
  EXPECT_THAT(all(parse_with_rest("[transport.x]\nplugin = \"transport-maildir\"\n[queue]\n"
                                  "default_destination_rate_delay = 1\n")),
              HasSubstr("expected it as default_destination_rate_delay at top level"));
}

TEST(Parse, TakesLimitsByExchangers) {
  const auto parsed = parse_with_rest(R"(
[transport.x]
plugin = "transport-x"
destination_key = "site"
[[transport.x.destination]]
mx = [".Mail.Provider.example", "backup.example"]
site = "provider"
[transport.y]
plugin = "transport-x"
)");
  ASSERT_THAT(all(parsed), IsEmpty());
  const auto &x = *parsed.settings.transport("x");
  EXPECT_EQ(x.destination_key, DestinationKey::Site);
  EXPECT_EQ(x.destinations.at(0).mx, (std::vector<std::string>{".mail.provider.example", "backup.example"}));
  EXPECT_TRUE(x.asks_exchangers());
  EXPECT_FALSE(parsed.settings.transport("y")->asks_exchangers());
  EXPECT_TRUE(parsed.settings.asks_exchangers());
}

TEST(Parse, TakesTheNameOfACampaignsField) {
  const auto parsed = parse_with_rest("[smtpd]\ncampaign_header = \"X-Campaign\"\n");
  ASSERT_THAT(all(parsed), IsEmpty());
  EXPECT_EQ(parsed.settings.smtpd.campaign_header, "X-Campaign");
  EXPECT_THAT(all(parse_with_rest("[smtpd]\ncampaign_header = \"X-Campaign:\"\n")), HasSubstr("header field"));
}

TEST(Parse, TakesTheNameOfAPrioritysField) {
  const auto parsed = parse_with_rest("[smtpd]\npriority_header = \"MT-Priority\"\n");
  ASSERT_THAT(all(parsed), IsEmpty());
  EXPECT_EQ(parsed.settings.smtpd.priority_header, "MT-Priority");
  EXPECT_EQ(parse_snapshot(parsed.snapshot)->listeners.at(0).smtpd.priority_header, "MT-Priority");
  EXPECT_THAT(all(parse_with_rest("[smtpd]\npriority_header = \"MT Priority\"\n")), HasSubstr("header field"));
}

TEST(Parse, RefusesDestinationsThatMakeNoSense) {
  const auto problem = [](const std::string &text) {
    return all(parse_with_rest("[transport.x]\nplugin = \"transport-x\"\n" + text));
  };
  EXPECT_THAT(problem("[[transport.x.destination]]\ndestination_concurrency_limit = 2\n"), HasSubstr("has no match"));
  EXPECT_THAT(problem("destination_key = \"recipient\"\n[[transport.x.destination]]\nmx = [\"mx.example\"]\n"),
              HasSubstr("is for domains"));
  EXPECT_THAT(problem("destination = 5\n"), HasSubstr("expected tables [[transport.x.destination]]"));
  EXPECT_THAT(problem("[[transport.x.destination]]\nmatch = [\"a.example\"]\nprocess_limit = 2\n"),
              HasSubstr("is not an option"));
  EXPECT_THAT(problem("destination_concurrency_positive_feedback = \"2/concurrency/3\"\n"),
              HasSubstr("1/sqrt_concurrency"));
  EXPECT_THAT(problem("destination_concurrency_positive_feedback = \"2\"\n"), HasSubstr("from 0 to 1"));
  EXPECT_THAT(problem("[[transport.x.destination]]\nmatch = [\"a.example\"]\ninitial_destination_concurrency = 9\n"
                      "destination_concurrency_limit = 3\n"),
              HasSubstr("initial_destination_concurrency is 9"));
}

}  // namespace
}  // namespace mansio::config
