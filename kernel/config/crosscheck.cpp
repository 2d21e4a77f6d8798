#include "kernel/config/crosscheck.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <span>

#include "kernel/config/rate.hpp"
#include "kernel/config/values.hpp"
#include "kernel/config/weighted.hpp"

namespace mansio::config {
namespace {

// Old and new generation share the 64 slots of the instance's shared memory with queue and control.
constexpr std::size_t kMaxWorkers = 28;

template <class T>
std::vector<std::string_view> names_of(const std::vector<T> &tables) {
  std::vector<std::string_view> names;
  names.reserve(tables.size());
  for (const auto &table : tables) names.push_back(table.name);
  return names;
}

// Of a name that none of `known` is: "smtpp", but there is no [transport.smtpp]; did you mean "smtp"?
std::string none_such(std::string_view kind, std::string_view name, std::span<const std::string_view> known) {
  const auto near = suggestion(name, known);
  return fmt::format("\"{0}\", but there is no [{1}.{0}]{2}", name, kind,
                     near.empty() ? "" : fmt::format("; did you mean \"{}\"?", near));
}

class Checker {
 public:
  Checker(const Settings &settings, const std::string &file, const Places &places, Problems &problems)
      : s_(settings), file_(file), places_(places), problems_(problems) {}

  void check() {
    if (s_.spool.empty()) add("spool", "is empty, expected a directory");
    listeners();
    transports();
    lookups();
    uses_of_tables();
    filters();
    events();
    rates();
    owners();
    owned();
    auths();
    stores();
    routes();
    parties();
    times();
  }

  void check_limits() {
    destinations();
    owners();
    owned();
    parties();
    backoff();
    deferred_transports();
  }

 private:
  // Reported at `key` or, when that is not in the file, at the first of `others` that is.
  void add(const std::string &key, std::string text, std::initializer_list<std::string> others = {}) {
    auto at = places_.find(key);
    for (const auto &other : others) {
      if (at == places_.end()) at = places_.find(other);
    }
    if (at != places_.end()) {
      problems_.add(at->second, key, std::move(text));
    } else {
      problems_.add({file_, 0, key, std::move(text)});
    }
  }

  // `of`: "smtpd" or "listener.NAME". Inherited options are reported in [smtpd] only.
  void smtpd(const std::string &of, const Smtpd &options) {
    const auto own = [&](const char *name) { return of == "smtpd" || places_.contains(of + '.' + name); };
    const auto key = [&](const char *name) { return of + '.' + name; };
    if (own("mynetworks")) {
      for (const auto &network : options.mynetworks) {
        const bool v4 = network.bits >= 96 && to_string(network).front() != '[';
        if (v4 ? network.bits < 96 + 8 : network.bits < 16) {
          add(key("mynetworks"),
              fmt::format("holds {}: that makes this server an open relay for a large part of the Internet; "
                          "expected the networks of your own clients",
                          to_string(network)));
        }
      }
    }
    watched(of, "filters", "filter", options.filters, s_.filters);
    watched(of, "policies", "policy", options.policies, s_.policies);
    if (own("content_filter")) content_filter(key("content_filter"), options.content_filter);
    for (const auto &[option, names] : {std::pair{"filters", &options.filters}, {"policies", &options.policies}})
      if (options.overrides("no_milters") && !names->empty())
        add(key(option), "stands where receive_override_options holds \"no_milters\", expected only one of them",
            {key("receive_override_options"), of});
    authentication(of, options);
    if (own("tls_security_level") || own("tls_cert_file") || own("tls_key_file")) {
      const bool cert = !options.tls_cert_file.empty(), key_file = !options.tls_key_file.empty();
      if (options.tls_security_level != TlsLevel::None && !cert) {
        add(key("tls_security_level"), "asks for TLS, expected tls_cert_file and tls_key_file beside it",
            {key("tls_key_file"), of});
      }
      if (cert != key_file) {
        add(key(cert ? "tls_cert_file" : "tls_key_file"),
            fmt::format("is given without {}, expected both or neither", cert ? "tls_key_file" : "tls_cert_file"),
            {of});
      }
    }
  }

  void content_filter(const std::string &key, const std::string &text) {
    const auto name = text.substr(0, text.find(':'));
    if (!name.empty() && !s_.transport(name))
      add(key, "names " + none_such("transport", name, names_of(s_.transports)));
  }

