// Settings: the whole configuration, typed. Made from TOML by parse_settings(), which refuses what it does not
// know; every other layer takes these structs and never sees TOML.
//
// Durations are Nanos, sizes bytes. Defaults written here are the ones the option tables
// (kernel/config/options.cpp) show in docs/configuration.md; names are Postfix's where the meaning is the same.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "kernel/base/clock.hpp"
#include "kernel/base/log.hpp"
#include "kernel/base/result.hpp"
#include "kernel/config/network.hpp"
#include "kernel/mail/envelope.hpp"

namespace mansio::config {

enum class LogFormat : std::uint8_t { Json, Postfix };
enum class BareNewline : std::uint8_t { Normalize, Reject };
enum class DestinationKey : std::uint8_t { Nexthop, Recipient, Site };
enum class RateKey : std::uint8_t { Tenant, Campaign, Sender, SourcePool, SourcePoolDestination };
enum class TlsLevel : std::uint8_t { None, May, Encrypt };

struct Log {
  LogFormat format = LogFormat::Json;  // of delivery lines
  LogLevel level = LogLevel::Info;
  std::string target = "stderr";       // "stderr", "syslog" or a file path
  std::string syslog_name = "mansio";  // before "/PROCESS[PID]" in syslog and in Postfix's lines

  bool operator==(const Log &) const = default;
};

// Settings of the SMTP server; each may be given in [smtpd] and overridden in [listener.NAME].
struct Smtpd {
  std::string banner;               // after "220 HOSTNAME "; "" = "ESMTP Mansio"
  std::vector<Network> mynetworks;  // may relay
  bool helo_required = false;
  bool client_name_lookup = true;  // PTR confirmed forward
  Nanos client_name_timeout = 5 * kSecond;
  std::uint64_t message_size_limit = 10240000;
  std::uint64_t line_length_limit = 2048;     // of the message content; a longer line is refused
  std::uint64_t command_length_limit = 2048;  // of a command line
  std::uint64_t header_size_limit = 102400;   // whole header section
  std::uint32_t recipient_limit = 1000;
  std::uint32_t command_limit = 10000;  // per session, from the last message on
  std::uint32_t junk_command_limit = 100;
  std::uint32_t soft_error_limit = 10;
  std::uint32_t hard_error_limit = 20;
  Nanos error_sleep_time = 1 * kSecond;
  std::uint32_t hopcount_limit = 50;
  Nanos timeout = 300 * kSecond;               // idle, per read or write
  Nanos transaction_timeout = 3600 * kSecond;  // MAIL to the end of the content
  std::uint32_t min_data_rate = 500;           // bytes a second while content is read, after a grace of one timeout/10
  bool per_request_deadline = false;  // one timeout for a request and its reply, not one for each read and write
  std::uint32_t client_connection_count_limit = 50;    // across all ingress processes
  std::uint32_t connection_limit = 2000;               // of all clients together
  std::vector<Network> client_event_limit_exceptions;  // default: mynetworks
  bool client_event_limit_exceptions_given = false;
  // Of one client in a unit of time, across all ingress processes; 0 = none.
  std::uint32_t client_connection_rate_limit = 0, client_message_rate_limit = 0, client_recipient_rate_limit = 0;
  std::uint32_t client_new_tls_session_rate_limit = 0, client_auth_rate_limit = 0;
  Nanos anvil_rate_time_unit = 60 * kSecond;
  std::uint32_t client_ipv4_prefix_length = 32, client_ipv6_prefix_length = 84;  // of what is one client
  // Under stress, each if it is less.
  std::uint32_t stress_threshold = 90;  // percent of connection_limit; 0 = there is none
  Nanos stress_time = 1000 * kSecond;   // from the last sign on
  Nanos stress_timeout = 10 * kSecond, stress_starttls_timeout = 10 * kSecond;
  std::uint32_t stress_hard_error_limit = 1, stress_junk_command_limit = 1;
  bool stress_per_request_deadline = true;
  BareNewline forbid_bare_newline = BareNewline::Normalize;
  bool forbid_unauth_pipelining = true;
  bool soft_bounce = false;                     // of replies; default: the top level's
  std::vector<Network> etrn_clients;            // none: ETRN is not offered
  std::vector<std::string> fast_flush_domains;  // that ETRN may name; none: relay_domains
  bool smtputf8 = true;
  bool mt_priority = false;
  std::string tenant;           // whose the mail is that comes in here; "" = nobody's in particular
  std::string campaign_header;  // the field that has a message's campaign; "" = none
  std::string priority_header;  // the field that has its priority; "" = none
  std::vector<std::string> discard_ehlo_keywords;
  Durability durability = Durability::Power;
  TlsLevel tls_security_level = TlsLevel::None;
  std::string tls_cert_file, tls_key_file;  // PEM chain and key
  Nanos starttls_timeout = 300 * kSecond;
  Nanos tls_reload_interval = 60 * kSecond;  // how often the files are looked at
  // Access tables, by name; asked when RCPT comes.
  std::vector<std::string> client_access_maps, helo_access_maps, sender_access_maps, recipient_access_maps;
  std::uint32_t access_map_reject_code = 554, access_map_defer_code = 450;
  std::uint32_t unknown_local_recipient_reject_code = 550;
  std::uint32_t unknown_relay_recipient_reject_code = 550;
  std::uint32_t unknown_virtual_alias_reject_code = 550;
  std::string null_access_lookup_key = "<>";
  std::vector<std::string> policies, filters;  // [policy.NAME] and [filter.NAME] that watch sessions, in their order
  std::string content_filter;                  // "TRANSPORT:NEXTHOP", where all mail goes first; "" = none
  std::vector<std::string> receive_override_options;
  std::vector<Network> authorized_xforward_hosts;  // none: XFORWARD is not offered
  bool sasl_auth_enable = false;
  std::string auth;                               // [auth.NAME], who is asked; "" = nobody
  bool tls_auth_only = true;                      // AUTH is not offered in clear
  bool sasl_auth_required = false;                // of clients that are not in mynetworks, before MAIL
  bool sasl_authenticated_header = false;         // the user's name goes into Received
  std::vector<Network> sasl_exceptions_networks;  // AUTH is not offered to these
  std::vector<std::string> sender_login_maps;     // tables: whose a sender address is; none: anybody's
  bool reject_unauthenticated_sender_login_mismatch = false;
  bool record = false;  // what filters and policies are shown of its sessions goes into `record_directory`

