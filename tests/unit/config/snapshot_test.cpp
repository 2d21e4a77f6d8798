// Settings survive the snapshot by which children get them, whatever their values, and no file is read for it again.
#include "kernel/config/snapshot.hpp"

#include <gmock/gmock.h>

#include <algorithm>
#include <limits>
#include <random>

#include "kernel/config/options.hpp"
#include "kernel/config/values.hpp"
#include "tests/unit/config/memory_files.hpp"

namespace mansio::config {
namespace {

using ::testing::IsEmpty;

TEST(Snapshot, OfAParsedFileGivesTheSameSettings) {
  const auto parsed = parse({
      {"/etc/m.toml", "include = [\"a.toml\"]\npostmaster_file = \"pm\"\n" + std::string{kRest}},
      {"/etc/a.toml",
       "[smtpd]\nclient_event_limit_exceptions = []\nbanner = \"Grüße \\\"quoted\\\" \\\\ end\"\n"
       "[transport.\"a-b_1\"]\nplugin = \"transport-x\"\n\"odd key\" = \"line\\nend\\u007f\"\n"
       "isolation = \"process\"\non_failure = \"hold\"\ncpu_limit = 1.5\n"
       "[lookup.l]\nplugin = \"lookup-x\"\npath = \"/x\"\ncache_ttl = \"5s\"\nmemory_limit = \"64M\"\n"
       "isolation = \"process\"\n[lookup.u]\nunionmap = [\"l\", \"l\"]\n"
       "[[route]]\nsender = [\"<>\"]\nerror = \"450 4.7.0 later\"\n"},
      {"/etc/pm", "x@example.com\n"},
  });
  ASSERT_THAT(all(parsed), IsEmpty());
  const auto again = parse_snapshot(parsed.snapshot);
  ASSERT_TRUE(again) << again.error().text;
  EXPECT_EQ(*again, parsed.settings);
  EXPECT_EQ(write_snapshot(*again), parsed.snapshot);
}

TEST(Snapshot, OfWhatListenersInheritOfAuthIsInOrder) {
  const auto parsed = parse_with_rest(
      "[auth.users]\nplugin = \"auth-x\"\n"
      "[smtpd]\nauth = \"users\"\nsasl_auth_enable = true\nsasl_auth_required = true\ntls_auth_only = false\n"
      "[listener.open]\nlisten = [\"127.0.0.1:25\"]\nsasl_auth_enable = false\nsasl_auth_required = false\n"
      "[listener.q]\nlisten = [\"127.0.0.1:628\"]\nprotocol = \"qmqp\"\n"
      "qmqpd_authorized_clients = [\"127.0.0.1\"]\n");
  ASSERT_THAT(all(parsed), IsEmpty());
  EXPECT_FALSE(parsed.settings.listener("q")->smtpd.sasl_auth_enable);
  EXPECT_FALSE(parsed.settings.listener("q")->smtpd.sasl_auth_required);
  const auto again = parse_snapshot(parsed.snapshot);
  ASSERT_TRUE(again) << again.error().text;
  EXPECT_EQ(*again, parsed.settings);
}

TEST(Snapshot, ReadsNoOtherFile) {
  EXPECT_FALSE(parse_snapshot("include = [\"/etc/passwd\"]\n" + std::string{kRest}));
  EXPECT_FALSE(parse_snapshot("postmaster_file = \"/etc/passwd\"\n" + std::string{kRest}));
  EXPECT_FALSE(parse_snapshot("not toml"));
  EXPECT_FALSE(parse_snapshot(""));
}

// Fills every option of a table with a random value that its form allows.
class RandomSettings {
 public:
  explicit RandomSettings(std::uint64_t seed) : random_(seed) {}