  void listeners() {
    smtpd("smtpd", s_.smtpd);
    if (s_.listeners.empty()) {
      add("listener", "is missing, expected at least one [listener.NAME] with listen = [\"ADDRESS:PORT\"]");
    }
    std::map<std::string, std::string> taken;
    for (const auto &listener : s_.listeners) {
      const auto name = "listener." + listener.name;
      if (listener.listen.empty() && !places_.contains(name + ".listen")) {
        add(name, "has no listen, expected listen = [\"ADDRESS:PORT\"]");
      } else if (listener.listen.empty()) {
        add(name + ".listen", "holds no valid address, expected at least one such as \"127.0.0.1:25\"");
      }
      for (const auto &address : listener.listen) {
        const auto [other, is_new] = taken.emplace(address, listener.name);
        if (!is_new)
          add(name + ".listen",
              fmt::format("holds {} a second time; listener.{} has it already", address, other->second));
      }
      smtpd(name, listener.smtpd);
      qmqpd(name, listener);
    }
  }

  void qmqpd(const std::string &of, const Listener &listener) {
    if (listener.protocol == "qmqp") {
      if (listener.qmqpd_authorized_clients.empty())
        add(of + ".qmqpd_authorized_clients",
            "names no client, so nobody could use this listener; expected the networks of its clients",
            {of + ".protocol", of});
      for (const auto &[option, names] :
           {std::pair{".filters", &listener.smtpd.filters}, {".policies", &listener.smtpd.policies}})
        if (!names->empty()) add(of + option, "is for SMTP: nobody watches a QMQP session; expected none");
      if (listener.smtpd.record) add(of + ".record", "is for SMTP: nobody watches a QMQP session; expected false");
      return;
    }
    for (const auto *option : {"qmqpd_authorized_clients", "qmqpd_timeout", "qmqpd_error_delay"}) {
      if (const auto key = of + '.' + option; places_.contains(key))
        add(key, "is for QMQP, expected protocol = \"qmqp\" in the same table");
    }
  }

  void transports() {
    for (const auto &transport : s_.transports) {
      const auto table = "transport." + transport.name;
      plugin(table, transport.plugin, "\"transport-smtp\" or another");
    }
    destinations();
    auto workers = s_.ingress_processes + s_.transports.size();
    for (const auto &transport : s_.transports) {
      budget("transport." + transport.name, transport.budget);
      workers += transport.budget.isolation == Isolation::Process;
      if (transport.budget.on_failure == OnFailure::Skip)
        add("transport." + transport.name + ".on_failure",
            "is \"skip\", which a transport cannot; expected \"defer\" or \"hold\"");
    }
    for (const auto &lookup : s_.lookups) workers += lookup.budget.isolation == Isolation::Process;
    for (const auto *filters : {&s_.filters, &s_.policies})
      for (const auto &filter : *filters) workers += filter.budget.isolation == Isolation::Process;
    for (const auto &auth : s_.auths) workers += auth.budget.isolation == Isolation::Process;
    workers += s_.events.size() + s_.rates.size() + s_.stores.size();
    if (workers > kMaxWorkers) {
      add("transport",
          fmt::format("tables and ingress_processes make {} processes, expected at most {}", workers, kMaxWorkers));
    }
  }

  void destinations() {
    for (const auto &transport : s_.transports) {
      const auto table = "transport." + transport.name;
      destination(table, transport);
      for (std::size_t i = 0; i < transport.destinations.size(); ++i) {
        const auto name = fmt::format("{}.destination[{}]", table, i + 1);
        destination(name, transport.destinations[i].limits);
        const auto &rule = transport.destinations[i];
        if (rule.match.empty() && rule.mx.empty())
          add(name, "has no match, expected match = [\"example.com\"] or other destinations",
              {name + ".match", name + ".mx"});
        if (!rule.mx.empty() && transport.destination_key == DestinationKey::Recipient)
          add(name + ".mx", "is for domains, which destination_key = \"recipient\" does not know; expected match alone",
              {name});
      }
    }
  }

  void plugin(const std::string &of, const std::string &given, std::string_view expected) {
    if (given.empty() && !places_.contains(of + ".plugin"))
      add(of, fmt::format("has no plugin, expected plugin = {}", expected));
  }