  bool overrides(std::string_view what) const;  // is it one of receive_override_options?
  bool operator==(const Smtpd &) const = default;
};

struct Listener {
  std::string name;                 // [listener.NAME]
  std::vector<std::string> listen;  // "127.0.0.1:2525", "[::1]:2525", "*:25"
  std::string protocol = "smtp";    // or "qmqp"
  std::vector<Network> qmqpd_authorized_clients;
  Nanos qmqpd_timeout = 300 * kSecond;
  Nanos qmqpd_error_delay = 1 * kSecond;
  Smtpd smtpd;  // [smtpd] with this listener's overrides

  bool operator==(const Listener &) const = default;
};

enum class Isolation : std::uint8_t { InProcess, Process };
enum class OnFailure : std::uint8_t { Defer, Skip, Hold };

// What an instance of a plugin may use, where its code runs, and what happens when it fails. In [transport.NAME],
// [lookup.NAME], [filter.NAME], [policy.NAME], [event.NAME], [rate.NAME] and [auth.NAME] alike. Memory, CPU and
// descriptors need a process of its own.
struct Budget {
  Isolation isolation = Isolation::InProcess;
  std::uint32_t in_flight_limit = 1000;  // operations
  std::uint32_t threads = 0;             // of a blocking plugin; 0 = what the plugin asks for
  std::uint32_t log_rate_limit = 100;    // lines a second
  std::uint64_t memory_limit = 0;        // bytes of address space; 0 = none
  double cpu_limit = 0;                  // seconds of CPU a second, over ten seconds; 0 = none
  std::uint32_t descriptor_limit = 0;    // 0 = as the kernel's processes
  std::uint32_t breaker_deaths = 5;      // or failures in a row of what is asked questions, that open a breaker
  Nanos breaker_window = 60 * kSecond;
  Nanos breaker_time = 60 * kSecond;  // how long it stays open
  OnFailure on_failure = OnFailure::Defer;

