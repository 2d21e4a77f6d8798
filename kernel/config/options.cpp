#include "kernel/config/options.hpp"

#include <limits>
#include <type_traits>

namespace mansio::config {
namespace {

template <class>
struct MemberOf;
template <class C, class V>
struct MemberOf<V C::*> {
  using Class = C;
  using Type = V;
};

// One row: `M` is the member that holds the value.
template <auto M>
auto option(std::string_view name, Form form, std::string_view help, std::string_view fallback = {}) {
  using C = typename MemberOf<decltype(M)>::Class;
  using V = typename MemberOf<decltype(M)>::Type;
  Option<C> row;
  row.name = name;
  row.form = form;
  row.help = help;
  row.fallback = fallback;
  row.get = [](const C &from) -> Datum {
    if constexpr (std::is_same_v<V, std::vector<Network>>) {
      std::vector<std::string> out;
      for (const auto &network : from.*M) out.push_back(to_string(network));
      return out;
    } else if constexpr (std::is_enum_v<V> || (std::is_integral_v<V> && !std::is_same_v<V, bool>)) {
      return static_cast<std::int64_t>(from.*M);
    } else {
      return from.*M;
    }
  };
  row.set = [](C &to, Datum value) {
    if constexpr (std::is_same_v<V, std::vector<Network>>) {
      (to.*M).clear();
      for (const auto &text : std::get<std::vector<std::string>>(value)) {
        if (const auto network = parse_network(text)) (to.*M).push_back(*network);
      }
    } else if constexpr (std::is_enum_v<V> || (std::is_integral_v<V> && !std::is_same_v<V, bool>)) {
      to.*M = static_cast<V>(std::get<std::int64_t>(value));
    } else {
      to.*M = std::get<V>(std::move(value));
    }
  };
  return row;
}

constexpr std::int64_t kCount = 1'000'000'000;  // of things that are counted
constexpr Nanos kYear = 365 * 86400 * kSecond;
constexpr std::int64_t kAnySize = std::int64_t{1} << 50;
constexpr std::int64_t kLongestCommand = 31 << 10;                  // fits into the buffer of a session
constexpr std::int64_t kMostEvents = 10'000'000;                    // the shared table counts a little further
constexpr std::int64_t kLargestMessage = std::int64_t{4095} << 20;  // the spool's records have lengths of 32 bits

constexpr Form boolean() { return {.type = OptionType::Boolean}; }
constexpr Form integer(std::int64_t least, std::int64_t most = kCount) {
  return {.type = OptionType::Integer, .least = least, .most = most};
}
constexpr Form duration(Nanos least, Nanos most = kYear) {
  return {.type = OptionType::Duration, .least = least, .most = most};
}
constexpr Form size(std::int64_t least, std::int64_t most = kAnySize) {
  return {.type = OptionType::Size, .least = least, .most = most};
}
constexpr Form text(const Syntax &syntax = kLine) { return {.type = OptionType::Text, .syntax = &syntax}; }
constexpr Form path() { return {.type = OptionType::Path}; }
constexpr Form list(const Syntax &syntax) { return {.type = OptionType::List, .syntax = &syntax}; }
constexpr Form choice(std::span<const std::string_view> names) {
  return {.type = OptionType::Choice, .choices = names};
}

constexpr std::string_view kLogFormats[] = {"json", "postfix"};
constexpr std::string_view kLogLevels[] = {"debug", "info", "warn", "error"};
constexpr std::string_view kBareNewlines[] = {"normalize", "reject"};
constexpr std::string_view kTlsLevels[] = {"none", "may", "encrypt"};
constexpr std::string_view kDestinationKeys[] = {"nexthop", "recipient", "site"};
constexpr std::string_view kResponseActions[] = {"suspend", "slow", "concurrency", "bounce", "pool"};
constexpr std::string_view kRateKeys[] = {"tenant", "campaign", "sender", "source_pool", "source_pool_destination"};
constexpr std::string_view kDurabilities[] = {"power", "process"};
constexpr std::string_view kIsolations[] = {"inproc", "process"};
constexpr std::string_view kOnFailures[] = {"defer", "skip", "hold"};

template <class T>
Form form_of(std::span<const Option<T>> options, std::string_view name) {
  for (const auto &each : options)
    if (each.name == name) return each.form;
  return {};
}

// What `M` is at top level for all transports, under its own name or "default_" before it, as Postfix has them.
template <auto M>
Option<Settings> transport_default(std::string_view name, std::string_view help) {
  constexpr std::string_view kPrefix = "default_";
  auto own = name;
  if (own.starts_with(kPrefix)) own.remove_prefix(kPrefix.size());
  Option<Settings> row;
  row.name = name;
  row.help = help;
  if constexpr (std::is_same_v<typename MemberOf<decltype(M)>::Class, DestinationLimits>)
    row.form = form_of(destination_options(), own);
  else
    row.form = form_of(transport_options(), own);
  row.get = [](const Settings &from) { return option<M>({}, {}, {}).get(from.transport_defaults); };
  row.set = [](Settings &to, Datum value) { option<M>({}, {}, {}).set(to.transport_defaults, std::move(value)); };
  return row;
}

}  // namespace

std::span<const Option<Settings>> top_level_options() {
  using T = Settings;
  static const auto rows = [] {
    std::vector<Option<T>> r{
        option<&T::myhostname>("myhostname", text(kHostname),
                               "This host's name, in the greeting, in Received headers and in reports.",
                               "the system's host name"),
        option<&T::mydomain>("mydomain", text(kDomain), "The domain this host belongs to.",
                             "`myhostname` without its first label"),
        option<&T::spool>("spool", path(),
                          "Directory of the spool and of the control socket in it. `--spool DIR` overrides it."),
        option<&T::user>(
            "user", text(kUser),
            "The system user that every process but the supervisor drops to when Mansio is started as root.",
            "\"mansio\""),
        option<&T::plugin_dir>("plugin_dir", path(), "Directory of the plugins' shared objects.",
                               "`lib/mansio/plugins` beside the program's `bin`"),
        option<&T::mydestination>(
            "mydestination", list(kDomain),
            "Own domains: mail for them is accepted from everyone. Where it is delivered, `[[route]]` says."),
        option<&T::relay_domains>(
            "relay_domains", list(kDomainPattern),
            "Domains that mail is accepted for from everyone and relayed onward. \".example.com\" "
            "stands for all subdomains of example.com but not for itself."),
        option<&T::local_recipients>("local_recipients", list(kLocalUser),
                                     "The recipients that exist in `mydestination`; others are refused with 550 5.1.1. "
                                     "An empty list means that every recipient is accepted."),
        option<&T::virtual_alias_domains>(
            "virtual_alias_domains", list(kDomain),
            "Own domains without mailboxes: each address is one that `virtual_alias_maps` has, others are refused."),
        option<&T::mydestination_maps>(
            "mydestination_maps", list(kTableName),
            "Tables with further own domains, as keys; what is found there does not matter."),
        option<&T::relay_domain_maps>(
            "relay_domain_maps", list(kTableName),
            "Tables with further domains to relay for: \"example.com\", or \".example.com\" for its subdomains."),
        option<&T::virtual_alias_domain_maps>("virtual_alias_domain_maps", list(kTableName),
                                              "Tables with further `virtual_alias_domains`."),
        option<&T::local_recipient_maps>("local_recipient_maps", list(kTableName),
                                         "Tables with the recipients that exist in own domains: \"user@domain\", "
                                         "\"user\" or \"@domain\". Others, but "
                                         "for `local_recipients` and aliases, are refused with 5.1.1."),
        option<&T::relay_recipient_maps>(
            "relay_recipient_maps", list(kTableName),
            "Tables with the recipients that exist in domains that are relayed for: \"user@domain\" or \"@domain\"."),
        option<&T::recipient_delimiter>("recipient_delimiter", text(),
                                        "Characters that separate a user's name from an extension, such as \"+\" in "
                                        "user+folder@example.com: tables "
                                        "are asked with the extension first and then without it.",
                                        "none"),
        option<&T::propagate_unmatched_extensions>(
            "propagate_unmatched_extensions", list(kRewriting),
            "In which rewriting an extension that was not part of what a table has is added to the address found."),
        option<&T::parent_domain_matches_subdomains>("parent_domain_matches_subdomains", list(kParentMatch),
                                                     "Of which tables a key \"example.com\" stands for subdomains as "
                                                     "well; of the others, \".example.com\" does."),
        option<&T::virtual_alias_maps>(
            "virtual_alias_maps", list(kTableName),
            "Tables of aliases: other recipients in the place of one, before a message is taken."),
        option<&T::virtual_alias_recursion_limit>("virtual_alias_recursion_limit", integer(1, 100000),
                                                  "How deep aliases of aliases may go; then 451."),
        option<&T::virtual_alias_expansion_limit>("virtual_alias_expansion_limit", integer(1, 100000),
                                                  "How many recipients one may become; then 451."),
        option<&T::virtual_alias_address_length_limit>("virtual_alias_address_length_limit", integer(1, 100000),
                                                       "Longest address of an expansion, in octets; then 451."),
        option<&T::relocated_maps>(
            "relocated_maps", list(kTableName),
            "Tables of users that have moved: mail for them is refused with 5.1.6 and what the table says."),
        option<&T::transport_maps>(
            "transport_maps", list(kTableName),
            "Tables that say \"transport:nexthop\" for an address, a domain or \"*\"; stronger than a `[[route]]`."),
        option<&T::sender_dependent_relayhost_maps>(
            "sender_dependent_relayhost_maps", list(kTableName),
            "Tables with a next hop for senders, \"user@domain\", \"@domain\" or \"<>\", of mail to foreign domains."),
        option<&T::canonical_maps>(
            "canonical_maps", list(kTableName),
            "Tables with the address to put in the place of one, of senders and recipients, before aliases are "
            "looked up."),
        option<&T::canonical_classes>("canonical_classes", list(kAddressClass), "What `canonical_maps` are for."),
        option<&T::sender_canonical_maps>("sender_canonical_maps", list(kTableName),
                                          "The same for senders only; asked before `canonical_maps`."),
        option<&T::sender_canonical_classes>("sender_canonical_classes", list(kAddressClass),
                                             "What `sender_canonical_maps` are for."),
        option<&T::recipient_canonical_maps>("recipient_canonical_maps", list(kTableName),
                                             "The same for recipients only; asked before `canonical_maps`."),
        option<&T::recipient_canonical_classes>("recipient_canonical_classes", list(kAddressClass),
                                                "What `recipient_canonical_maps` are for."),
        option<&T::always_bcc>("always_bcc", text(kMailbox), "An address that gets a copy of every message received.",
                               "none"),
        option<&T::sender_bcc_maps>("sender_bcc_maps", list(kTableName),
                                    "Tables with an address that gets a copy of a sender's mail."),
        option<&T::recipient_bcc_maps>("recipient_bcc_maps", list(kTableName),
                                       "Tables with an address that gets a copy of a recipient's mail."),
        option<&T::postmaster>(
            "postmaster", text(kMailbox),
            "Who gets reports to the postmaster, and mail for postmaster that has no other way: it is "
            "always accepted, even "
            "where a `[[route]]` refuses it. Without a domain it is in `myhostname`."),
        option<&T::double_bounce_sender>(
            "double_bounce_sender", text(kMailbox),
            "Sender of reports to the postmaster: one that cannot be delivered is recognised by it and dropped, not "
            "reported again. Without a domain it is in `myhostname`. No mail needs to reach it."),
        option<&T::proxy_interfaces>("proxy_interfaces", list(kIp),
                                     "Further addresses that are this host, such as those of a proxy or of an address "
                                     "translator; needed to detect mail loops."),
        option<&T::ingress_processes>(
            "ingress_processes", integer(0, 16),
            "Processes that receive mail; 0 means one for every two processor cores, at least 1 and at most 4."),
        transport_default<&Transport::process_limit>("default_process_limit",
                                                     "Default of each transport's `process_limit`."),
        transport_default<&DestinationLimits::initial_destination_concurrency>(
            "initial_destination_concurrency",
            "Default of each transport's `initial_destination_concurrency`; where its `destination_concurrency_limit` "
            "is lower, that is."),
        transport_default<&DestinationLimits::destination_concurrency_limit>(
            "default_destination_concurrency_limit",
            "Default of each transport's `destination_concurrency_limit`. Of transport-maildir's mailboxes it is 2 all "
            "the same."),
        transport_default<&DestinationLimits::destination_concurrency_positive_feedback>(
            "default_destination_concurrency_positive_feedback",
            "Default of each transport's `destination_concurrency_positive_feedback`."),
        transport_default<&DestinationLimits::destination_concurrency_negative_feedback>(
            "default_destination_concurrency_negative_feedback",
            "Default of each transport's `destination_concurrency_negative_feedback`."),
        transport_default<&DestinationLimits::destination_concurrency_failed_cohort_limit>(
            "default_destination_concurrency_failed_cohort_limit",
            "Default of each transport's `destination_concurrency_failed_cohort_limit`."),
        transport_default<&DestinationLimits::destination_recipient_limit>(
            "default_destination_recipient_limit", "Default of each transport's `destination_recipient_limit`."),
        transport_default<&DestinationLimits::destination_rate_delay>(
            "default_destination_rate_delay", "Default of each transport's `destination_rate_delay`."),
        transport_default<&Transport::transport_rate_delay>("default_transport_rate_delay",
                                                            "Default of each transport's `transport_rate_delay`."),
        transport_default<&Transport::delivery_slot_cost>("default_delivery_slot_cost",
                                                          "Default of each transport's `delivery_slot_cost`."),
        transport_default<&Transport::delivery_slot_loan>("default_delivery_slot_loan",
                                                          "Default of each transport's `delivery_slot_loan`."),
        transport_default<&Transport::delivery_slot_discount>("default_delivery_slot_discount",
                                                              "Default of each transport's `delivery_slot_discount`."),
        transport_default<&Transport::minimum_delivery_slots>("default_minimum_delivery_slots",
                                                              "Default of each transport's `minimum_delivery_slots`."),
        option<&T::stop_timeout>("stop_timeout", duration(kSecond, 3600 * kSecond),
                                 "How long a stop waits for work in hand."),
        option<&T::soft_bounce>(
            "soft_bounce", boolean(),
            "Refuse nothing for good and return nothing: the SMTP server answers 4xx where it would "
            "5xx, and mail that would be returned stays in the queue until it expires. For trying "
            "out a configuration."),
        option<&T::drain_timeout>(
            "drain_timeout", duration(kSecond, 86400 * kSecond),
            "How long processes of the configuration before a reload may finish what they have in "
            "hand. Sessions in progress go on for half of it."),
        option<&T::sandbox>("sandbox", boolean(),
                            "Restrict each process's system calls and file access (seccomp, Landlock)."),
        option<&T::lookup_cache_size>(
            "lookup_cache_size", size(0),
            "Memory for answers of tables that may be reused (`cache_ttl`), in each process."),
        option<&T::record_directory>("record_directory", path(),
                                     "Directory of the recordings of listeners with `record`, which is made, for the "
                                     "user alone, when it is not there.",
                                     "`recordings` in the spool"),
        option<&T::record_size_limit>("record_size_limit", size(1 << 20),
                                      "Size of a file of recordings after which the next one begins."),
        option<&T::record_total_limit>("record_total_limit", size(1 << 20),
                                       "Size of all recordings together. No file is begun that might go beyond it; "
                                       "recording goes on when there is room again."),
        option<&T::record_body_limit>("record_body_limit", size(0, 64 << 20),
                                      "How much of the body of a message is recorded."),
    };
    for (auto &row : r)
      if (row.name == "always_bcc") row.given = [](const T &from) { return !from.always_bcc.empty(); };
    return r;
  }();
  return rows;
}

std::span<const Option<Log>> log_options() {
  using T = Log;
  static const Option<T> rows[] = {
      option<&T::format>(
          "format", choice(kLogFormats),
          "Form of delivery lines: JSON like the rest of the log, or as Postfix writes them, for existing log tools."),
      option<&T::level>("level", choice(kLogLevels), "The least severe events that are logged."),
      option<&T::target>("target", text(kLogTarget),
                         "\"stderr\", \"syslog\" or the path of a file, which is opened again on SIGUSR1."),
      option<&T::syslog_name>("syslog_name", text(kSyslogName),
                              "What stands before `/PROCESS[PID]` in syslog and, with format \"postfix\", in delivery "
                              "lines. Log tools that look for Postfix's own lines find these with \"postfix\"."),
  };
  return rows;
}

std::span<const Option<Smtpd>> smtpd_options() {
  using T = Smtpd;
  static const auto rows = [] {
    std::vector<Option<T>> r{
        option<&T::banner>("banner", text(), "The greeting after \"220 MYHOSTNAME \".", "\"ESMTP Mansio\""),
        option<&T::mynetworks>("mynetworks", list(kNetwork),
                               "Clients that may send mail to anywhere through this server. Networks that are a large "
                               "part of the Internet are refused.",
                               "`[\"127.0.0.0/8\", \"[::1]/128\"]`: this host only"),
        option<&T::helo_required>("helo_required", boolean(), "Refuse MAIL before HELO or EHLO."),
        option<&T::client_name_lookup>(
            "client_name_lookup", boolean(),
            "Look up the client's name (PTR, confirmed by an address lookup); without it clients are \"unknown\"."),
        option<&T::client_name_timeout>("client_name_timeout", duration(kMillisecond, 600 * kSecond),
                                        "How long that lookup may take before the client is \"unknown\"."),
        option<&T::message_size_limit>("message_size_limit", size(1024, kLargestMessage),
                                       "Largest message content; announced with SIZE."),
        option<&T::line_length_limit>("line_length_limit", size(1000, 1 << 20),
                                      "Longest line of content; a message with a longer one is refused, never folded."),
        option<&T::command_length_limit>("command_length_limit", size(512, kLongestCommand), "Longest command line."),
        option<&T::header_size_limit>("header_size_limit", size(1024, 64 << 20), "Largest header section."),
        option<&T::recipient_limit>("recipient_limit", integer(1, 100000),
                                    "Recipients a message; further ones get 452."),
        option<&T::command_limit>("command_limit", integer(10),
                                  "Commands a session, counted from the last message that was taken; then 421."),
        option<&T::junk_command_limit>(
            "junk_command_limit", integer(1),
            "Commands that do nothing (NOOP, RSET, VRFY, HELP) before they count as errors."),
        option<&T::soft_error_limit>("soft_error_limit", integer(1),
                                     "Errors in a session after which every reply waits for `error_sleep_time`, also "
                                     "those to what is right, until a message was taken."),
        option<&T::hard_error_limit>("hard_error_limit", integer(1),
                                     "Errors in a session after which it ends with 421."),
        option<&T::error_sleep_time>("error_sleep_time", duration(0, 600 * kSecond),
                                     "The delay that `soft_error_limit` brings."),
        option<&T::hopcount_limit>("hopcount_limit", integer(1, 1000),
                                   "Received headers after which a message is refused as looping."),
        option<&T::timeout>("timeout", duration(kSecond, 86400 * kSecond),
                            "How long the server waits for the client to send or to take something."),
        option<&T::transaction_timeout>("transaction_timeout", duration(kSecond, 7 * 86400 * kSecond),
                                        "From MAIL to the end of the content."),
        option<&T::min_data_rate>("min_data_rate", integer(0),
                                  "Least bytes a second while content is received, on average since the content began "
                                  "and after a grace of a tenth of `timeout`; below it the session ends with 421. So a "
                                  "client that sends no content at all is cut off after a tenth of `timeout`. 0 means "
                                  "none, and then `timeout` alone counts."),
        option<&T::per_request_deadline>(
            "per_request_deadline", boolean(),
            "Make `timeout` the time that a client has for a whole request and for taking the reply, instead of for "
            "each "
            "read and write. What it has sent of content at `min_data_rate` extends it again, up to `timeout`."),
        option<&T::client_connection_count_limit>(
            "client_connection_count_limit", integer(0),
            "Connections at once from one client to one listener, over all processes; 0 means no limit."),
        option<&T::connection_limit>(
            "connection_limit", integer(1, 1000000),
            "Connections at once from all clients together to one listener, over all processes. All listeners "
            "together take no more than the largest of their limits."),
        option<&T::client_connection_rate_limit>(
            "client_connection_rate_limit", integer(0, kMostEvents),
            "Connections that one client may make to one listener in an `anvil_rate_time_unit`, over all processes; "
            "further ones get 421. 0 means no limit, here and in the next four."),
        option<&T::client_message_rate_limit>(
            "client_message_rate_limit", integer(0, kMostEvents),
            "MAIL commands, taken or not, of one client in that time, counted likewise; further ones get 450."),
        option<&T::client_recipient_rate_limit>(
            "client_recipient_rate_limit", integer(0, kMostEvents),
            "RCPT commands, taken or not, of one client in that time; further ones get 450."),
        option<&T::client_new_tls_session_rate_limit>(
            "client_new_tls_session_rate_limit", integer(0, kMostEvents),
            "TLS handshakes of one client in that time that resume no earlier session or fail. A client that has made "
            "so many gets 421 for STARTTLS."),
        option<&T::client_auth_rate_limit>("client_auth_rate_limit", integer(0, kMostEvents),
                                           "AUTH commands of one client in that time, whatever comes of them; further "
                                           "ones get 450 and no plugin is asked."),
        option<&T::anvil_rate_time_unit>("anvil_rate_time_unit", duration(kSecond, 86400 * kSecond),
                                         "The time in which the rate limits count. It begins with a client's first "
                                         "event of a kind, and the next with the first after its end."),
        option<&T::client_ipv4_prefix_length>("client_ipv4_prefix_length", integer(0, 32),
                                              "How many bits of an IPv4 address make a client, for the limits for one "
                                              "client: all addresses that begin with the same ones count as one."),
        option<&T::client_ipv6_prefix_length>("client_ipv6_prefix_length", integer(0, 128),
                                              "The same for IPv6, where one host has many addresses."),
        option<&T::client_event_limit_exceptions>("client_event_limit_exceptions", list(kNetwork),
                                                  "Clients that the limits for one client do not bind.",
                                                  "`mynetworks`"),
        option<&T::stress_threshold>(
            "stress_threshold", integer(0, 100),
            "Percent of `connection_limit` from which on the listener is under stress, as it is whenever it has to "
            "send "
            "clients away or is out of descriptors. Where `connection_limit` is 1, only that counts. 0 means that it "
            "never is under stress. Of SMTP only."),
        option<&T::stress_time>("stress_time", duration(kSecond, 86400 * kSecond),
                                "How long stress lasts after the last sign of it."),
        option<&T::stress_timeout>("stress_timeout", duration(kSecond, 86400 * kSecond),
                                   "`timeout` under stress, if that is less, also of sessions that began before."),
        option<&T::stress_starttls_timeout>("stress_starttls_timeout", duration(kSecond, 3600 * kSecond),
                                            "`starttls_timeout` under stress, if that is less."),
        option<&T::stress_hard_error_limit>("stress_hard_error_limit", integer(1),
                                            "`hard_error_limit` under stress, if that is less."),
        option<&T::stress_junk_command_limit>("stress_junk_command_limit", integer(1),
                                              "`junk_command_limit` under stress, if that is less."),
        option<&T::stress_per_request_deadline>("stress_per_request_deadline", boolean(),
                                                "`per_request_deadline` under stress, unless that is set anyway."),
        option<&T::forbid_bare_newline>(
            "forbid_bare_newline", choice(kBareNewlines),
            "What happens to a line feed that stands alone in content: it is made a proper line end (and never ends "
            "the "
            "message), or the message is refused. A carriage return that stands alone becomes a space either way."),
        option<&T::forbid_unauth_pipelining>(
            "forbid_unauth_pipelining", boolean(),
            "End the session of a client that sends commands ahead where SMTP does not allow it: before the greeting "
            "(seen "
            "when the name lookup takes longer than the client's haste), before EHLO's answer, or after a command that "
            "must be the last of its group."),
        option<&T::etrn_clients>("etrn_clients", list(kNetwork),
                                 "Clients that may ask with ETRN (RFC 1985) that mail waiting for a domain be tried "
                                 "now; with none it is not offered."),
        option<&T::fast_flush_domains>("fast_flush_domains", list(kDomainPattern), "Domains that ETRN may name.",
                                       "`relay_domains`"),
        option<&T::smtputf8>("smtputf8", boolean(), "Offer SMTPUTF8: addresses and headers in UTF-8."),
        option<&T::mt_priority>("mt_priority", boolean(),
                                "Offer MT-PRIORITY (RFC 6710): a message's priority, from -9 to 9. Clients in "
                                "`mynetworks` may ask for any; "
                                "that of others is lowered to 0."),
        option<&T::tenant>("tenant", text(),
                           "The tenant that mail received here belongs to, unless a policy or filter says of a message "
                           "that it is another's.",
                           "none"),
        option<&T::campaign_header>("campaign_header", text(kFieldName),
                                    "A header field, such as \"X-Campaign\", with the name of the campaign that a "
                                    "message belongs to that comes from a client in `mynetworks` or one that has "
                                    "authenticated, or by QMQP, unless a policy or filter says that it is another. The "
                                    "field stays in the message.",
                                    "none"),
        option<&T::priority_header>(
            "priority_header", text(kFieldName),
            "A header field, such as \"MT-Priority\" (RFC 6758), with the priority of a message "
            "that came without one by MT-PRIORITY: from -9 to 9, or a word such as \"urgent\" or "
            "\"bulk\"; in \"X-Priority\" 1 (highest) to 5. From clients in `mynetworks`, those "
            "that have authenticated and by QMQP any counts; that of others only where it is below "
            "0. A policy or filter may say another. The field stays in the message.",
            "none"),
        option<&T::discard_ehlo_keywords>("discard_ehlo_keywords", list(kEhloKeyword),
                                          "Extensions that are not offered."),
        option<&T::durability>("durability", choice(kDurabilities),
                               "What a 250 promises: that the message survives loss of power, or only the death of the "
                               "process (faster; for tests and mail that may be lost)."),
        option<&T::tls_security_level>("tls_security_level", choice(kTlsLevels),
                                       "No TLS, STARTTLS offered, or STARTTLS demanded before MAIL."),
        option<&T::tls_cert_file>("tls_cert_file", path(),
                                  "Certificate and its chain, PEM, the server's own first. Read again when it changes.",
                                  "none"),
        option<&T::tls_key_file>("tls_key_file", path(), "Private key of the certificate, PEM.", "none"),
        option<&T::starttls_timeout>("starttls_timeout", duration(kSecond, 3600 * kSecond),
                                     "How long a TLS handshake may take."),
        option<&T::tls_reload_interval>("tls_reload_interval", duration(kSecond),
                                        "How often the certificate files are looked at."),
        option<&T::client_access_maps>("client_access_maps", list(kTableName),
                                       "Tables of actions by the client's name, its parent domains, its address and "
                                       "the networks around it."),
        option<&T::helo_access_maps>("helo_access_maps", list(kTableName),
                                     "Tables of actions by the name given with HELO or EHLO and its parent domains."),
        option<&T::sender_access_maps>(
            "sender_access_maps", list(kTableName),
            "Tables of actions by the sender: \"user@domain\", the domain and its parents, \"user@\"."),
        option<&T::recipient_access_maps>("recipient_access_maps", list(kTableName),
                                          "Tables of actions by the recipient, with keys as for the sender."),
        option<&T::soft_bounce>("soft_bounce", boolean(),
                                "Answer 4xx where it would be 5xx. What becomes of mail in the queue is said by the "
                                "option of this name at top level.",
                                "`soft_bounce` at top level"),
        option<&T::access_map_reject_code>("access_map_reject_code", integer(500, 599),
                                           "The reply that REJECT in an access table means."),
        option<&T::access_map_defer_code>("access_map_defer_code", integer(400, 499),
                                          "The reply that DEFER in an access table means."),
        option<&T::unknown_local_recipient_reject_code>(
            "unknown_local_recipient_reject_code", integer(400, 599),
            "The reply for a recipient that does not exist in an own domain."),
        option<&T::unknown_relay_recipient_reject_code>(
            "unknown_relay_recipient_reject_code", integer(400, 599),
            "The reply for one that does not exist in a domain that is relayed for."),
        option<&T::unknown_virtual_alias_reject_code>("unknown_virtual_alias_reject_code", integer(400, 599),
                                                      "The reply for one of a virtual alias domain that is no alias."),
        option<&T::null_access_lookup_key>("null_access_lookup_key", text(),
                                           "The key by which access tables know the null sender."),
        option<&T::policies>("policies", list(kFilterName),
                             "The `[policy.NAME]` that watch sessions, in the order in which they are asked, before "
                             "the filters.",
                             "none"),
        option<&T::filters>("filters", list(kFilterName),
                            "The `[filter.NAME]` that watch sessions and may change their mail, in their order: each "
                            "sees what the ones before it changed.",
                            "none"),
        option<&T::content_filter>(
            "content_filter", text(kContentFilter),
            "Where all mail goes first that is received here, instead of its own way: the name of a "
            "`[transport.NAME]`, and its next hop after a colon (without one, each recipient's domain). The filter "
            "there gives the mail back to another listener, which has `content_filter = \"\"` or the next filter.",
            "none"),
        option<&T::receive_override_options>(
            "receive_override_options", list(kOverride),
            "What is left out here, as before and after a content filter: `no_unknown_recipient_checks` takes "
            "recipients that do not exist; `no_address_mappings` leaves addresses as they are, without aliases, "
            "canonical addresses and automatic copies (`always_bcc`, BCC maps); `no_milters` is for a listener that is "
            "watched by none of the filters and policies of `[smtpd]`; `no_header_body_checks` leaves out nothing "
            "yet."),
        option<&T::authorized_xforward_hosts>(
            "authorized_xforward_hosts", list(kNetwork),
            "Clients, such as content filters, that may say with XFORWARD whose mail it was; with none it is not "
            "offered. It is logged and passed on, and nothing else."),
        option<&T::sasl_auth_enable>(
            "sasl_auth_enable", boolean(),
            "Offer AUTH (RFC 4954). A client that has authenticated may send to anywhere, as those in `mynetworks` "
            "may."),
        option<&T::auth>("auth", text(kAuthName), "The `[auth.NAME]` that is asked who a client is.", "none"),
        option<&T::tls_auth_only>("tls_auth_only", boolean(),
                                  "Neither offer nor take AUTH before STARTTLS, so that no password is sent in clear."),
        option<&T::sasl_auth_required>(
            "sasl_auth_required", boolean(),
            "Take mail only from clients that have authenticated or are in `mynetworks`; others hear 530 to MAIL. For "
            "submission (RFC 6409)."),
        option<&T::sasl_authenticated_header>("sasl_authenticated_header", boolean(),
                                              "Write the name under which the client authenticated into Received."),
        option<&T::sasl_exceptions_networks>("sasl_exceptions_networks", list(kNetwork),
                                             "Clients that AUTH is not offered to."),
        option<&T::sender_login_maps>(
            "sender_login_maps", list(kTableName),
            "Tables that say of a sender (\"user@domain\", \"user\" in own domains, \"@domain\") under which names, "
            "separated by commas or blanks, a client has to authenticate to use it. With any, a client that has "
            "authenticated may use no sender but those of its name (Postfix: "
            "`reject_authenticated_sender_login_mismatch`)."),
        option<&T::reject_unauthenticated_sender_login_mismatch>(
            "reject_unauthenticated_sender_login_mismatch", boolean(),
            "A sender that `sender_login_maps` have may not be used without AUTH, by clients in `mynetworks` either."),
        option<&T::record>(
            "record", boolean(),
            "Record what filters and policies are shown of sessions and what they say, in `record_directory`, for "
            "`mansio replay`. Recordings hold mail: treat them with care."),
    };
    for (auto &row : r) {
      if (row.name != "client_event_limit_exceptions") continue;
      row.set = [](T &to, Datum value) {
        option<&T::client_event_limit_exceptions>({}, {}, {}).set(to, std::move(value));
        to.client_event_limit_exceptions_given = true;
      };
      row.given = [](const T &from) { return from.client_event_limit_exceptions_given; };
    }
    return r;
  }();
  return rows;
}

std::span<const Option<Listener>> listener_options() {
  using T = Listener;
  static constexpr std::string_view kProtocols[] = {"smtp", "qmqp"};
  static const auto rows = [] {
    std::vector<Option<T>> r{
        option<&T::listen>("listen", list(kListen),
                           "Addresses and ports; \"*:25\" stands for every address of this host, IPv4 and IPv6.",
                           "must be given"),
        option<&T::protocol>("protocol", choice(kProtocols),
                             "What is spoken there. Over QMQP a client brings one message for a connection and hears "
                             "one reply for all recipients; of the SMTP server's options those count that are about "
                             "content, numbers of recipients and connections, rates of messages, recipients and "
                             "connections, client names, `transaction_timeout`, `tenant`, `campaign_header`, "
                             "`priority_header` and `durability`.",
                             "\"smtp\""),
        option<&T::qmqpd_authorized_clients>(
            "qmqpd_authorized_clients", list(kNetwork),
            "The only clients that may use a QMQP listener; they may send to anywhere.", "must be given for QMQP"),
        option<&T::qmqpd_timeout>("qmqpd_timeout", duration(kSecond, 86400 * kSecond),
                                  "How long a QMQP listener waits for the client to send or to take something."),
        option<&T::qmqpd_error_delay>("qmqpd_error_delay", duration(0, 600 * kSecond),
                                      "How long a QMQP listener waits before it says that a message is not taken."),
    };
    for (auto &row : r) {
      if (row.name.starts_with("qmqpd_")) row.given = [](const T &from) { return from.protocol == "qmqp"; };
      if (row.name != "protocol") continue;
      // A choice is an index; this one lives in a text.
      row.set = [](T &to, Datum value) {
        to.protocol = kProtocols[static_cast<std::size_t>(std::get<std::int64_t>(value))];
      };
      row.get = [](const T &from) -> Datum { return std::int64_t{from.protocol == kProtocols[1] ? 1 : 0}; };
    }
    return r;
  }();
  return rows;
}

std::span<const Option<Transport>> transport_options() {
  using T = Transport;
  static const Option<T> rows[] = {
      option<&T::plugin>("plugin", text(kPlugin), "The plugin that delivers, such as \"transport-smtp\".",
                         "must be given"),
      option<&T::process_limit>("process_limit", integer(1, 100000), "Deliveries of this transport at once.",
                                "`default_process_limit`"),
      option<&T::process_limit_plugin>("process_limit_plugin", text(kRateName),
                                       "The `[rate.NAME]` that keeps `process_limit` for several nodes together, which "
                                       "then have no more deliveries at once between them; `rate-local`: this instance "
                                       "by itself."),
      option<&T::delivery_time_limit>("delivery_time_limit", duration(kSecond, 7 * 86400 * kSecond),
                                      "How long one delivery may take. Then it is told to give up; a process that does "
                                      "not do so within as long again, at most 30s, is killed and started anew."),
      option<&T::transport_retry_time>("transport_retry_time", duration(0),
                                       "How long a transport may be without a process to run it before its mail is "
                                       "deferred as after a failed attempt; 0 means that it waits."),
      option<&T::destination_key>(
          "destination_key", choice(kDestinationKeys),
          "What counts as a destination: the next hop (where a route names none, the recipient's domain); each "
          "recipient, as suits delivery to mailboxes and is the default of transport-maildir; or a site, which is all "
          "domains with the same mail exchangers, as suits delivery by MX: they share one set of limits, one "
          "concurrency and one health."),
      option<&T::transport_rate_delay>(
          "transport_rate_delay", duration(0),
          "Least time from the beginning of a delivery to that of the next, over the whole "
          "transport; fractions of a second work. 0 means none.",
          "`default_transport_rate_delay`"),
      option<&T::transport_rate_delay_plugin>("transport_rate_delay_plugin", text(kRateName),
                                              "The `[rate.NAME]` that keeps `transport_rate_delay`, as for "
                                              "`process_limit_plugin`."),
      option<&T::transport_rate_limit>(
          "transport_rate_limit", text(kRate),
          "Deliveries in a time, over the whole transport, such as \"100/s\" or \"5000/h\".", "none"),
      option<&T::transport_rate_burst>("transport_rate_burst", integer(1),
                                       "How many of these may follow each other at once after a quiet time."),
      option<&T::transport_rate_plugin>("transport_rate_plugin", text(kRateName),
                                        "The `[rate.NAME]` that keeps `transport_rate_limit`, perhaps for several "
                                        "nodes together; `rate-local`: this instance by itself."),
      option<&T::delivery_slot_cost>(
          "delivery_slot_cost", integer(0, 1'000'000),
          "A list, that is a message with at least this many times `minimum_delivery_slots` deliveries on the "
          "transport, "
          "lets one other delivery go ahead of its own for each so many of them; below 2 mail goes strictly in order.",
          "`default_delivery_slot_cost`"),
      option<&T::delivery_slot_loan>("delivery_slot_loan", integer(0, 1'000'000),
                                     "How many others may go ahead before the list has had the deliveries for it.",
                                     "`default_delivery_slot_loan`"),
      option<&T::delivery_slot_discount>("delivery_slot_discount", integer(0, 100),
                                         "Percent of that cost that may be missing when another goes ahead.",
                                         "`default_delivery_slot_discount`"),
      option<&T::minimum_delivery_slots>("minimum_delivery_slots", integer(0, 1'000'000), "See `delivery_slot_cost`.",
                                         "`default_minimum_delivery_slots`"),
      option<&T::smtp_generic_maps>(
          "smtp_generic_maps", list(kTableName),
          "Tables with the public address in the place of an internal one, in the envelope and the header of what this "
          "transport delivers. Its mail waits while a table cannot say.",
          "none"),
  };
  return rows;
}

std::span<const Option<DestinationRule>> destination_rule_options() {
  using T = DestinationRule;
  static const Option<T> rows[] = {
      option<&T::match>(
          "match", list(kDestination),
          "Destinations: \"example.com\", \".example.com\" for all its subdomains but not itself, or a next "
          "hop as a route names it, such as \"[192.0.2.1]:25\".",
          "must be given, or `mx`"),
      option<&T::site>("site", text(kDomain),
                       "A name for those that match together, such as one provider's domains: they share one set of "
                       "limits, one concurrency and one health, as if they were one destination.",
                       "each by itself"),
      option<&T::mx>("mx", list(kDomainPattern),
                     "Mail exchangers: \"mx.example.com\", or \".example.com\" for all hosts below it. Not only what "
                     "`match` names matches, but also a domain all of whose exchangers are among these, from when DNS "
                     "has said so.",
                     "none"),
  };
  return rows;
}

std::span<const Option<DestinationLimits>> destination_options() {
  using T = DestinationLimits;
  static const Option<T> rows[] = {
      option<&T::initial_destination_concurrency>("initial_destination_concurrency", integer(1, 100000),
                                                  "Deliveries at once to a destination that is new.",
                                                  "`initial_destination_concurrency` at top level"),
      option<&T::destination_concurrency_limit>("destination_concurrency_limit", integer(0, 100000),
                                                "Deliveries at once to one destination at most; 0 means no limit. The "
                                                "default for a mailbox of transport-maildir is 2.",
                                                "`default_destination_concurrency_limit`"),
      option<&T::destination_concurrency_plugin>("destination_concurrency_plugin", text(kRateName),
                                                 "The `[rate.NAME]` that keeps `destination_concurrency_limit`, as for "
                                                 "`process_limit_plugin`."),
      option<&T::destination_concurrency_positive_feedback>(
          "destination_concurrency_positive_feedback", text(kFeedback),
          "What a delivery that reached the destination adds to its concurrency: \"1\", \"0.2\", \"1/5\", "
          "\"1/concurrency\" or \"1/sqrt_concurrency\".",
          "`default_destination_concurrency_positive_feedback`"),
      option<&T::destination_concurrency_negative_feedback>(
          "destination_concurrency_negative_feedback", text(kFeedback),
          "What a delivery that failed to connect or to shake hands takes from it.",
          "`default_destination_concurrency_negative_feedback`"),
      option<&T::destination_concurrency_failed_cohort_limit>(
          "destination_concurrency_failed_cohort_limit", integer(0),
          "Rounds of failed deliveries after which a destination counts as dead: for `minimal_backoff_time`, give or "
          "take `backoff_jitter`, its mail is deferred without an attempt. A round is as many deliveries as its "
          "concurrency; 0 means never.",
          "`default_destination_concurrency_failed_cohort_limit`"),
      option<&T::destination_recipient_limit>(
          "destination_recipient_limit", integer(1, 100000),
          "Recipients in one delivery; a message with more is delivered in several.",
          "`default_destination_recipient_limit`"),
      option<&T::destination_rate_delay>(
          "destination_rate_delay", duration(0),
          "Time from the end of a delivery to the beginning of the next, which makes "
          "deliveries follow one another; fractions of a second work. 0 means none. Raise "
          "`destination_concurrency_failed_cohort_limit` with it: with one delivery at "
          "once a single failure is a whole round.",
          "`default_destination_rate_delay`"),
      option<&T::destination_rate_delay_plugin>("destination_rate_delay_plugin", text(kRateName),
                                                "The `[rate.NAME]` that keeps `destination_rate_delay`, as for "
                                                "`process_limit_plugin`."),
      option<&T::destination_rate_limit>("destination_rate_limit", text(kRate),
                                         "Deliveries in a time, such as \"10/s\", \"100/m\" or \"500/15m\".", "none"),
      option<&T::destination_rate_burst>("destination_rate_burst", integer(1),
                                         "How many of these may follow each other at once after a quiet time."),
      option<&T::destination_rate_plugin>("destination_rate_plugin", text(kRateName),
                                          "The `[rate.NAME]` that keeps `destination_rate_limit`, as for "
                                          "`transport_rate_plugin`."),
      option<&T::adaptive_rate_minimum>("adaptive_rate_minimum", text(kRate),
                                        "Where a `[[response]]` slows a destination down: never below this rate."),
      option<&T::adaptive_rate_maximum>("adaptive_rate_maximum", text(kRate),
                                        "... nor above this one, at which it is free again; `destination_rate_limit` "
                                        "counts besides.",
                                        "twice the rate at which it began"),
      option<&T::adaptive_rate_decrease>("adaptive_rate_decrease", {.type = OptionType::Number, .least = 0, .most = 1},
                                         "What the rate is multiplied by when a reply asks for less, at most once in "
                                         "ten seconds."),
      option<&T::adaptive_rate_increase>("adaptive_rate_increase", {.type = OptionType::Number, .least = 0, .most = 1},
                                         "What is added to it in each second of deliveries that go well, as a part of "
                                         "the rate at which it began."),
  };
  return rows;
}

std::span<const Option<Lookup>> lookup_options() {
  using T = Lookup;
  static const Option<T> rows[] = {
      option<&T::plugin>("plugin", text(kPlugin), "The plugin that looks up, such as \"lookup-file\".",
                         "must be given, or one of the next two"),
      option<&T::pipemap>(
          "pipemap", list(kTableName),
          "Other tables, asked one after another, each for what the one before it found; not found when "
          "any of them does not find it.",
          "none"),
      option<&T::unionmap>(
          "unionmap", list(kTableName),
          "Other tables, all asked for the same key; what they find together, in their order. One that "
          "cannot say makes the whole \"try later\".",
          "none"),
      option<&T::time_limit>("time_limit", duration(kMillisecond, 600 * kSecond),
                             "How long one lookup may take; then it counts as \"try later\"."),
      option<&T::cache_ttl>("cache_ttl", duration(0, 86400 * kSecond),
                            "How long what was found is reused where the plugin does not say; 0 means not at all."),
      option<&T::cache_negative_ttl>("cache_negative_ttl", duration(0, 86400 * kSecond),
                                     "How long \"not found\" is reused where the plugin does not say."),
      option<&T::partial_keys>(
          "partial_keys", boolean(),
          "Whether the table is also asked for parts of an address, a name or a network, as docs/lookups.md says for "
          "each "
          "use. Tables of patterns are not to be: a pattern may match a part that it was not meant for.",
          "`false` with `type` \"cidr\", \"regexp\" or \"pcre\", else `true`"),
  };
  return rows;
}

std::span<const Option<Filter>> filter_options() {
  using T = Filter;
  static const Option<T> rows[] = {
      option<&T::plugin>("plugin", text(kPlugin), "The plugin that watches, such as \"filter-pipe\".", "must be given"),
      option<&T::command_timeout>("command_timeout", duration(kMillisecond, 600 * kSecond),
                                  "How long it may take to judge a connection or a command (Postfix: "
                                  "`milter_command_timeout`), or an event of the queue, for which it has a minute at "
                                  "most; then `on_failure` answers."),
      option<&T::content_timeout>("content_timeout", duration(kMillisecond, 3600 * kSecond),
                                  "The same for the content: each header field, each piece of the body, and the end of "
                                  "the message (Postfix: `milter_content_timeout`). A plugin that reports progress has "
                                  "it anew, for ten minutes in all."),
  };
  return rows;
}

std::span<const Option<Event>> event_options() {
  using T = Event;
  static const Option<T> rows[] = {
      option<&T::plugin>("plugin", text(kPlugin), "The plugin that is told, such as \"event-file\".", "must be given"),
      option<&T::buffer_size>("buffer_size", size(64 << 10),
                              "Memory of the queue process for events that the plugin has not taken yet; what does not "
                              "fit is dropped, counted and said once in the log."),
  };
  return rows;
}

std::span<const Option<Rate>> rate_options() {
  using T = Rate;
  static const Option<T> rows[] = {
      option<&T::plugin>("plugin", text(kPlugin), "The plugin that keeps the rates, such as \"rate-redis\".",
                         "must be given"),
      option<&T::time_limit>("time_limit", duration(kMillisecond, 60 * kSecond),
                             "How long it may take to say how many deliveries may begin; then `on_failure` answers."),
  };
  return rows;
}

std::span<const Option<Auth>> auth_options() {
  using T = Auth;
  static const Option<T> rows[] = {
      option<&T::plugin>("plugin", text(kPlugin), "The plugin that knows the users, such as \"auth-dovecot\".",
                         "must be given"),
      option<&T::time_limit>("time_limit", duration(kMillisecond, 300 * kSecond),
                             "How long one step of an exchange may take; then the client hears 454."),
  };
  return rows;
}

std::span<const Option<Store>> store_options() {
  using T = Store;
  static const Option<T> rows[] = {
      option<&T::plugin>("plugin", text(kPlugin), "The plugin that keeps the copies, such as \"store-directory\".",
                         "must be given"),
      option<&T::time_limit>("time_limit", duration(kMillisecond, 300 * kSecond),
                             "How long it may take over a message, or over what became of one; then the message is "
                             "refused with 451, and the outcome told again."),
      option<&T::restore_empty_spool>(
          "restore_empty_spool", boolean(),
          "A start with a spool that is new takes over what the store has of another one, as `mansio spool restore` "
          "does. Not where the spools of several machines share a store that are in use."),
  };
  return rows;
}

std::span<const Option<Budget>> budget_options() {
  using T = Budget;
  static const Option<T> rows[] = {
      option<&T::isolation>(
          "isolation", choice(kIsolations),
          "Where the plugin's code runs: in the process that uses it, or in one of its own, whose end "
          "harms nobody else.",
          "`\"inproc\"`; in `[event.NAME]`, `[rate.NAME]` and `[store.NAME]` `\"process\"`, and nothing else"),
      option<&T::in_flight_limit>(
          "in_flight_limit", integer(1, 1000000),
          "Operations that the plugin may have under way; more are refused with \"try later\". A transport may always "
          "have as many as its `process_limit` says. In `[event.NAME]` events on their way to it; more wait in the "
          "buffer."),
      option<&T::threads>("threads", integer(0, 1024),
                          "Threads for a plugin that blocks; 0 means as many as the plugin asks for."),
      option<&T::log_rate_limit>("log_rate_limit", integer(1),
                                 "Lines a second that the plugin may log, with bursts of ten seconds' worth; more are "
                                 "dropped and counted."),
      option<&T::memory_limit>(
          "memory_limit", size(0),
          "Address space of the plugin's own process, on top of what an idle one takes; 0 means no "
          "limit."),
      option<&T::cpu_limit>("cpu_limit", {.type = OptionType::Number, .least = 0, .most = 1024},
                            "Seconds of CPU that the plugin's own process may use a second, over ten seconds; one that "
                            "uses more is ended. 0 means no limit."),
      option<&T::descriptor_limit>("descriptor_limit", integer(0),
                                   "Open files of the plugin's own process; 0 means no limit but the system's."),
      option<&T::breaker_deaths>(
          "breaker_deaths", integer(1, 1000),
          "Ends of the plugin's own process, or of any that a lookup, auth, filter or policy runs in and that ends in "
          "its code (one that did not return counts as five), or failures of these in a row (exceptions, no answer in "
          "time), within `breaker_window`, after which its breaker opens: `on_failure` answers at once, and nothing is "
          "started or asked. For failures a filter or policy has a row, and a breaker, for each command of a session "
          "and each event of the queue, and one for the content of a message."),
      option<&T::breaker_window>(
          "breaker_window", duration(kSecond),
          "See `breaker_deaths`. For how long a process that died was not started again does not count."),
      option<&T::breaker_time>(
          "breaker_time", duration(kMillisecond),
          "How long an open breaker waits before it tries the plugin again; a lookup first with one key, a filter or "
          "policy with one command, or one message. Where the process of that try ends in its code as well, it waits "
          "twice as long, up to 32 times this."),
      option<&T::on_failure>(
          "on_failure", choice(kOnFailures),
          "What becomes of an operation that the plugin failed: try later; go on as if the plugin were "
          "not there (a lookup: not found; a transport cannot); or hold the message for an operator (filters and "
          "policies: the message is taken; a lookup cannot). Of a `[rate.NAME]`: what it limits waits, or goes at the "
          "configured rate (`skip`) until the plugin answers again. Of auth and of a store it is always \"defer\"."),
  };
  return rows;
}

std::span<const Option<RouteRule>> route_options() {
  using T = RouteRule;
  static const Option<T> rows[] = {
      option<&T::recipient>("recipient", list(kRecipient), "Recipient addresses; case does not matter.",
                            "every recipient"),
      option<&T::domain>(
          "domain", list(kDomainPattern),
          "Recipient domains; \".example.com\" stands for all subdomains of example.com but not for itself.",
          "every domain"),
      option<&T::sender>("sender", list(kSender),
                         "Sender addresses, \"@example.com\" for a whole domain, \"<>\" for the null sender.",
                         "every sender"),
      option<&T::transport>("transport", text(kTransportName), "The transport that delivers.",
                            "must be given unless `error` is"),
      option<&T::nexthop>("nexthop", text(kNexthop),
                          "Where to: \"example.com\" (by its MX records), \"[host]\" or \"[host]:port\" (that host), "
                          "\"unix:/path\"; for "
                          "transport-error the reason, \"5.1.1 no such user\".",
                          "the recipient's domain"),
      option<&T::error>("error", text(kRefusal), "Refuse these recipients with this reply.", "none"),
  };
  return rows;
}

std::span<const Option<ResponseRule>> response_options() {
  using T = ResponseRule;
  static const Option<T> rows[] = {
      option<&T::destination>("destination", list(kDestination),
                              "Destinations it is for, as in "
                              "`[[transport.NAME.destination]]`.",
                              "every destination"),
      option<&T::code>(
          "code", list(kReplyCode),
          "SMTP codes and enhanced codes, such as \"421\" or \"4.7.1\"; a '*' at the end stands for any rest.",
          "every code"),
      option<&T::pattern>("pattern", text(kPattern),
                          "A Perl-compatible regular expression that the reply's text, or the reason why there was no "
                          "connection, must match somewhere; \"(?i)\" before it makes case not count.",
                          "every text"),
      option<&T::threshold>("threshold", integer(1, 100'000), "How many such replies of one destination it takes ..."),
      option<&T::window>("window", duration(kSecond), "... within this time."),
      option<&T::action>(
          "action", choice(kResponseActions),
          "`suspend`: its mail waits for `time`, which counts neither for its age nor for its back-off. `slow`: a rate "
          "is "
          "found by trying (`adaptive_rate_minimum` and those beside it). `concurrency`: at most `concurrency` "
          "deliveries "
          "at once, until successes raise that again. `bounce`: that mail is returned. `pool`: its mail leaves from "
          "source pool `pool` for `time`."),
      option<&T::time>("time", duration(kSecond), "How long a suspension or another pool lasts."),
      option<&T::concurrency>("concurrency", integer(1, 100'000), "See `action`."),
      option<&T::pool>("pool", text(kLine), "See `action`.", "none"),
  };
  return rows;
}

std::span<const Option<TenantRule>> tenant_options() {
  using T = TenantRule;
  static const Option<T> rows[] = {
      option<&T::name>("name", text(kLine), "The tenant.", "must be given"),
      option<&T::weight>(
          "weight", integer(1, 1'000'000),
          "Its part of a transport's sessions and of a destination's, in proportion to that of others who "
          "want some; tenants that are not named here have 1."),
  };
  return rows;
}

std::span<const Option<SourceGroup>> source_group_options() {
  using T = SourceGroup;
  static const Option<T> rows[] = {
      option<&T::name>("name", text(kLine), "What mail names, as it would a source pool.", "must be given"),
      option<&T::pools>("pools", list(kWeighted),
                        "The source pools it leaves from, each with its weight: [\"old=9\", \"new=1\"]. One without "
                        "a weight has 1.",
                        "must be given"),
  };
  return rows;
}

std::span<const Option<RateRule>> rate_limit_options() {
  using T = RateRule;
  static const Option<T> rows[] = {
      option<&T::key>("key", choice(kRateKeys), "Whose deliveries are counted."),
      option<&T::match>("match", list(kLine),
                        "Names it is for; \".example.com\" and \"@example.com\" stand for all that end so.",
                        "every tenant, campaign, sender or source pool"),
      option<&T::destination>(
          "destination", list(kDestination),
          "Of `source_pool_destination` alone: destinations it is for, as in `[[transport.NAME.destination]]`; one "
          "that is of a site goes by the site's name.",
          "every destination"),
      option<&T::rate>("rate", text(kRate), "Deliveries in a time, such as \"100/m\".",
                       "must be given unless `concurrency` is"),
      option<&T::burst>("burst", integer(1), "How many may follow each other at once after a quiet time."),
      option<&T::concurrency>(
          "concurrency", integer(0, 100'000),
          "Of `source_pool_destination` alone: deliveries at once from each pool to each destination; 0 means any "
          "number."),
      option<&T::plugin>("plugin", text(kRateName),
                         "The `[rate.NAME]` that keeps it, perhaps for several nodes together; `rate-local`: this "
                         "instance by itself."),
      option<&T::warm_up>(
          "warm_up", list(kRate),
          "Rates for the first days, one for each, as a source address needs them that nobody knows yet: "
          "[\"50/d\", \"100/d\", \"200/d\"]. Then `rate` counts.",
          "none"),
      option<&T::warm_up_from>(
          "warm_up_from", text(kDate),
          "The first of these days; they begin at midnight (UTC). Before it the first rate counts.",
          "must be given with `warm_up`"),
  };
  return rows;
}

std::span<const Option<Queue>> queue_options() {
  using T = Queue;
  static const Option<T> rows[] = {
      option<&T::minimal_backoff_time>("minimal_backoff_time", duration(kMillisecond),
                                       "Least time between two attempts for a message."),
      option<&T::maximal_backoff_time>("maximal_backoff_time", duration(kMillisecond),
                                       "Longest time between two attempts."),
      option<&T::backoff_jitter>("backoff_jitter", {.type = OptionType::Number, .least = 0, .most = 1},
                                 "How far these times vary by chance, as a fraction both ways, so that what failed "
                                 "together does not come back together."),
      option<&T::queue_run_delay>(
          "queue_run_delay", duration(0),
          "Round the time of each next attempt up to a whole multiple of this; 0 means not. There "
          "is no scan: mail is tried when its time has come."),
      option<&T::qmgr_message_active_limit>("qmgr_message_active_limit", integer(1),
                                            "Messages under delivery at once, over all transports."),
      option<&T::qmgr_message_recipient_limit>("qmgr_message_recipient_limit", integer(1),
                                               "Recipients under delivery at once, over all transports."),
      option<&T::maximal_queue_lifetime>("maximal_queue_lifetime", duration(0),
                                         "Age at which mail that still fails is returned; 0 means one attempt."),
      option<&T::bounce_queue_lifetime>("bounce_queue_lifetime", duration(0), "The same for bounces."),
      option<&T::delay_warning_time>("delay_warning_time", duration(0),
                                     "Age at which the sender is told that mail is delayed; 0 means never."),
      option<&T::confirm_delay_cleared>("confirm_delay_cleared", boolean(),
                                        "Tell senders who were told of a delay when the mail is delivered after all. "
                                        "After a long outage that may be much mail at once."),
      option<&T::envelope_cache_limit>("envelope_cache_limit", integer(1),
                                       "Recipients of fresh or leased mail whose envelopes stay in memory; those of "
                                       "other mail are read back when needed."),
      option<&T::backlog_limit>(
          "backlog_limit", integer(0),
          "Messages waiting for delivery above which new mail gets 452, without those on hold; 0 means no limit."),
      option<&T::defer_transports>(
          "defer_transports", list(kTransportName),
          "Transports whose mail waits until it is flushed (`mansio queue flush`, ETRN), such "
          "as one over a line that is dialled; meanwhile it is deferred as after any attempt."),
      option<&T::qmgr_clog_warn_time>(
          "qmgr_clog_warn_time", duration(0),
          "Least time between two warnings that mail for one destination fills the queue of what "
          "is due, or that as much is under delivery as may be; 0 means never."),
      option<&T::qmgr_clog_warn_limit>(
          "qmgr_clog_warn_limit", integer(1),
          "Deliveries to one destination that are due and wait for their turn, above which it is "
          "warned of."),
      option<&T::in_flow_delay>("in_flow_delay", duration(0, 10 * kSecond),
                                "How long MAIL waits for its answer while mail comes in faster than it goes out, which "
                                "`in_flow_backlog` tells. First it waits for clients that bring more than the average "
                                "of all, and at twice the backlog for everybody; 0 means never. What one client is, "
                                "`client_ipv4_prefix_length` and `client_ipv6_prefix_length` say."),
      option<&T::in_flow_backlog>("in_flow_backlog", integer(0),
                                  "Messages that wait for their first attempt from which on `in_flow_delay` holds; 0 "
                                  "means never."),
      option<&T::notify_classes>(
          "notify_classes", list(kNotifyClass),
          "What the postmaster is told about. Of mail in the queue: `bounce` (copies of the headers of bounced mail; "
          "implies `2bounce`), `2bounce` (bounces that cannot be delivered), `delay` (headers of delayed mail). Of "
          "SMTP "
          "sessions, with a transcript: `policy` (something was refused), `protocol` (errors in the protocol), "
          "`bounce` "
          "(a recipient does not exist), `data` (a certificate could not be read). Of either: `resource` (full disks "
          "and other limits) and `software` (our own programs)."),
      option<&T::bounce_template_file>("bounce_template_file", path(),
                                       "File with the texts of delivery status notifications.", "texts of our own"),
      option<&T::bounce_size_limit>(
          "bounce_size_limit", size(1),
          "Largest original that a notification carries in full; of larger ones it carries the headers."),
      option<&T::worker_kill_limit>(
          "worker_kill_limit", integer(1, 7),
          "Delivery processes that a message may have killed in a row before it is put on hold."),
      option<&T::policies>(
          "policies", list(kFilterName),
          "Policies that have a say in what becomes of mail in the queue, in the order in which they are asked: which "
          "way it goes, whether a delivery may begin, when it is tried again, and whether a notification is written. "
          "They run in processes of their own (`isolation = \"process\"`)."),
  };
  return rows;
}

std::span<const Option<SpoolSettings>> segment_options() {
  using T = SpoolSettings;
  static const Option<T> rows[] = {
      option<&T::node>("node", integer(0, 4095),
                       "Number of this node in queue ids; give each host that shares a log its own."),
      option<&T::segment_size>("segment_size", size(1 << 20, std::int64_t{1} << 32), "Size of a segment."),
      option<&T::spare_segments>("spare_segments", integer(0, 64),
                                 "Prepared segments each receiving process keeps ready."),
      option<&T::reserve>("reserve", size(0),
                          "Free space below which new mail gets 452, so that a full disk still drains."),
      option<&T::body_memory>("body_memory", size(1 << 20),
                              "Memory that each receiving process uses for bodies not yet written. When it is full, "
                              "bodies above 64K are written to segments of their own as they come (they are above 1M "
                              "otherwise); where there is none, the message gets 452."),
      option<&T::outcome_sync_interval>(
          "outcome_sync_interval", duration(0, kSecond),
          "Longest time until a delivery's outcome is on stable storage; what a crash can make us deliver twice."),
  };
  return rows;
}

std::span<const Option<Dns>> dns_options() {
  using T = Dns;
  static const Option<T> rows[] = {
      option<&T::servers>("servers", list(kDnsServer), "Name servers, with or without port.", "the system's"),
      option<&T::timeout>("timeout", duration(kMillisecond, 60 * kSecond), "How long one try waits for an answer."),
      option<&T::tries>("tries", integer(1, 10), "Tries for a question."),
      option<&T::min_ttl>("min_ttl", duration(0), "Answers are kept at least as long."),
      option<&T::max_ttl>("max_ttl", duration(0), "Answers are kept at most as long."),
      option<&T::max_negative_ttl>("max_negative_ttl", duration(0),
                                   "\"There is no such name\" is kept at most as long."),
  };
  return rows;
}

}  // namespace mansio::config