  // Limits that only a process of its own can have.
  void budget(const std::string &of, const Budget &b) {
    if (b.isolation == Isolation::Process) return;
    const auto needs_process = [&](const char *name, bool given) {
      if (given)
        add(of + '.' + name, "bounds a process of its own; expected isolation = \"process\" beside it",
            {of + ".isolation"});
    };
    needs_process("memory_limit", b.memory_limit != 0);
    needs_process("cpu_limit", b.cpu_limit != 0);
    needs_process("descriptor_limit", b.descriptor_limit != 0);
  }

  void lookups() {
    for (const auto &lookup : s_.lookups) {
      const auto of = "lookup." + lookup.name;
      budget(of, lookup.budget);
      if (lookup.budget.on_failure == OnFailure::Hold)
        add(of + ".on_failure", "is \"hold\", but a table has no message to hold; expected \"defer\" or \"skip\"");
      const int ways = !lookup.plugin.empty() + !lookup.pipemap.empty() + !lookup.unionmap.empty();
      if (ways != 1 && !places_.contains(of + ".plugin"))
        add(of, "needs exactly one of plugin, pipemap and unionmap");
      else if (ways > 1)
        add(of + ".plugin", "stands beside pipemap or unionmap, expected only one of them");
      for (const auto &[key, parts] :
           {std::pair{of + ".pipemap", &lookup.pipemap}, {of + ".unionmap", &lookup.unionmap}})
        names_tables(key, *parts);
      if (ways == 1 && lookup.plugin.empty() && !lookup.options.empty())
        add(of + '.' + lookup.options.begin()->first, "is an option of no combination of tables");
      std::vector<std::string_view> path;
      if (asks_itself(lookup, path)) add(of, fmt::format("asks itself: {}", fmt::join(path, " -> ")));
    }
  }

  void names_tables(const std::string &key, const std::vector<std::string> &names) {
    for (const auto &name : names)
      if (!s_.lookup(name)) add(key, "names " + none_such("lookup", name, names_of(s_.lookups)));
  }

  void filters() {
    for (const auto &[kind, filters] : {std::pair{"filter.", &s_.filters}, {"policy.", &s_.policies}})
      for (const auto &filter : *filters) {
        const auto of = kind + filter.name;
        budget(of, filter.budget);
        plugin(of, filter.plugin, fmt::format("\"{}-NAME\"", std::string_view{kind}.substr(0, 6)));
      }
    queue_policies();
  }

  void queue_policies() {
    watched("queue", "policies", "policy", s_.queue.policies, s_.policies);
    for (const auto &name : s_.queue.policies) {
      const auto *policy = s_.policy(name);
      if (policy && policy->budget.isolation != Isolation::Process)
        add("policy." + name + ".isolation",
            "is \"inproc\", but the processes that ask it for the queue run no policy's code; expected \"process\"",
            {"queue.policies"});
    }
  }

  void events() {
    for (const auto &event : s_.events) {
      const auto of = "event." + event.name;
      plugin(of, event.plugin, "\"event-NAME\"");
      if (event.budget.isolation == Isolation::InProcess)
        add(of + ".isolation",
            "is \"inproc\", but the queue, which tells of events, runs no plugin; expected \"process\"");
      if (event.budget.on_failure != OnFailure::Defer)
        add(of + ".on_failure", "is for plugins that are asked: nothing waits for one that is told; expected none");
    }
  }

  void rates() {
    for (const auto &rate : s_.rates) {
      const auto of = "rate." + rate.name;
      plugin(of, rate.plugin, "\"rate-NAME\"");
      if (rate.budget.isolation != Isolation::Process)
        add(of + ".isolation", "is \"inproc\", but the queue process runs no plugin's code; expected \"process\"");
    }
  }

  void owners() {
    for (const auto &rate : s_.rates) {
      const auto of = "rate." + rate.name;
      if (rate.name == kRateLocal) add(of, "has the name of what is built in, expected another");
      if (rate.budget.on_failure == OnFailure::Hold)
        add(of + ".on_failure", "is \"hold\", but a rate has no message to hold; expected \"defer\" or \"skip\"");
    }
  }