  bool operator==(const Budget &) const = default;
};

// The name of a [rate.NAME] that stands for none: the buckets that the queue process keeps itself.
inline constexpr std::string_view kRateLocal = "rate-local";

// Of transports with these plugins each recipient is a destination unless the configuration says otherwise, with so
// many deliveries at once. Their own code cannot say so: who reads a configuration runs none of it.
inline constexpr std::string_view kMailboxPlugins[] = {"transport-maildir"};
inline constexpr std::uint32_t kMailboxConcurrency = 2;

// What bounds deliveries to one destination: in [transport.NAME] for all of them, in [[transport.NAME.destination]] for
// those that match.
struct DestinationLimits {
  std::uint32_t initial_destination_concurrency = 5;
  std::uint32_t destination_concurrency_limit = 20;
  std::string destination_concurrency_plugin{kRateLocal};  // name of a [rate.NAME]
  std::string destination_concurrency_positive_feedback = "1", destination_concurrency_negative_feedback = "1";
  std::uint32_t destination_concurrency_failed_cohort_limit = 1;
  std::uint32_t destination_recipient_limit = 50;
  Nanos destination_rate_delay = 0;  // 0: none
  std::string destination_rate_delay_plugin{kRateLocal};
  std::string destination_rate_limit;  // "100/m"; "" = none
  std::uint32_t destination_rate_burst = 1;
  std::string destination_rate_plugin{kRateLocal};  // name of a [rate.NAME]
  std::string adaptive_rate_minimum = "1/m";
  std::string adaptive_rate_maximum;  // "" = twice what it began at
  double adaptive_rate_decrease = 0.5, adaptive_rate_increase = 0.05;

  bool operator==(const DestinationLimits &) const = default;
};

struct DestinationRule {
  std::vector<std::string> match;  // domains, ".example.com" for subdomains, next hops
  std::string site;                // those that match count as one destination; "" = each by itself
  DestinationLimits limits;        // the transport's, with this rule's overrides
  std::vector<std::string> mx{};   // or those whose exchangers are all among these, ".example.com" for hosts below it

  bool operator==(const DestinationRule &) const = default;
};

// One [transport.NAME]: an instance of a plugin. Plugin options are checked against the plugin's own table.
struct Transport : DestinationLimits {
  std::string name;
  std::string plugin;                            // "transport-smtp"; file <plugin_dir>/transport-smtp.so
  std::map<std::string, std::string> options;    // everything the kernel does not know, as text
  std::uint32_t process_limit = 100;             // deliveries at once (Postfix: maxproc)
  std::string process_limit_plugin{kRateLocal};  // name of a [rate.NAME]
  Nanos delivery_time_limit = 3600 * kSecond;    // a lease's deadline
  Budget budget;
  Nanos transport_retry_time = 60 * kSecond;  // 0: never dead
  DestinationKey destination_key = DestinationKey::Nexthop;
  Nanos transport_rate_delay = 0;
  std::string transport_rate_delay_plugin{kRateLocal};
  std::string transport_rate_limit;
  std::uint32_t transport_rate_burst = 1;
  std::string transport_rate_plugin{kRateLocal};  // name of a [rate.NAME]
  std::uint32_t delivery_slot_cost = 5;
  std::uint32_t delivery_slot_loan = 3;
  std::uint32_t delivery_slot_discount = 50;  // percent
  std::uint32_t minimum_delivery_slots = 3;
  std::vector<DestinationRule> destinations;   // the first that matches counts
  std::vector<std::string> smtp_generic_maps;  // names of tables: addresses as other hosts are to see them