  Settings make() {
    Settings s;
    fill(top_level_options(), s);
    consistent(s);
    s.lookups.emplace_back().name = "m0";
    s.lookups.back().plugin = "lookup-x";
    s.lookups.back().partial_keys = below(2) != 0;
    fill(log_options(), s.log);
    fill(smtpd_options(), s.smtpd);
    consistent(s.smtpd);
    fill(queue_options(), s.queue);
    if (s.queue.policies.size() > 1) s.queue.policies.resize(1);  // each once
    if (s.queue.minimal_backoff_time > s.queue.maximal_backoff_time)
      std::swap(s.queue.minimal_backoff_time, s.queue.maximal_backoff_time);
    fill(segment_options(), s.spool_settings);
    fill(dns_options(), s.dns);
    if (s.dns.min_ttl > s.dns.max_ttl) std::swap(s.dns.min_ttl, s.dns.max_ttl);
    for (std::uint64_t i = 0, n = 1 + below(3); i < n; ++i) {
      Listener listener;
      listener.name = "l" + std::to_string(i);
      listener.smtpd = s.smtpd;
      fill(smtpd_options(), listener.smtpd);
      consistent(listener.smtpd);
      listener.listen = {"127.0.0.1:" + std::to_string(1000 + i), "*:" + std::to_string(2000 + i)};
      s.listeners.push_back(listener);
    }
    for (std::uint64_t i = 0, n = 1 + below(5); i < n; ++i) {
      Transport transport;
      fill(transport_options(), transport);
      transport.name = "t" + std::to_string(i);
      transport.process_limit = std::max(transport.process_limit, 1u);
      transport.transport_rate_delay = std::max<Nanos>(transport.transport_rate_delay, 1);
      DestinationLimits &limits = transport;
      fill(destination_options(), limits);
      consistent(limits);
      for (auto rules = below(3); rules > 0; --rules) {
        DestinationRule rule{{"example.com", "[192.0.2.1]:25"}, below(2) ? "site.example" : "", limits};
        if (transport.destination_key != DestinationKey::Recipient && below(2)) rule.mx = {".mx.example"};
        fill(destination_options(), rule.limits);
        consistent(rule.limits);
        transport.destinations.push_back(rule);
      }
      for (std::uint64_t k = below(4); k > 0; --k) transport.options["x " + text()] = text();
      s.transports.push_back(transport);
    }
    auto &event = s.events.emplace_back();
    fill(event_options(), event);
    event.name = "e0";
    event.plugin = "event-x";
    event.budget.isolation = Isolation::Process;
    event.options["x " + text()] = text();
    for (auto *filters : {&s.filters, &s.policies}) {
      auto &filter = filters->emplace_back();
      fill(filter_options(), filter);
      filter.name = "f0";
      filter.plugin = "filter-x";
      if (filters == &s.policies) filter.budget.isolation = Isolation::Process;  // as the queue's have to be
      filter.options["x " + text()] = text();
    }
    auto &rate = s.rates.emplace_back();
    fill(rate_options(), rate);
    rate.name = "r0";
    rate.plugin = "rate-x";
    rate.options["x " + text()] = text();
    auto &auth = s.auths.emplace_back();
    fill(auth_options(), auth);
    auth.name = "a0";
    auth.plugin = "auth-x";
    auth.options["x " + text()] = text();
    auto &store = s.stores.emplace_back();
    fill(store_options(), store);
    store.name = "s0";
    store.plugin = "store-x";
    store.options["x " + text()] = text();
    for (std::uint64_t i = below(4); i > 0; --i) {
      RouteRule rule;
      rule.where = text();
      rule.domain = {"a.example", ".b.example"};
      if (below(2)) rule.sender = {"<>", "@c.example"};
      if (below(2)) rule.recipient = {"User@d.example"};
      if (below(2)) rule.nexthop = "[::1]:25";
      rule.transport = "t0";
      s.routes.push_back(rule);
    }
    for (std::uint64_t i = below(3); i > 0; --i) {
      fill(tenant_options(), s.tenants.emplace_back());
      s.tenants.back().name = "tenant " + std::to_string(i);
    }
    for (std::uint64_t i = below(3); i > 0; --i) {
      auto &group = s.source_groups.emplace_back();
      fill(source_group_options(), group);
      group.name = "group " + std::to_string(i);
      group.pools = {"old=9", "new", "a = b=1000000"};
    }
    for (std::uint64_t i = below(3); i > 0; --i) {
      auto &rule = s.responses.emplace_back();
      fill(response_options(), rule);
      rule.code = {"421"};
      rule.pool = rule.action == ResponseAction::Pool ? "pool" : "";
    }
    for (std::uint64_t i = below(3); i > 0; --i) {
      auto &rule = s.rate_limits.emplace_back();
      fill(rate_limit_options(), rule);
      rule.match = {"@a.example"};
      if (rule.key != RateKey::SourcePoolDestination) {
        rule.destination.clear();
        rule.concurrency = 0;
      }
      if (rule.warm_up.empty()) rule.warm_up = {"50/d"};
      if (rule.warm_up_from.empty()) rule.warm_up_from = "2026-11-30";
    }
    s.routes.push_back({});
    s.routes.back().error = "550 5.1.1 " + std::string{"no such \"user\" \\ here"};
    return s;
  }