  // What has an owner.
  void owned() {
    for (const auto &transport : s_.transports) {
      const auto of = "transport." + transport.name;
      names_rate(of + ".transport_rate_plugin", transport.transport_rate_plugin, of + ".transport_rate_limit",
                 transport.transport_rate_limit);
      names_rate(of + ".destination_rate_plugin", transport.destination_rate_plugin, of + ".destination_rate_limit",
                 transport.destination_rate_limit);
      names_places(of + ".process_limit_plugin", transport.process_limit_plugin, of + ".process_limit",
                   transport.process_limit > 0);
      names_places(of + ".transport_rate_delay_plugin", transport.transport_rate_delay_plugin,
                   of + ".transport_rate_delay", transport.transport_rate_delay > 0);
      names_places(of + ".destination_concurrency_plugin", transport.destination_concurrency_plugin,
                   of + ".destination_concurrency_limit", transport.destination_concurrency_limit > 0);
      names_places(of + ".destination_rate_delay_plugin", transport.destination_rate_delay_plugin,
                   of + ".destination_rate_delay", transport.destination_rate_delay > 0);
      for (std::size_t i = 0; i < transport.destinations.size(); ++i) {
        const auto rule = fmt::format("{}.destination[{}]", of, i + 1);
        const auto &limits = transport.destinations[i].limits;
        if (places_.contains(rule + ".destination_rate_plugin"))
          names_rate(rule + ".destination_rate_plugin", limits.destination_rate_plugin,
                     rule + ".destination_rate_limit", limits.destination_rate_limit);
        if (places_.contains(rule + ".destination_concurrency_plugin"))
          names_places(rule + ".destination_concurrency_plugin", limits.destination_concurrency_plugin,
                       rule + ".destination_concurrency_limit", limits.destination_concurrency_limit > 0);
        if (places_.contains(rule + ".destination_rate_delay_plugin"))
          names_places(rule + ".destination_rate_delay_plugin", limits.destination_rate_delay_plugin,
                       rule + ".destination_rate_delay", limits.destination_rate_delay > 0);
      }
    }
    for (std::size_t i = 0; i < s_.rate_limits.size(); ++i) {
      const auto &rule = s_.rate_limits[i];
      const auto of = fmt::format("rate_limit[{}]", i + 1);
      names_rate(of + ".plugin", rule.plugin, of + ".rate", rule.rate);
    }
  }

  // A limit that a plugin is to keep has a value, as configured here, that it is told.
  void names_rate(const std::string &key, const std::string &name, const std::string &limit_key,
                  const std::string &limit) {
    if (name == kRateLocal) return;
    if (limit.empty() && !places_.contains(limit_key))
      add(key, fmt::format("stands without {}, expected the rate that is to be kept",
                           limit_key.substr(limit_key.rfind('.') + 1)));
    is_rate(key, name);
  }

  // The same of deliveries at once and of delays; a rule's are the transport's where it says nothing.
  void names_places(const std::string &key, const std::string &name, const std::string &limit_key, bool limited) {
    if (name == kRateLocal) return;
    if (!limited)
      add(key, fmt::format("stands without {}, expected the limit that is to be kept",
                           limit_key.substr(limit_key.rfind('.') + 1)));
    is_rate(key, name);
  }

  void is_rate(const std::string &key, const std::string &name) {
    if (s_.rate(name)) return;
    auto known = names_of(s_.rates);
    known.insert(known.begin(), kRateLocal);
    add(key, "names " + none_such("rate", name, known));
  }

  void auths() {
    for (const auto &auth : s_.auths) {
      const auto of = "auth." + auth.name;
      budget(of, auth.budget);
      plugin(of, auth.plugin, "\"auth-NAME\"");
      if (auth.budget.on_failure != OnFailure::Defer)
        add(of + ".on_failure", "is not \"defer\", but nobody is let in because a plugin failed; expected \"defer\"");
    }
  }

  void stores() {
    for (const auto &store : s_.stores) {
      const auto of = "store." + store.name;
      plugin(of, store.plugin, "\"store-NAME\"");
      if (store.budget.isolation != Isolation::Process)
        add(of + ".isolation",
            "is \"inproc\", but the processes that accept and deliver mail depend on no store; expected \"process\"");
      if (store.budget.on_failure != OnFailure::Defer)
        add(of + ".on_failure",
            "is not \"defer\", but mail of which there is no second copy is not accepted; expected \"defer\"");
    }
  }