  bool asks_exchangers() const;  // limits go by who takes a domain's mail
  bool operator==(const Transport &) const = default;
};

// One [lookup.NAME]: a table, which is an instance of a plugin or a combination of other tables.
struct Lookup {
  std::string name;
  std::string plugin;                          // "lookup-file"; or
  std::vector<std::string> pipemap, unionmap;  // names of tables
  std::map<std::string, std::string> options;  // the plugin's, as text
  Nanos time_limit = 10 * kSecond;
  Nanos cache_ttl = 0;           // how long "found" is reused where the plugin does not say; 0 = not at all
  Nanos cache_negative_ttl = 0;  // the same of "not found"
  bool partial_keys = true;      // is asked for parts of an address, too
  Budget budget;

  bool operator==(const Lookup &) const = default;
};

// One [filter.NAME] or [policy.NAME]: a plugin that watches the sessions of the listeners that name it. A policy that
// [queue] names has a say in what the queue does.
struct Filter {
  std::string name;
  std::string plugin;                          // "filter-pipe"
  std::map<std::string, std::string> options;  // the plugin's, as text
  Nanos command_timeout = 30 * kSecond;        // of a stage that is a command (Postfix: milter_command_timeout)
  Nanos content_timeout = 300 * kSecond;       // of one of the content (milter_content_timeout)
  Budget budget;

  bool operator==(const Filter &) const = default;
};

// One [event.NAME]: a plugin that is told what became of messages. It has a process of its own, as the queue process
// runs no foreign code.
struct Event {
  std::string name;
  std::string plugin;                          // "event-file"
  std::map<std::string, std::string> options;  // the plugin's, as text
  std::uint64_t buffer_size = 16ull << 20;     // bytes, in the queue process, of events not taken yet
  Budget budget{.isolation = Isolation::Process};

  bool operator==(const Event &) const = default;
};

// One [rate.NAME]: a plugin that owns the limits which name it. It has a process of its own, too.
struct Rate {
  std::string name;
  std::string plugin;                          // "rate-redis"
  std::map<std::string, std::string> options;  // the plugin's, as text
  Nanos time_limit = 1 * kSecond;              // of a lease
  Budget budget{.isolation = Isolation::Process};

  bool operator==(const Rate &) const = default;
};

// One [auth.NAME]: a plugin that knows the users of the listeners that name it.
struct Auth {
  std::string name;
  std::string plugin;                          // "auth-dovecot"
  std::map<std::string, std::string> options;  // the plugin's, as text
  Nanos time_limit = 30 * kSecond;             // of one step of an exchange
  Budget budget;

  bool operator==(const Auth &) const = default;
};

// One [store.NAME]: a plugin that keeps a second copy of all mail. It has a process of its own, which nothing else
// depends on.
struct Store {
  std::string name;
  std::string plugin;                          // "store-directory"
  std::map<std::string, std::string> options;  // the plugin's, as text
  Nanos time_limit = 30 * kSecond;             // of one call
  bool restore_empty_spool = false;            // what it has of another spool is taken over by one that is new
  Budget budget{.isolation = Isolation::Process};

  bool operator==(const Store &) const = default;
};

// The first route that matches a recipient is taken. Empty conditions match everything.
struct RouteRule {
  std::vector<std::string> recipient;  // addresses
  std::vector<std::string> domain;     // "example.com", or ".example.com" for its subdomains
  std::vector<std::string> sender;     // addresses, or "@example.com"; "<>" the null sender
  std::string transport;               // "" with `error`
  std::string nexthop;                 // "", "example.com", "[host]", "[host]:port", "unix:/path"
  std::string error;                   // refuse instead: "550 5.1.1 no such user"
  std::string where;                   // file:line, for messages

  bool operator==(const RouteRule &) const = default;
};

enum class ResponseAction : std::uint8_t { Suspend, Slow, Concurrency, Bounce, Pool };

// One [[response]].
struct ResponseRule {
  std::vector<std::string> destination, code;  // empty: any
  std::string pattern;                         // "": any
  std::uint32_t threshold = 1;
  Nanos window = 60 * kSecond;
  ResponseAction action = ResponseAction::Suspend;
  Nanos time = 600 * kSecond;
  std::uint32_t concurrency = 1;
  std::string pool;

