// Settings that are well-formed one by one and impossible together are refused: routes, listeners, TLS, relaying, times
// and limits.
#include <gmock/gmock.h>

#include "tests/unit/config/memory_files.hpp"

namespace mansio::config {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::string with_routes(const std::string &routes) {
  return all(parse_text(
      "[listener.smtp]\nlisten = [\"127.0.0.1:25\"]\n[transport.smtp]\nplugin = \"transport-smtp\"\n" + routes));
}

TEST(CrossCheck, ARouteNamesATransportThatExists) {
  EXPECT_THAT(
      with_routes("[[route]]\ntransport = \"smpt\"\n"),
      HasSubstr(
          "/etc/m.toml:6: route[1].transport is \"smpt\", but there is no [transport.smpt]; did you mean \"smtp\"?"));
}

TEST(CrossCheck, ADeferredTransportExists) {
  EXPECT_THAT(with_routes("[[route]]\ntransport = \"smtp\"\n[queue]\ndefer_transports = [\"smtp\", \"dial\"]\n"),
              HasSubstr("/etc/m.toml:8: queue.defer_transports holds \"dial\", but there is no [transport.dial]"));
}

TEST(CrossCheck, PoliciesOfTheQueueExistAndHaveProcessesOfTheirOwn) {
  const std::string policy = "[[route]]\ntransport = \"smtp\"\n[policy.quota]\nplugin = \"lua\"\n";
  EXPECT_THAT(with_routes(policy + "isolation = \"process\"\n[queue]\npolicies = [\"quota\"]\n"), IsEmpty());
  EXPECT_THAT(with_routes(policy + "[queue]\npolicies = [\"quota\"]\n"),
              HasSubstr("policy.quota.isolation is \"inproc\", but the processes that ask it for the queue run no "
                        "policy's code; expected \"process\""));
  EXPECT_THAT(with_routes(policy + "isolation = \"process\"\n[queue]\npolicies = [\"qouta\"]\n"),
              HasSubstr("queue.policies names \"qouta\", but there is no [policy.qouta]; did you mean \"quota\"?"));
  EXPECT_THAT(with_routes(policy + "isolation = \"process\"\n[queue]\npolicies = [\"quota\", \"quota\"]\n"),
              HasSubstr("queue.policies names \"quota\" a second time, expected each once"));
}

TEST(CrossCheck, TheLastRouteAndOnlyTheLastTakesEverything) {
  EXPECT_THAT(with_routes("[[route]]\ndomain = [\"a.example\"]\ntransport = \"smtp\"\n"),
              HasSubstr("route has no default"));
  EXPECT_THAT(
      with_routes("[[route]]\ntransport = \"smtp\"\n[[route]]\ndomain = [\"a.example\"]\ntransport = \"smtp\"\n"),
      HasSubstr("/etc/m.toml:7: route[2] is never reached: the route at /etc/m.toml:5 takes everything"));
  EXPECT_THAT(with_routes("[[route]]\ndomain = []\ntransport = \"smtp\"\n[[route]]\ntransport = \"smtp\"\n"),
              HasSubstr("route[1].domain is empty"));
}

TEST(CrossCheck, ARouteEitherDeliversOrRefuses) {
  EXPECT_THAT(with_routes("[[route]]\nerror = \"550 5.1.1 no\"\n"), IsEmpty());
  EXPECT_THAT(with_routes("[[route]]\n"), HasSubstr("says neither transport nor error"));
  EXPECT_THAT(with_routes("[[route]]\ntransport = \"smtp\"\nerror = \"550 5.1.1 no\"\n"),
              HasSubstr("stands beside transport"));
  EXPECT_THAT(with_routes("[[route]]\nnexthop = \"x\"\nerror = \"550 5.1.1 no\"\n"),
              HasSubstr("nexthop stands beside error"));
  for (const auto *bad :
       {"550 no", "250 2.0.0 yes", "550 4.1.1 no", "550 5.1.1", "550 5.1.1 ", "5505.1.1 no", "550 5.1.1 a\\nb"}) {
    EXPECT_THAT(with_routes("[[route]]\nerror = \"" + std::string{bad} + "\"\n"), HasSubstr("expected a reply such as"))
        << bad;
  }
}

TEST(CrossCheck, NextHopsHaveAForm) {
  for (const auto *good : {"example.com", "[mail.example.com]", "[192.0.2.1]:2526", "[2001:db8::1]:25",
                           "unix:/run/lmtp", "example.com:587", "5.1.1 no such user", "4.7.0 later: [x]"}) {
    EXPECT_THAT(with_routes("[[route]]\ntransport = \"smtp\"\nnexthop = \"" + std::string{good} + "\"\n"), IsEmpty())
        << good;
  }
  for (const auto *bad : {"[192.0.2.1", "[192.0.2.1]x", "[192.0.2.1]:0", "a b", "unix:run", "[::1]:99999",
                          "a.example:", "5.1 no", "2.0.0 fine", "5.1.1", "5.1.1 a\\nb"}) {
    EXPECT_THAT(with_routes("[[route]]\ntransport = \"smtp\"\nnexthop = \"" + std::string{bad} + "\"\n"),
                HasSubstr("expected a next hop"))
        << bad;
  }
}

TEST(CrossCheck, AQmqpListenerNamesItsClientsAndOnlyIt) {
  const std::string listener = "[listener.q]\nlisten = [\"127.0.0.1:628\"]\n";
  const auto good = parse_text(std::string{kRest} + listener +
                               "protocol = \"qmqp\"\nqmqpd_authorized_clients = [\"192.0.2.0/24\"]\n");
  EXPECT_THAT(all(good), IsEmpty());
  const auto again = parse_snapshot(good.snapshot);
  ASSERT_TRUE(again.ok()) << again.error().text;
  EXPECT_EQ(*again, good.settings);
  EXPECT_THAT(all(parse_with_rest(listener + "protocol = \"qmqp\"\n")),
              HasSubstr("/etc/m.toml:3: listener.q.qmqpd_authorized_clients names no client"));
  EXPECT_THAT(all(parse_with_rest(listener + "qmqpd_timeout = 5\n")),
              HasSubstr("/etc/m.toml:3: listener.q.qmqpd_timeout is for QMQP"));
}

TEST(CrossCheck, AListenerHasItsOwnAddress) {
  EXPECT_THAT(all(parse_with_rest("[listener.x]\n")), HasSubstr("/etc/m.toml:1: listener.x has no listen"));
  EXPECT_THAT(all(parse_with_rest("[listener.x]\nlisten = []\n")),
              HasSubstr("listener.x.listen holds no valid address"));
  EXPECT_THAT(all(parse_with_rest("[listener.x]\nlisten = [\"127.0.0.1:2525\"]\n")),
              HasSubstr("holds 127.0.0.1:2525 a second time; listener.x has it already"));
  for (const auto *bad :
       {"25", "127.0.0.1", "localhost:25", "::1:25", "127.0.0.1:0", "127.0.0.1:65536", "[127.0.0.1]:25"}) {
    EXPECT_THAT(all(parse_with_rest("[listener.x]\nlisten = [\"" + std::string{bad} + "\"]\n")),
                HasSubstr("expected an address and port"))
        << bad;
  }
}

TEST(CrossCheck, TlsNeedsCertificateAndKey) {
  EXPECT_THAT(
      all(parse_with_rest("[smtpd]\ntls_security_level = \"may\"\n")),
      HasSubstr("/etc/m.toml:2: smtpd.tls_security_level asks for TLS, expected tls_cert_file and tls_key_file"));
  EXPECT_THAT(all(parse_with_rest("[smtpd]\ntls_cert_file = \"/c\"\n")),
              HasSubstr("smtpd.tls_cert_file is given without tls_key_file"));
  EXPECT_THAT(
      all(parse_with_rest("[smtpd]\ntls_security_level = \"may\"\ntls_cert_file = \"/c\"\ntls_key_file = \"/k\"\n")),
      IsEmpty());
}

TEST(CrossCheck, NoNetworkMakesTheServerAnOpenRelay) {
  for (const auto *bad : {"0.0.0.0/0", "::/0", "0.0.0.0/1", "128.0.0.0/1", "::ffff:0.0.0.0/96", "2000::/3"}) {
    EXPECT_THAT(all(parse_with_rest("[smtpd]\nmynetworks = [\"" + std::string{bad} + "\"]\n")), HasSubstr("open relay"))
        << bad;
  }
  const auto text =
      all(parse_text(std::string{kRest} + "[listener.b]\nlisten = [\"127.0.0.1:26\"]\nmynetworks = [\"0.0.0.0/0\"]\n"));
  EXPECT_THAT(text, HasSubstr("listener.b.mynetworks holds 0.0.0.0/0: that makes this server an open relay"));
  EXPECT_THAT(all(parse_with_rest("[smtpd]\nmynetworks = [\"10.0.0.0/8\", \"[fd00::]/16\"]\n")), IsEmpty());
}

TEST(CrossCheck, ATransportHasAPluginAndRoomForItsStart) {
  EXPECT_THAT(all(parse_with_rest("[transport.x]\n")), HasSubstr("transport.x has no plugin"));
  EXPECT_THAT(all(parse_with_rest("[transport.x]\nplugin = \"../evil\"\n")), HasSubstr("expected a plugin's name"));
  EXPECT_THAT(all(parse_with_rest("[transport.x]\nplugin = \"transport-x\"\ninitial_destination_concurrency = "
                                  "5\ndestination_concurrency_limit = 2\n")),
              HasSubstr("initial_destination_concurrency is 5, expected at most destination_concurrency_limit, 2"));
  const auto parsed = parse_with_rest("[transport.x]\nplugin = \"transport-x\"\ndestination_concurrency_limit = 2\n");
  ASSERT_THAT(all(parsed), IsEmpty());
  EXPECT_EQ(parsed.settings.transport("x")->initial_destination_concurrency, 2u);
}

TEST(CrossCheck, AnAdaptiveRatesBoundsFitTogether) {
  EXPECT_THAT(all(parse_with_rest("[transport.x]\nplugin = \"transport-x\"\nadaptive_rate_maximum = \"1/h\"\n")),
              HasSubstr("transport.x.adaptive_rate_maximum is 1/h, expected at least adaptive_rate_minimum, 1/m"));
  EXPECT_THAT(all(parse_with_rest("[transport.x]\nplugin = \"transport-x\"\nadaptive_rate_minimum = \"1/h\"\n"
                                  "adaptive_rate_maximum = \"1/h\"\n")),
              IsEmpty());
}

TEST(CrossCheck, TimesFitTogether) {
  EXPECT_THAT(all(parse_with_rest("[queue]\nmaximal_backoff_time = \"1m\"\n")),
              HasSubstr("/etc/m.toml:2: queue.minimal_backoff_time is longer than maximal_backoff_time"));
  EXPECT_THAT(all(parse_with_rest("[dns]\nmax_ttl = 1\n")),
              HasSubstr("/etc/m.toml:2: dns.min_ttl is longer than max_ttl"));
}

TEST(CrossCheck, ProcessesFitInTheSharedTable) {
  std::string many;
  for (int i = 0; i < 40; ++i) many += "[transport.t" + std::to_string(i) + "]\nplugin = \"transport-x\"\n";
  EXPECT_THAT(all(parse_with_rest(many)),
              HasSubstr("transport tables and ingress_processes make 41 processes, expected at most 28"));
}

std::string with_lookups(const std::string &lookups) {
  return with_routes("[[route]]\ntransport = \"smtp\"\n" + lookups);
}

TEST(CrossCheck, ATableIsAPluginOrACombinationOfTablesThatExist) {
  const std::string two = "[lookup.a]\nplugin = \"lookup-file\"\n[lookup.b]\nplugin = \"lookup-file\"\n";
  EXPECT_THAT(with_lookups(two + "[lookup.c]\npipemap = [\"a\", \"b\"]\n"), IsEmpty());
  EXPECT_THAT(with_lookups(two + "[lookup.c]\nunionmap = [\"a\", \"b\"]\ncache_ttl = \"5s\"\n"), IsEmpty());
  EXPECT_THAT(with_lookups("[lookup.c]\ntime_limit = \"5s\"\n"),
              HasSubstr("lookup.c needs exactly one of plugin, pipemap and unionmap"));
  EXPECT_THAT(with_lookups(two + "[lookup.c]\nplugin = \"lookup-file\"\npipemap = [\"a\"]\n"),
              HasSubstr("lookup.c.plugin stands beside pipemap or unionmap"));
  EXPECT_THAT(with_lookups(two + "[lookup.c]\npipemap = [\"a\", \"x\"]\n"),
              HasSubstr("lookup.c.pipemap names \"x\", but there is no [lookup.x]"));
  EXPECT_THAT(with_lookups(two + "[lookup.c]\npipemap = [\"a\"]\ncolour = \"red\"\n"),
              HasSubstr("lookup.c.colour is an option of no combination of tables"));
}

TEST(CrossCheck, ATableDoesNotAskItself) {
  EXPECT_THAT(with_lookups("[lookup.a]\npipemap = [\"a\"]\n"), HasSubstr("lookup.a asks itself: a -> a"));
  EXPECT_THAT(with_lookups("[lookup.a]\npipemap = [\"b\"]\n[lookup.b]\nunionmap = [\"a\"]\n"),
              HasSubstr("lookup.a asks itself: a -> b -> a"));
}

TEST(CrossCheck, LimitsOfAProcessNeedAProcess) {
  for (const auto *limit : {"memory_limit = \"64M\"", "cpu_limit = 0.5", "descriptor_limit = 100"}) {
    const auto table = "[lookup.a]\nplugin = \"lookup-file\"\n" + std::string{limit} + '\n';
    EXPECT_THAT(with_lookups(table), HasSubstr("bounds a process of its own")) << limit;
    EXPECT_THAT(with_lookups(table + "isolation = \"process\"\n"), IsEmpty()) << limit;
  }
}

TEST(CrossCheck, AFailureIsAnsweredByWhatTheKindCan) {
  EXPECT_THAT(with_lookups("[lookup.a]\nplugin = \"lookup-file\"\non_failure = \"hold\"\n"),
              HasSubstr("a table has no message to hold"));
  EXPECT_THAT(with_lookups("[lookup.a]\nplugin = \"lookup-file\"\non_failure = \"skip\"\n"), IsEmpty());
  EXPECT_THAT(with_lookups("[transport.t]\nplugin = \"transport-x\"\non_failure = \"skip\"\n"),
              HasSubstr("which a transport cannot"));
}

std::string with_tables(const std::string &top, const std::string &listener = {}) {
  return all(parse_text(top + "[listener.smtp]\nlisten = [\"127.0.0.1:25\"]\n" + listener +
                        "[transport.smtp]\nplugin = \"transport-smtp\"\n[[route]]\ntransport = \"smtp\"\n"
                        "[lookup.aliases]\nplugin = \"lookup-file\"\ninline = \"a b\"\n"));
}

TEST(CrossCheck, TablesThatATransportUsesExist) {
  const auto with = [](const std::string &names) {
    return with_tables("[transport.relay]\nplugin = \"transport-smtp\"\nsmtp_generic_maps = " + names + "\n");
  };
  EXPECT_THAT(with("[\"aliases\"]"), IsEmpty());
  EXPECT_THAT(with("[\"alises\"]"),
              HasSubstr("/etc/m.toml:3: transport.relay.smtp_generic_maps names \"alises\", but there is no "
                        "[lookup.alises]; did you mean \"aliases\"?"));
}

TEST(CrossCheck, TablesThatAreUsedExist) {
  for (const auto *use :
       {"mydestination_maps", "relay_domain_maps", "local_recipient_maps", "relay_recipient_maps", "virtual_alias_maps",
        "relocated_maps", "transport_maps", "sender_dependent_relayhost_maps", "sender_bcc_maps", "recipient_bcc_maps",
        "canonical_maps", "sender_canonical_maps", "recipient_canonical_maps"}) {
    const std::string name{use};
    EXPECT_THAT(with_tables(name + " = [\"aliases\"]\n"), IsEmpty()) << use;
    EXPECT_THAT(with_tables(name + " = [\"aliases\", \"alises\"]\n"),
                HasSubstr("/etc/m.toml:1: " + name +
                          " names \"alises\", but there is no [lookup.alises]; did you mean \"aliases\"?"));
  }
  for (const auto *use : {"client_access_maps", "helo_access_maps", "sender_access_maps", "recipient_access_maps"}) {
    const std::string name{use};
    EXPECT_THAT(with_tables({}, name + " = [\"aliases\"]\n"), IsEmpty()) << use;
    EXPECT_THAT(with_tables({}, name + " = [\"none\"]\n"),
                HasSubstr("/etc/m.toml:3: listener.smtp." + name + " names \"none\""));
  }
}

TEST(CrossCheck, AliasDomainsNeedAliasesAndAreNothingElse) {
  EXPECT_THAT(with_tables("virtual_alias_domains = [\"v.example\"]\n"),
              HasSubstr("/etc/m.toml:1: virtual_alias_domains means that every address there is an alias"));
  EXPECT_THAT(with_tables("virtual_alias_maps = [\"aliases\"]\nvirtual_alias_domains = [\"v.example\"]\n"
                          "mydestination = [\"v.example\"]\n"),
              HasSubstr("virtual_alias_domains holds v.example, which is in mydestination as well"));
}

TEST(CrossCheck, TablesOfPatternsAreNotAskedForParts) {
  const auto parsed = parse_text(
      "[lookup.p]\nplugin = \"lookup-file\"\ntype = \"pcre\"\n[lookup.t]\nplugin = \"lookup-file\"\n"
      "[lookup.c]\nplugin = \"lookup-file\"\ntype = \"cidr\"\npartial_keys = true\n");
  EXPECT_FALSE(parsed.settings.lookup("p")->partial_keys);
  EXPECT_TRUE(parsed.settings.lookup("t")->partial_keys);
  EXPECT_TRUE(parsed.settings.lookup("c")->partial_keys);
}

TEST(CrossCheck, AListenerIsWatchedByFiltersAndPoliciesThatExist) {
  const std::string both =
      "[filter.a]\nplugin = \"filter-x\"\n[policy.b]\nplugin = \"policy-x\"\non_failure = \"hold\"\n";
  const auto watched = [&](const std::string &smtpd) { return with_lookups(both + "[smtpd]\n" + smtpd); };
  EXPECT_THAT(watched("filters = [\"a\"]\npolicies = [\"b\"]\n"), IsEmpty());
  EXPECT_THAT(watched("filters = [\"b\"]\n"), HasSubstr("smtpd.filters names \"b\", but there is no [filter.b]"));
  EXPECT_THAT(watched("policies = [\"b\", \"b\"]\n"), HasSubstr("smtpd.policies names \"b\" a second time"));
  EXPECT_THAT(with_lookups("[policy.c]\nisolation = \"process\"\n"),
              HasSubstr("policy.c has no plugin, expected plugin = \"policy-NAME\""));
}

TEST(CrossCheck, AnEventPluginHasAProcessOfItsOwnAndNobodyWaitsForIt) {
  const auto with_event = [](const std::string &more) { return with_lookups("[event.log]\n" + more); };
  EXPECT_THAT(with_event("plugin = \"event-file\"\nmemory_limit = \"100M\"\n"), IsEmpty());
  EXPECT_THAT(with_event("isolation = \"process\"\n"),
              HasSubstr("event.log has no plugin, expected plugin = \"event-NAME\""));
  EXPECT_THAT(with_event("plugin = \"event-file\"\nisolation = \"inproc\"\n"),
              HasSubstr("event.log.isolation is \"inproc\", but the queue"));
  EXPECT_THAT(with_event("plugin = \"event-file\"\non_failure = \"hold\"\n"),
              HasSubstr("event.log.on_failure is for plugins that are asked"));
}

TEST(CrossCheck, AStoreHasAProcessOfItsOwnAndIsNeverSkipped) {
  const auto with_store = [](const std::string &more) { return with_lookups("[store.second]\n" + more); };
  EXPECT_THAT(with_store("plugin = \"store-directory\"\ndirectory = \"/mnt\"\nrestore_empty_spool = true\n"),
              IsEmpty());
  EXPECT_THAT(with_store("time_limit = \"5s\"\n"),
              HasSubstr("store.second has no plugin, expected plugin = \"store-NAME\""));
  EXPECT_THAT(with_store("plugin = \"store-x\"\nisolation = \"inproc\"\n"),
              HasSubstr("store.second.isolation is \"inproc\""));
  for (const auto *other : {"skip", "hold"})
    EXPECT_THAT(with_store(std::string{"plugin = \"store-x\"\non_failure = \""} + other + "\"\n"),
                HasSubstr("store.second.on_failure is not \"defer\""));
}

TEST(CrossCheck, AuthAsksSomebodyWhoIsThereAndWhereItCanBeOffered) {
  const std::string users = "[auth.users]\nplugin = \"auth-x\"\n";
  const auto listening = [&](const std::string &options) {
    return all(parse_with_rest(users + "[listener.s]\nlisten = [\"127.0.0.1:587\"]\n" + options));
  };
  EXPECT_THAT(listening("auth = \"users\"\nsasl_auth_enable = true\ntls_auth_only = false\n"), IsEmpty());
  EXPECT_THAT(listening("auth = \"user\"\n"),
              HasSubstr("listener.s.auth names \"user\", but there is no [auth.user]; did you mean \"users\"?"));
  EXPECT_THAT(listening("sasl_auth_enable = true\ntls_auth_only = false\n"),
              HasSubstr("listener.s.sasl_auth_enable offers AUTH with nobody to ask"));
  EXPECT_THAT(listening("auth = \"users\"\nsasl_auth_enable = true\n"),
              HasSubstr("listener.s.sasl_auth_enable offers AUTH after STARTTLS, which is not offered"));
  EXPECT_THAT(listening("sasl_auth_required = true\n"), HasSubstr("listener.s.sasl_auth_required demands AUTH"));
  // What a listener inherits counts as what is given in it.
  EXPECT_THAT(all(parse_with_rest("[smtpd]\nsasl_auth_required = true\n")),
              HasSubstr("/etc/m.toml:2: listener.smtp.sasl_auth_required demands AUTH"));
  EXPECT_THAT(all(parse_with_rest(users + "[smtpd]\nauth = \"users\"\nsasl_auth_enable = true\n")),
              HasSubstr("/etc/m.toml:5: listener.smtp.sasl_auth_enable offers AUTH after STARTTLS"));
  EXPECT_THAT(listening("sender_login_maps = [\"nothing\"]\n"),
              HasSubstr("listener.s.sender_login_maps names \"nothing\", but there is no [lookup.nothing]"));
  EXPECT_THAT(all(parse_with_rest("[auth.a]\nisolation = \"process\"\n")), HasSubstr("auth.a has no plugin"));
  for (const auto *yes : {"skip", "hold"})
    EXPECT_THAT(all(parse_with_rest(users + "on_failure = \"" + yes + "\"\n")),
                HasSubstr("auth.users.on_failure is not \"defer\""));
}

TEST(CrossCheck, AContentFilterIsATransportThatExists) {
  const auto filtered = [](const std::string &filter) {
    return all(parse_with_rest("[smtpd]\ncontent_filter = \"" + filter + "\"\n"));
  };
  for (const auto *good : {"", "smtp", "smtp:[127.0.0.1]:10024", "smtp:unix:/run/f", "smtp:filter", "smtp:"})
    EXPECT_THAT(filtered(good), IsEmpty()) << good;
  EXPECT_THAT(filtered("smpt:[127.0.0.1]:10024"),
              HasSubstr("/etc/m.toml:2: smtpd.content_filter names \"smpt\", but there is no [transport.smpt]; did you "
                        "mean \"smtp\"?"));
  for (const auto *bad : {":x", "a b:x", "smtp:a b", "smtp:[::1", "smtp:unix:x", "smtp:5.1.1 no"})
    EXPECT_THAT(filtered(bad), HasSubstr("\"TRANSPORT:NEXTHOP\"")) << bad;
}

TEST(CrossCheck, AListenerMayHaveItsOwnContentFilterOrNone) {
  const auto parsed = parse_with_rest(
      "[smtpd]\ncontent_filter = \"smtp:[127.0.0.1]:10024\"\nreceive_override_options = [\"no_address_mappings\"]\n"
      "[listener.back]\nlisten = [\"127.0.0.1:10025\"]\ncontent_filter = \"\"\n"
      "receive_override_options = [\"no_unknown_recipient_checks\", \"no_header_body_checks\"]\n"
      "authorized_xforward_hosts = [\"127.0.0.0/8\"]\n");
  EXPECT_THAT(all(parsed), IsEmpty());
  const auto &smtp = parsed.settings.listener("smtp")->smtpd, &back = parsed.settings.listener("back")->smtpd;
  EXPECT_EQ(smtp.content_filter, "smtp:[127.0.0.1]:10024");
  EXPECT_TRUE(smtp.overrides("no_address_mappings"));
  EXPECT_THAT(smtp.authorized_xforward_hosts, IsEmpty());
  EXPECT_EQ(back.content_filter, "");
  EXPECT_FALSE(back.overrides("no_address_mappings"));
  EXPECT_TRUE(back.overrides("no_unknown_recipient_checks"));
  EXPECT_EQ(back.authorized_xforward_hosts.size(), 1u);
  EXPECT_THAT(all(parse_with_rest("[smtpd]\nreceive_override_options = [\"no_filters\"]\n")),
              HasSubstr("\"no_milters\""));
}

TEST(CrossCheck, NoMiltersLeavesOutWhatIsInheritedAndForbidsTheRest) {
  const std::string rest =
      "[filter.a]\nplugin = \"filter-x\"\n[smtpd]\nfilters = [\"a\"]\n[listener.back]\n"
      "listen = [\"127.0.0.1:10025\"]\nreceive_override_options = [\"no_milters\"]\n";
  const auto inherited = parse_with_rest(rest);
  EXPECT_THAT(all(inherited), IsEmpty());
  EXPECT_THAT(inherited.settings.listener("back")->smtpd.filters, IsEmpty());
  EXPECT_THAT(inherited.settings.listener("smtp")->smtpd.filters, ::testing::ElementsAre("a"));
  EXPECT_THAT(all(parse_with_rest(rest + "filters = [\"a\"]\n")),
              HasSubstr("listener.back.filters stands where receive_override_options holds \"no_milters\""));
}

TEST(CrossCheck, NobodyWatchesAQmqpSession) {
  const std::string rest =
      "[filter.a]\nplugin = \"filter-x\"\n[smtpd]\nfilters = [\"a\"]\n[listener.q]\nlisten = [\"127.0.0.1:628\"]\n"
      "protocol = \"qmqp\"\nqmqpd_authorized_clients = [\"127.0.0.1\"]\n";
  const auto inherited = parse_with_rest(rest);
  EXPECT_THAT(all(inherited), IsEmpty());
  EXPECT_THAT(inherited.settings.listener("q")->smtpd.filters, IsEmpty());
  EXPECT_THAT(inherited.settings.listener("smtp")->smtpd.filters, ::testing::ElementsAre("a"));
  EXPECT_THAT(all(parse_with_rest(rest + "filters = [\"a\"]\n")), HasSubstr("listener.q.filters is for SMTP"));
}

TEST(CrossCheck, RecordsSmtpSessionsWithinLimitsThatFit) {
  const std::string queue =
      "[listener.q]\nlisten = [\"127.0.0.1:628\"]\nprotocol = \"qmqp\"\n"
      "qmqpd_authorized_clients = [\"127.0.0.1\"]\n";
  const auto inherited = parse_with_rest("[smtpd]\nrecord = true\n" + queue);
  EXPECT_THAT(all(inherited), IsEmpty());
  EXPECT_TRUE(inherited.settings.records());
  EXPECT_FALSE(inherited.settings.listener("q")->smtpd.record);
  EXPECT_FALSE(parse_with_rest(queue).settings.records());
  EXPECT_THAT(all(parse_with_rest(queue + "record = true\n")), HasSubstr("listener.q.record is for SMTP"));
  EXPECT_THAT(all(parse_text("record_size_limit = \"2G\"\n")),
              HasSubstr("record_size_limit is larger than record_total_limit"));
}

constexpr const char *kRateTable = "[rate.shared]\nplugin = \"rate-x\"\n";

TEST(CrossCheck, AnOwnerOfARateExistsAndHasARateToKeep) {
  const std::string table = kRateTable;
  EXPECT_THAT(with_lookups(table + "[[rate_limit]]\nkey = \"tenant\"\nrate = \"1/s\"\nplugin = \"shared\"\n"),
              IsEmpty());
  EXPECT_THAT(with_lookups(table + "[[rate_limit]]\nkey = \"tenant\"\nrate = \"1/s\"\nplugin = \"rate-local\"\n"),
              IsEmpty());
  EXPECT_THAT(
      with_lookups(table + "[[rate_limit]]\nkey = \"tenant\"\nrate = \"1/s\"\nplugin = \"sharde\"\n"),
      HasSubstr("rate_limit[1].plugin names \"sharde\", but there is no [rate.sharde]; did you mean \"shared\"?"));
  EXPECT_THAT(with_lookups(table + "[transport.t]\nplugin = \"transport-x\"\ntransport_rate_plugin = \"shared\"\n"),
              HasSubstr("transport.t.transport_rate_plugin stands without transport_rate_limit"));
  EXPECT_THAT(with_lookups(table + "[transport.t]\nplugin = \"transport-x\"\ndestination_rate_limit = \"1/s\"\n"
                                   "destination_rate_plugin = \"shared\"\n"
                                   "[[transport.t.destination]]\nmatch = [\"a.example\"]\n"
                                   "destination_rate_plugin = \"rate-local\"\n"),
              IsEmpty());
  EXPECT_THAT(with_lookups("[transport.t]\nplugin = \"transport-x\"\n"
                           "[[transport.t.destination]]\nmatch = [\"a.example\"]\n"
                           "destination_rate_limit = \"1/s\"\ndestination_rate_plugin = \"shared\"\n"),
              HasSubstr("transport.t.destination[1].destination_rate_plugin names \"shared\", but there is no"));
}

TEST(CrossCheck, DeliveriesAtOnceAndDelaysMayHaveAnOwnerWhereTheyAreLimited) {
  const std::string table = kRateTable, transport = table + "[transport.t]\nplugin = \"transport-x\"\n";
  EXPECT_THAT(with_lookups(transport + "process_limit_plugin = \"shared\"\n"), IsEmpty());
  EXPECT_THAT(with_lookups(transport + "destination_concurrency_plugin = \"shared\"\n"), IsEmpty());
  EXPECT_THAT(with_lookups(transport + "transport_rate_delay = \"1s\"\ntransport_rate_delay_plugin = \"shared\"\n"),
              IsEmpty());
  EXPECT_THAT(with_lookups(transport + "destination_rate_delay = \"1s\"\ndestination_rate_delay_plugin = \"shared\"\n"),
              IsEmpty());
  EXPECT_THAT(with_lookups(transport + "transport_rate_delay_plugin = \"shared\"\n"),
              HasSubstr("transport.t.transport_rate_delay_plugin stands without transport_rate_delay"));
  EXPECT_THAT(with_lookups(transport + "destination_rate_delay_plugin = \"shared\"\n"),
              HasSubstr("transport.t.destination_rate_delay_plugin stands without destination_rate_delay"));
  EXPECT_THAT(with_lookups(transport + "destination_concurrency_limit = 0\n"
                                       "destination_concurrency_plugin = \"shared\"\n"),
              HasSubstr("transport.t.destination_concurrency_plugin stands without destination_concurrency_limit"));
  EXPECT_THAT(
      with_lookups(transport + "process_limit_plugin = \"sharde\"\n"),
      HasSubstr("transport.t.process_limit_plugin names \"sharde\", but there is no [rate.sharde]; did you mean "
                "\"shared\"?"));
  const auto rule = transport + "[[transport.t.destination]]\nmatch = [\"a.example\"]\n";
  EXPECT_THAT(with_lookups(rule + "destination_concurrency_plugin = \"shared\"\n"), IsEmpty());
  EXPECT_THAT(with_lookups(rule + "destination_rate_delay_plugin = \"shared\"\n"),
              HasSubstr("transport.t.destination[1].destination_rate_delay_plugin stands without"));
  EXPECT_THAT(with_lookups(rule + "destination_concurrency_plugin = \"other\"\n"),
              HasSubstr("transport.t.destination[1].destination_concurrency_plugin names \"other\""));
}

TEST(CrossCheck, ARatePluginHasAProcessOfItsOwn) {
  const std::string table = kRateTable;
  EXPECT_THAT(with_lookups(table), IsEmpty());
  EXPECT_THAT(with_lookups(table + "isolation = \"process\"\nmemory_limit = \"64M\"\non_failure = \"skip\"\n"),
              IsEmpty());
  EXPECT_THAT(with_lookups(table + "isolation = \"inproc\"\n"), HasSubstr("rate.shared.isolation is \"inproc\""));
  EXPECT_THAT(with_lookups(table + "on_failure = \"hold\"\n"), HasSubstr("rate.shared.on_failure is \"hold\""));
  EXPECT_THAT(with_lookups("[rate.shared]\ntime_limit = \"1s\"\n"), HasSubstr("rate.shared has no plugin"));
  EXPECT_THAT(with_lookups("[rate.rate-local]\nplugin = \"rate-x\"\n"), HasSubstr("has the name of what is built in"));
}

}  // namespace
}  // namespace mansio::config