  // `of`: "smtpd" or "listener.NAME". Whether a listener is in order does not depend on what of it is inherited: in a
  // snapshot nothing is.
  void authentication(const std::string &of, const Smtpd &options) {
    const auto given = [&](const char *name) { return places_.contains(of + '.' + name); };
    if (given("auth") && !options.auth.empty() && !s_.auth(options.auth))
      add(of + ".auth", "names " + none_such("auth", options.auth, names_of(s_.auths)));
    if (of == "smtpd") return;
    if (options.sasl_auth_required && !options.sasl_auth_enable)
      add(of + ".sasl_auth_required", "demands AUTH, which is not offered; expected sasl_auth_enable = true beside it",
          {of + ".sasl_auth_enable", "smtpd.sasl_auth_required"});
    if (!options.sasl_auth_enable) return;
    if (options.auth.empty())
      add(of + ".sasl_auth_enable", "offers AUTH with nobody to ask, expected auth = \"NAME\" and a table [auth.NAME]",
          {of + ".auth", "smtpd.sasl_auth_enable"});
    if (options.tls_auth_only && options.tls_security_level == TlsLevel::None)
      add(of + ".sasl_auth_enable",
          "offers AUTH after STARTTLS, which is not offered; expected tls_security_level and a certificate, or "
          "tls_auth_only = false",
          {of + ".auth", "smtpd.sasl_auth_enable"});
  }

  // `of`: "smtpd", "listener.NAME" or "queue".
  void watched(const std::string &of, const char *option, const char *table, const std::vector<std::string> &names,
               const std::vector<Filter> &known) {
    const auto key = of + '.' + option;
    if (!places_.contains(key)) return;
    const auto all = names_of(known);
    for (std::size_t i = 0; i < names.size(); ++i) {
      if (std::find(names.begin(), names.begin() + static_cast<std::ptrdiff_t>(i), names[i]) !=
          names.begin() + static_cast<std::ptrdiff_t>(i))
        add(key, fmt::format("names \"{}\" a second time, expected each once", names[i]));
      if (std::find(all.begin(), all.end(), names[i]) == all.end())
        add(key, "names " + none_such(table, names[i], all));
    }
  }

  void uses_of_tables() {
    names_tables("mydestination_maps", s_.mydestination_maps);
    names_tables("relay_domain_maps", s_.relay_domain_maps);
    names_tables("virtual_alias_domain_maps", s_.virtual_alias_domain_maps);
    names_tables("local_recipient_maps", s_.local_recipient_maps);
    names_tables("relay_recipient_maps", s_.relay_recipient_maps);
    names_tables("virtual_alias_maps", s_.virtual_alias_maps);
    names_tables("relocated_maps", s_.relocated_maps);
    names_tables("transport_maps", s_.transport_maps);
    names_tables("sender_dependent_relayhost_maps", s_.sender_dependent_relayhost_maps);
    names_tables("sender_bcc_maps", s_.sender_bcc_maps);
    names_tables("recipient_bcc_maps", s_.recipient_bcc_maps);
    names_tables("canonical_maps", s_.canonical_maps);
    names_tables("sender_canonical_maps", s_.sender_canonical_maps);
    names_tables("recipient_canonical_maps", s_.recipient_canonical_maps);
    for (const auto &transport : s_.transports)
      names_tables("transport." + transport.name + ".smtp_generic_maps", transport.smtp_generic_maps);
    access_tables("smtpd", s_.smtpd);
    for (const auto &listener : s_.listeners) access_tables("listener." + listener.name, listener.smtpd);

    if (s_.virtual_alias_maps.empty() && !(s_.virtual_alias_domains.empty() && s_.virtual_alias_domain_maps.empty()))
      add("virtual_alias_domains",
          "means that every address there is an alias, expected virtual_alias_maps with the aliases",
          {"virtual_alias_domain_maps"});
    for (const auto &domain : s_.virtual_alias_domains)
      for (const auto *others : {&s_.mydestination, &s_.relay_domains})
        if (std::find(others->begin(), others->end(), domain) != others->end())
          add("virtual_alias_domains",
              fmt::format("holds {}, which is in {} as well; expected each domain in one of them", domain,
                          others == &s_.mydestination ? "mydestination" : "relay_domains"));
  }