  bool operator==(const ResponseRule &) const = default;
};

// One [[tenant]].
struct TenantRule {
  std::string name;
  std::uint32_t weight = 1;

  bool operator==(const TenantRule &) const = default;
};

// One [[source_group]]: a source pool that stands for others.
struct SourceGroup {
  std::string name;
  std::vector<std::string> pools;  // "new=1": parse_weighted()

  bool operator==(const SourceGroup &) const = default;
};

// One [[rate_limit]]: of each tenant, campaign, sender or source pool that matches, or of each source pool at each
// destination, by itself.
struct RateRule {
  RateKey key = RateKey::Tenant;
  std::vector<std::string> match;  // empty: every one that has a name
  std::string rate;                // "100/m"
  std::uint32_t burst = 1;
  std::string plugin{kRateLocal};         // name of a [rate.NAME]
  std::vector<std::string> warm_up = {};  // its rates on the first days; empty: none
  std::string warm_up_from = {};          // the first of them: "2026-11-30"
  // Of a source pool at destinations: these; empty: every one. And deliveries at once; 0: any number.
  std::vector<std::string> destination = {};
  std::uint32_t concurrency = 0;

  bool operator==(const RateRule &) const = default;
};

struct Queue {
  Nanos minimal_backoff_time = 300 * kSecond;
  Nanos maximal_backoff_time = 4000 * kSecond;
  double backoff_jitter = 0.1;  // fraction, both ways
  Nanos queue_run_delay = 0;    // 0: exact times
  std::uint32_t qmgr_message_active_limit = 20000;
  std::uint32_t qmgr_message_recipient_limit = 20000;
  Nanos maximal_queue_lifetime = 5 * 86400 * kSecond;  // 0: one try
  Nanos bounce_queue_lifetime = 5 * 86400 * kSecond;
  Nanos delay_warning_time = 0;  // 0: off
  bool confirm_delay_cleared = false;
  std::uint32_t envelope_cache_limit = 20000;  // recipients
  std::vector<std::string> defer_transports;   // transports whose mail waits for a flush
  Nanos qmgr_clog_warn_time = 300 * kSecond;   // between warnings about a destination; 0: none
  std::uint32_t qmgr_clog_warn_limit = 4000;   // deliveries of one destination waiting for their turn
  std::uint64_t backlog_limit = 0;             // messages waiting, not held, before new MAIL gets 452; 0 = none
  Nanos in_flow_delay = 1 * kSecond;           // before MAIL is answered; 0: off
  std::uint64_t in_flow_backlog = 20000;       // messages not tried yet before it is; 0: off
  std::vector<std::string> notify_classes = {"resource", "software"};
  std::string bounce_template_file;
  std::uint64_t bounce_size_limit = 50000;
  std::uint32_t worker_kill_limit = 3;  // deaths in a row before a message goes to hold
  std::vector<std::string> policies;    // [policy.NAME] that have a say in what the queue does, in their order

  bool operator==(const Queue &) const = default;
};

struct SpoolSettings {
  std::uint32_t node = 0;
  std::uint64_t segment_size = 64ull << 20;
  std::uint32_t spare_segments = 2;
  std::uint64_t reserve = 256ull << 20;  // queue_minfree
  std::uint64_t body_memory = 128ull << 20;
  Nanos outcome_sync_interval = 50 * kMillisecond;

  bool operator==(const SpoolSettings &) const = default;
};

struct Dns {
  std::vector<std::string> servers;  // "127.0.0.1:5353"; empty = the system's
  Nanos timeout = 5 * kSecond;
  std::uint32_t tries = 2;
  Nanos min_ttl = 5 * kSecond;
  Nanos max_ttl = 3600 * kSecond;
  Nanos max_negative_ttl = 300 * kSecond;