 private:
  std::uint64_t below(std::uint64_t n) { return random_() % n; }

  static void consistent(DestinationLimits &limits) {
    limits.initial_destination_concurrency = 1;
    // What a plugin keeps is there.
    limits.destination_concurrency_limit = std::max(limits.destination_concurrency_limit, 1u);
    limits.destination_rate_delay = std::max<Nanos>(limits.destination_rate_delay, 1);
    if (!limits.adaptive_rate_maximum.empty()) limits.adaptive_rate_maximum = limits.adaptive_rate_minimum;
  }

  static void consistent(Smtpd &smtpd) {
    smtpd.tls_cert_file = "/cert";
    smtpd.tls_key_file = "/key";
    smtpd.auth = "a0";
    smtpd.sasl_auth_enable = true;
    smtpd.tls_auth_only = false;
    for (auto *names : {&smtpd.filters, &smtpd.policies})
      if (names->size() > 1 || smtpd.overrides("no_milters")) names->resize(smtpd.overrides("no_milters") ? 0 : 1);
    if (!smtpd.client_event_limit_exceptions_given) smtpd.client_event_limit_exceptions = smtpd.mynetworks;
  }

  std::string text() {
    static constexpr std::string_view kPieces[] = {"a",    "Z", "0", " ", "\"",     "\\",     "'",  "#",
                                                   "=",    "[", "]", "{", ".",      "\t",     "\n", "\x01",
                                                   "\x7f", "ü", "€", "𝄞", "\"\"\"", "\\u0041"};
    std::string out;
    for (auto n = below(12); n > 0; --n) out += kPieces[below(std::size(kPieces))];
    return out;
  }

  Datum value(const Form &form) {
    const auto between = [&](std::int64_t least, std::int64_t most) {
      switch (below(4)) {
        case 0:
          return least;
        case 1:
          return most;
        default:
          return least + static_cast<std::int64_t>(below(static_cast<std::uint64_t>(most - least) + 1));
      }
    };
    switch (form.type) {
      case OptionType::Boolean:
        return below(2) == 1;
      case OptionType::Number:
        return static_cast<double>(below(1u << 30)) / static_cast<double>((1u << 30) - 1);
      case OptionType::Choice:
        return static_cast<std::int64_t>(below(form.choices.size()));
      case OptionType::Path:
        return "/path/" + std::string{"with ü and \"quotes\" "} + std::to_string(below(9));
      case OptionType::Text:
        return sample(*form.syntax);
      case OptionType::List: {
        std::vector<std::string> out;
        for (auto n = below(4); n > 0; --n) out.push_back(sample(*form.syntax));
        return out;
      }
      default:
        return between(form.least, form.most);
    }
  }