  // Inherited names are reported in [smtpd] only.
  void access_tables(const std::string &of, const Smtpd &smtpd) {
    const auto check = [&](const char *name, const std::vector<std::string> &tables) {
      if (of == "smtpd" || places_.contains(of + '.' + name)) names_tables(of + '.' + name, tables);
    };
    check("client_access_maps", smtpd.client_access_maps);
    check("helo_access_maps", smtpd.helo_access_maps);
    check("sender_access_maps", smtpd.sender_access_maps);
    check("recipient_access_maps", smtpd.recipient_access_maps);
    check("sender_login_maps", smtpd.sender_login_maps);
  }

  bool asks_itself(const Lookup &lookup, std::vector<std::string_view> &path) const {
    if (!path.empty() && path.front() == lookup.name) {
      path.push_back(lookup.name);
      return true;
    }
    if (std::find(path.begin(), path.end(), lookup.name) != path.end()) return false;  // a circle of others
    path.push_back(lookup.name);
    for (const auto *parts : {&lookup.pipemap, &lookup.unionmap})
      for (const auto &part : *parts)
        if (const auto *next = s_.lookup(part); next && asks_itself(*next, path)) return true;
    path.pop_back();
    return false;
  }

  void destination(const std::string &of, const DestinationLimits &limits) {
    // The shorter the time for one, the higher the rate.
    const auto least = parse_rate(limits.adaptive_rate_minimum), most = parse_rate(limits.adaptive_rate_maximum);
    if (least && most && *most > *least)
      add(of + ".adaptive_rate_maximum",
          fmt::format("is {}, expected at least adaptive_rate_minimum, {}", limits.adaptive_rate_maximum,
                      limits.adaptive_rate_minimum),
          {of + ".adaptive_rate_minimum", of});
    if (limits.destination_concurrency_limit == 0 ||
        limits.initial_destination_concurrency <= limits.destination_concurrency_limit)
      return;
    add(of + ".initial_destination_concurrency",
        fmt::format("is {}, expected at most destination_concurrency_limit, {}", limits.initial_destination_concurrency,
                    limits.destination_concurrency_limit),
        {of});
  }

  void routes() {
    if (s_.routes.empty()) {
      add("route", "is missing, expected at least [[route]] with transport = \"NAME\", by which all mail goes");
      return;
    }
    const auto names = names_of(s_.transports);
    const RouteRule *catch_all = nullptr;
    for (std::size_t i = 0; i < s_.routes.size(); ++i) {
      const auto &rule = s_.routes[i];
      const auto name = fmt::format("route[{}]", i + 1);
      if (catch_all)
        add(name, "is never reached: the route at " + catch_all->where + " takes everything, expected that one last");
      bool conditional = condition(name, "recipient", rule.recipient);
      conditional = condition(name, "domain", rule.domain) || conditional;
      conditional = condition(name, "sender", rule.sender) || conditional;
      if (!conditional && !catch_all) catch_all = &rule;
      if (!rule.error.empty() && !rule.transport.empty()) {
        add(name + ".error", "stands beside transport, expected only one of them");
      } else if (!places_.contains(name + ".error") && !places_.contains(name + ".transport")) {
        add(name, "says neither transport nor error, expected transport = \"NAME\"");
      }
      if (!rule.error.empty() && !rule.nexthop.empty())
        add(name + ".nexthop", "stands beside error, expected only one of them");
      if (!rule.transport.empty() && !s_.transport(rule.transport))
        add(name + ".transport", "is " + none_such("transport", rule.transport, names));
    }
    if (!catch_all) {
      add("route",
          "has no default: mail that no route matches has no way; expected a last [[route]] without recipient, domain "
          "and sender");
    }
  }