  bool operator==(const Dns &) const = default;
};

struct Settings {
  std::string myhostname;  // default: the system's
  std::string mydomain;
  std::string spool = "/var/spool/mansio";
  std::string user;                           // children drop to it when started as root; default "mansio"
  std::string plugin_dir;                     // "" = beside the binary
  std::vector<std::string> mydestination;     // own domains: accepted
  std::vector<std::string> relay_domains;     // accepted, relayed onward
  std::vector<std::string> local_recipients;  // if given, others in mydestination are refused 5.1.1
  std::string postmaster = "postmaster";
  std::string double_bounce_sender = "double-bounce";
  std::vector<std::string> proxy_interfaces;      // further addresses that are "me", for loop detection
  std::uint32_t ingress_processes = 0;            // 0 = one for two cores, 1 to 4
  Nanos stop_timeout = 30 * kSecond;              // SIGTERM to the end
  Nanos drain_timeout = 600 * kSecond;            // a reload to the end of the processes before it
  bool soft_bounce = false;                       // return nothing for good, and [smtpd]'s default
  bool sandbox = true;                            // seccomp and Landlock in the children
  std::uint64_t lookup_cache_size = 16ull << 20;  // of each process, for all tables
  std::string record_directory;                   // of recordings of sessions; "" = "recordings" in the spool
  std::uint64_t record_size_limit = 64ull << 20, record_total_limit = 1ull << 30;  // of a file, and of all
  std::uint64_t record_body_limit = 256ull << 10;                                  // of a message's body

  std::vector<std::string> virtual_alias_domains;  // every address of theirs is an alias
  // Names of tables, each asked in this order.
  std::vector<std::string> mydestination_maps, relay_domain_maps, virtual_alias_domain_maps;
  std::vector<std::string> local_recipient_maps, relay_recipient_maps;
  std::vector<std::string> virtual_alias_maps, relocated_maps, transport_maps, sender_dependent_relayhost_maps;
  std::vector<std::string> sender_bcc_maps, recipient_bcc_maps;
  std::vector<std::string> canonical_maps, sender_canonical_maps, recipient_canonical_maps;
  std::vector<std::string> canonical_classes = {"envelope_sender", "envelope_recipient", "header_sender",
                                                "header_recipient"};
  std::vector<std::string> sender_canonical_classes = {"envelope_sender", "header_sender"};
  std::vector<std::string> recipient_canonical_classes = {"envelope_recipient", "header_recipient"};
  std::string always_bcc;           // "": nobody
  std::string recipient_delimiter;  // each character separates user and extension; "": none does
  std::vector<std::string> propagate_unmatched_extensions = {"canonical", "virtual"};
  std::vector<std::string> parent_domain_matches_subdomains = {"access_maps"};
  std::uint32_t virtual_alias_recursion_limit = 1000;
  std::uint32_t virtual_alias_expansion_limit = 1000;
  std::uint32_t virtual_alias_address_length_limit = 1000;

  // What each [transport.NAME] begins with: of its options those that the top level has too, most of them as "default_"
  // and their name.
  Transport transport_defaults;
  Log log;
  Smtpd smtpd;
  std::vector<Listener> listeners;
  std::vector<Transport> transports;
  std::vector<Lookup> lookups;
  std::vector<Filter> filters, policies;
  std::vector<Event> events;
  std::vector<Rate> rates;
  std::vector<Auth> auths;
  std::vector<Store> stores;
  std::vector<RouteRule> routes;
  std::vector<TenantRule> tenants;
  std::vector<SourceGroup> source_groups;
  std::vector<RateRule> rate_limits;
  std::vector<ResponseRule> responses;
  Queue queue;
  SpoolSettings spool_settings;
  Dns dns;

  // These mailboxes with their domain: `myhostname` where none is given.
  std::string postmaster_address() const;
  std::string double_bounce_address() const;
  const Transport *transport(std::string_view name) const;
  const Lookup *lookup(std::string_view name) const;
  const Filter *filter(std::string_view name) const;
  const Filter *policy(std::string_view name) const;
  const Event *event(std::string_view name) const;
  const Rate *rate(std::string_view name) const;
  const Auth *auth(std::string_view name) const;
  const Store *store(std::string_view name) const;
  const Listener *listener(std::string_view name) const;
  bool asks_exchangers() const;  // limits of some transport go by who takes a domain's mail
  bool records() const;          // sessions of some listener
  bool operator==(const Settings &) const = default;
};

}  // namespace mansio::config