  std::string sample(const Syntax &syntax) {
    const std::pair<const Syntax *, std::vector<std::string>> samples[] = {
        {&kLine, {"", "ESMTP \"x\" \\ ü", "#"}},
        {&kHostname, {"mail.example.com", "xn--bcher-kva.example"}},
        {&kDomain, {"example.com", "localhost"}},
        {&kDomainPattern, {"example.com", ".example.com"}},
        {&kNetwork, {"192.0.2.0/24", "[2001:db8::]/32", "10.0.0.0/8", "[::1]/128"}},
        {&kIp, {"192.0.2.1", "2001:db8::1"}},
        {&kDnsServer, {"127.0.0.1:5353", "[::1]:53", "::1"}},
        {&kLocalUser, {"user", "U@example.com", "@example.com"}},
        {&kMailbox, {"postmaster", "p@example.com"}},
        {&kLogTarget, {"stderr", "syslog", "/var/log/m\"x"}},
        {&kSyslogName, {"mansio", "postfix/out"}},
        {&kPlugin, {"transport-smtp"}},
        {&kTransportName, {"t0"}},
        {&kTableName, {"m0"}},
        {&kRewriting, {"canonical", "virtual", "generic"}},
        {&kAddressClass, {"envelope_sender", "envelope_recipient", "header_sender", "header_recipient"}},
        {&kParentMatch, {"access_maps", "transport_maps"}},
        {&kFilterName, {"f0"}},
        {&kRateName, {"r0", "rate-local"}},
        {&kAuthName, {"", "a0"}},
        {&kContentFilter, {"", "t0", "t0:[127.0.0.1]:10024", "t0:unix:/run/f.sock", "t0:filter.example"}},
        {&kOverride, {"no_unknown_recipient_checks", "no_address_mappings", "no_header_body_checks", "no_milters"}},
        {&kEhloKeyword, {"CHUNKING", "SIZE"}},
        {&kFieldName, {"", "X-Campaign"}},
        {&kUser, {"mansio"}},
        {&kDestination, {"example.com", ".example.com", "[192.0.2.1]:25", "example.com:26"}},
        {&kRate, {"10/s", "100/m", "500/15m"}},
        {&kDate, {"2026-11-30", "1970-01-01"}},
        {&kWeighted, {"new=1", "old"}},
        {&kReplyCode, {"421", "4.7.1", "4.7.*"}},
        {&kPattern, {"(?i)too many", "^a\"b"}},
        {&kFeedback, {"1", "0.25", "1/5", "1/concurrency", "0.5/sqrt_concurrency"}},
        {&kNotifyClass, {"bounce", "2bounce", "data", "delay", "policy", "protocol", "resource", "software"}},
    };
    for (const auto &[known, texts] : samples) {
      if (known == &syntax) return texts[below(texts.size())];
    }
    ADD_FAILURE() << "no sample for " << syntax.name;
    return {};
  }

  // Alias domains need aliases, and are nothing else; all recordings are no less than one.
  static void consistent(Settings &s) {
    for (const auto *others : {&s.mydestination, &s.relay_domains})
      std::erase_if(s.virtual_alias_domains, [&](const std::string &domain) {
        return std::find(others->begin(), others->end(), domain) != others->end();
      });
    if (!s.virtual_alias_domains.empty() || !s.virtual_alias_domain_maps.empty()) s.virtual_alias_maps = {"m0"};
    if (s.record_size_limit > s.record_total_limit) std::swap(s.record_size_limit, s.record_total_limit);
  }

  template <class T>
  void fill(std::span<const Option<T>> options, T &to) {
    for (const auto &option : options) {
      if (below(4) != 0)
        option.set(to, value(option.form));
      else if (option.form.type == OptionType::Text && std::get<std::string>(option.get(to)).empty())
        option.set(to, sample(*option.form.syntax));
    }
  }

  std::mt19937_64 random_;
};

TEST(Snapshot, OfAnySettingsGivesTheSameSettings) {
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    const auto settings = RandomSettings{seed}.make();
    const auto text = write_snapshot(settings);
    const auto again = parse_snapshot(text);
    ASSERT_TRUE(again) << "seed " << seed << ": " << again.error().text << "\n" << text;
    ASSERT_EQ(*again, settings) << "seed " << seed << "\n" << text << "\n--- read as\n" << write_snapshot(*again);
  }
}

}  // namespace
}  // namespace mansio::config