  void parties() {
    for (std::size_t i = 0; i < s_.tenants.size(); ++i) {
      const auto name = fmt::format("tenant[{}]", i + 1);
      if (!places_.contains(name + ".name")) add(name, "has no name, expected name = \"TENANT\"");
      for (std::size_t k = 0; k < i; ++k)
        if (s_.tenants[k].name == s_.tenants[i].name)
          add(name + ".name", fmt::format("is \"{}\" a second time, expected each tenant once", s_.tenants[i].name));
    }
    for (std::size_t i = 0; i < s_.rate_limits.size(); ++i) {
      const auto name = fmt::format("rate_limit[{}]", i + 1);
      const auto &rule = s_.rate_limits[i];
      const bool pair = rule.key == RateKey::SourcePoolDestination;
      if (!places_.contains(name + ".key")) add(name, "has no key");
      if (!places_.contains(name + ".rate") && !(pair && rule.concurrency > 0))
        add(name, pair ? "has neither rate nor concurrency, expected one of them" : "has no rate");
      if (!pair && (places_.contains(name + ".destination") || rule.concurrency > 0))
        add(name, "has a destination or concurrency, expected these with key = \"source_pool_destination\" only");
      condition(name, "match", rule.match);
      condition(name, "destination", rule.destination);
      if (rule.warm_up.empty() != rule.warm_up_from.empty())
        add(name, "has one of warm_up and warm_up_from without the other, expected both or neither");
      if (pair || rule.key == RateKey::SourcePool)
        for (const auto &group : s_.source_groups)
          if (std::find(rule.match.begin(), rule.match.end(), group.name) != rule.match.end())
            add(name + ".match", fmt::format("holds \"{}\", which is a [[source_group]], expected the names of pools: "
                                             "a group has no limits of its own",
                                             group.name));
    }
    source_groups();
    for (std::size_t i = 0; i < s_.responses.size(); ++i) {
      const auto name = fmt::format("response[{}]", i + 1);
      const auto &r = s_.responses[i];
      bool any = condition(name, "destination", r.destination);
      any = condition(name, "code", r.code) || any;
      if (!any && r.pattern.empty()) add(name, "matches every reply, expected code, pattern or destination");
      if ((r.action == ResponseAction::Pool) != !r.pool.empty())
        add(name, "has action \"pool\" or a pool without the other, expected both or neither");
    }
  }

  void source_groups() {
    for (std::size_t i = 0; i < s_.source_groups.size(); ++i) {
      const auto name = fmt::format("source_group[{}]", i + 1);
      const auto &group = s_.source_groups[i];
      if (group.name.empty()) add(name, "has no name, expected name = \"GROUP\"");
      if (group.pools.empty()) add(name, "has no pools, expected pools = [\"NAME=WEIGHT\", ...]");
      for (std::size_t k = 0; k < i; ++k)
        if (s_.source_groups[k].name == group.name)
          add(name + ".name", fmt::format("is \"{}\" a second time, expected each group once", group.name));
      std::set<std::string> pools;
      for (const auto &text : group.pools) {
        const auto pool = parse_weighted(text).value_or(Weighted{}).name;
        if (!pools.insert(pool).second)
          add(name + ".pools", fmt::format("holds \"{}\" a second time, expected each pool once", pool));
        for (const auto &other : s_.source_groups)
          if (other.name == pool)
            add(name + ".pools", fmt::format("holds \"{}\", which is a group itself, expected pools", pool));
      }
    }
  }

  // An empty list would match everything, which is hardly what it was written for.
  bool condition(const std::string &route, const char *name, const std::vector<std::string> &values) {
    if (!values.empty()) return true;
    const auto key = route + '.' + name;
    if (!places_.contains(key)) return false;
    add(key, "is empty, expected at least one element (leave it out to match all)");
    return true;
  }

  void times() {
    backoff();
    deferred_transports();
    if (s_.record_size_limit > s_.record_total_limit)
      add("record_size_limit", "is larger than record_total_limit, expected at most that", {"record_total_limit"});
    if (s_.dns.min_ttl > s_.dns.max_ttl)
      add("dns.min_ttl", "is longer than max_ttl, expected at most that", {"dns.max_ttl"});
  }

  void backoff() {
    if (s_.queue.minimal_backoff_time > s_.queue.maximal_backoff_time) {
      add("queue.minimal_backoff_time", "is longer than maximal_backoff_time, expected at most that",
          {"queue.maximal_backoff_time"});
    }
  }

  void deferred_transports() {
    for (const auto &name : s_.queue.defer_transports)
      if (!s_.transport(name))
        add("queue.defer_transports", fmt::format("holds \"{0}\", but there is no [transport.{0}]", name));
  }

  const Settings &s_;
  const std::string &file_;
  const Places &places_;
  Problems &problems_;
};

}  // namespace

void crosscheck(const Settings &settings, const std::string &file, const Places &places, Problems &problems) {
  Checker{settings, file, places, problems}.check();
}

void crosscheck_limits(const Settings &settings, const std::string &file, const Places &places, Problems &problems) {
  Checker{settings, file, places, problems}.check_limits();
}

}  // namespace mansio::config
