#include "kernel/config/read.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <iterator>

#include "kernel/config/include.hpp"
#include "kernel/config/options.hpp"
#include "kernel/config/read_value.hpp"
#include "kernel/config/values.hpp"
#include "kernel/mail/address.hpp"

namespace mansio::config {
namespace {

constexpr std::string_view kTables[] = {
    "include", "log",   "smtpd", "listener", "transport", "lookup", "filter", "policy",     "event",    "rate",
    "auth",    "store", "route", "queue",    "segments",  "dns",    "tenant", "rate_limit", "response", "source_group"};
constexpr std::string_view kFileSuffix = "_file";
constexpr std::string_view kDestinations = "destination";  // in a transport's table

// Where an option of this name stands, also under the name that Postfix has for it at its one level: "log_format" is
// format in [log], "smtpd_banner" is banner in [smtpd]. Empty if there is none.
std::string home_of(std::string_view name) {
  std::string found;
  const auto look = [&](std::string_view table, auto options, std::string_view shown = {}) {
    auto bare = name;
    if (bare.starts_with(table) && bare.substr(table.size()).starts_with('_')) bare.remove_prefix(table.size() + 1);
    for (const auto &option : options) {
      if (found.empty() && (option.name == name || option.name == bare))
        found = table.empty() ? fmt::format("it as {} at top level", option.name)
                              : fmt::format("it as {} in [{}]", option.name, shown.empty() ? table : shown);
    }
  };
  look("", top_level_options());
  look("log", log_options());
  look("smtpd", smtpd_options());
  look("queue", queue_options());
  look("segments", segment_options());
  look("dns", dns_options());
  look("transport", transport_options(), "transport.NAME");
  look("lookup", lookup_options(), "lookup.NAME");
  look("filter", filter_options(), "filter.NAME] and [policy.NAME");
  look("event", event_options(), "event.NAME");
  look("rate", rate_options(), "rate.NAME");
  look("auth", auth_options(), "auth.NAME");
  look("store", store_options(), "store.NAME");
  look("transport", destination_options(), "transport.NAME");
  look("listener", listener_options(), "listener.NAME");
  return found;
}

class Reader {
 public:
  Reader(const TomlTable &root, Source source, Files &files, Problems &problems, Places &places)
      : root_(root),
        snapshot_(source == Source::Snapshot),
        values_(files, problems),
        problems_(problems),
        places_(places) {}

  Settings read() {
    Settings s = default_settings();
    rows(root_, "", top_level_options(), s, kTables);
    s.mydomain = given("mydomain") ? s.mydomain : domain_of(s.myhostname);
    rows_of("log", log_options(), s.log);
    s.smtpd.soft_bounce = s.soft_bounce;
    rows_of("smtpd", smtpd_options(), s.smtpd);
    follow_mynetworks(s.smtpd);
    rows_of("queue", queue_options(), s.queue);
    rows_of("segments", segment_options(), s.spool_settings);
    rows_of("dns", dns_options(), s.dns);
    for_each_table("listener",
                   [&](const TomlEntry &entry, const TomlTable &table) { read_listener(s, entry.key, table); });
    for_each_table("transport",
                   [&](const TomlEntry &entry, const TomlTable &table) { read_transport(s, entry.key, table); });
    read_instances("lookup", lookup_options(), s.lookups);
    for (auto &lookup : s.lookups) follow_type(lookup);
    read_instances("filter", filter_options(), s.filters);
    read_instances("policy", filter_options(), s.policies);
    read_instances("event", event_options(), s.events);
    read_instances("rate", rate_options(), s.rates);
    read_instances("auth", auth_options(), s.auths);
    read_instances("store", store_options(), s.stores);
    read_routes(s);
    read_list("tenant", tenant_options(), s.tenants);
    read_list("source_group", source_group_options(), s.source_groups);
    read_list("rate_limit", rate_limit_options(), s.rate_limits);
    read_list("response", response_options(), s.responses);
    return s;
  }

 private:
  bool given(std::string_view key) const { return places_.contains(key); }

  static std::string domain_of(const std::string &hostname) {
    const auto dot = hostname.find('.');
    return dot == hostname.npos ? hostname : hostname.substr(dot + 1);
  }

  static void follow_mynetworks(Smtpd &smtpd) {
    if (!smtpd.client_event_limit_exceptions_given) smtpd.client_event_limit_exceptions = smtpd.mynetworks;
  }

  // Takes `entry` if it is an option of `options` (or an option's NAME_file) and sets it in `to`.
  template <class T>
  bool take(const TomlTable &table, const TomlEntry &entry, const std::string &prefix,
            std::span<const Option<T>> options, T &to) {
    const auto by_name = [&](std::string_view name) {
      return std::find_if(options.begin(), options.end(), [&](const Option<T> &o) { return o.name == name; });
    };
    const auto key = prefix + entry.key;
    if (const auto option = by_name(entry.key); option != options.end()) {
      places_.emplace(key, entry.place);
      if (auto value = values_.read(entry.value, key, option->form)) option->set(to, std::move(*value));
      return true;
    }
    if (!entry.key.ends_with(kFileSuffix)) return false;
    const auto name = entry.key.substr(0, entry.key.size() - kFileSuffix.size());
    const auto option = by_name(name);
    if (option == options.end() || option->form.type != OptionType::Text) return false;
    if (const auto *other = find(table, name)) {
      problems_.add(
          entry.place, key,
          fmt::format("stands beside {}{} at {}, expected only one of them", prefix, name, to_string(other->place)));
      return true;
    }
    places_.emplace(prefix + name, entry.place);
    if (auto value = values_.read_file(entry.value, key, option->form)) option->set(to, std::move(*value));
    return true;
  }

  template <class T>
  void rows(const TomlTable &table, const std::string &prefix, std::span<const Option<T>> options, T &to,
            std::span<const std::string_view> others = {}) {
    for (const auto &entry : table) {
      if (take(table, entry, prefix, options, to)) continue;
      if (std::find(others.begin(), others.end(), entry.key) != others.end() && entry.key != "include") continue;
      std::vector<std::string_view> names{others.begin(), others.end()};
      for (const auto &option : options) names.push_back(option.name);
      unknown(entry, prefix, names);
    }
  }

  void unknown(const TomlEntry &entry, const std::string &prefix, std::span<const std::string_view> names) {
    if (prefix.empty() && entry.key == "include") {
      problems_.add(entry.place, "include", "is not possible here");
      return;
    }
    const auto where =
        prefix.empty() ? std::string{"at top level"} : fmt::format("in [{}]", prefix.substr(0, prefix.size() - 1));
    auto text = fmt::format("is not an option {}", where);
    if (const auto elsewhere = home_of(entry.key); !elsewhere.empty()) {
      text += "; expected " + elsewhere;
    } else if (const auto near = suggestion(entry.key, names); !near.empty()) {
      text += fmt::format("; did you mean {}?", near);
    } else {
      text += ", expected one of ";
      for (std::size_t i = 0; i < names.size(); ++i) text += fmt::format("{}{}", i > 0 ? ", " : "", names[i]);
    }
    problems_.add(entry.place, prefix + entry.key, std::move(text));
  }

  template <class T>
  void rows_of(const std::string &name, std::span<const Option<T>> options, T &to) {
    if (const auto *table = table_named(name)) rows(*table, name + '.', options, to);
  }

  const TomlTable *table_named(const std::string &name) {
    const auto *entry = find(root_, name);
    if (!entry) return nullptr;
    const auto *table = entry->value.as<TomlTable>();
    if (!table)
      problems_.add(entry->place, name, fmt::format("is {}, expected a table [{}]", entry->value.kind(), name));
    return table;
  }

  template <class F>
  void for_each_table(const std::string &name, F f) {
    const auto *all = table_named(name);
    if (!all) return;
    for (const auto &entry : *all) {
      const auto key = name + '.' + entry.key;
      places_.emplace(key, entry.place);
      if (!is_table_name(entry.key)) {
        problems_.add(entry.place, key, "is no name, expected at most 32 letters, digits, '-' and '_'");
      }
      if (const auto *table = entry.value.as<TomlTable>()) {
        f(entry, *table);
      } else {
        problems_.add(entry.place, key, fmt::format("is {}, expected a table [{}.NAME]", entry.value.kind(), name));
      }
    }
  }

  void read_listener(Settings &s, const std::string &name, const TomlTable &table) {
    Listener listener;
    listener.name = name;
    listener.smtpd = s.smtpd;
    const auto prefix = "listener." + name + '.';
    for (const auto &entry : table) {
      if (take(table, entry, prefix, listener_options(), listener)) continue;
      if (take(table, entry, prefix, smtpd_options(), listener.smtpd)) continue;
      std::vector<std::string_view> names;
      for (const auto &option : listener_options()) names.push_back(option.name);
      for (const auto &option : smtpd_options()) names.push_back(option.name);
      unknown(entry, prefix, names);
    }
    follow_mynetworks(listener.smtpd);
    if (listener.protocol == "qmqp" || listener.smtpd.overrides("no_milters")) {  // whose sessions nobody watches
      if (!given(prefix + "filters")) listener.smtpd.filters.clear();
      if (!given(prefix + "policies")) listener.smtpd.policies.clear();
    }
    if (listener.protocol == "qmqp") {  // nor does anybody authenticate in one
      if (!given(prefix + "sasl_auth_enable")) listener.smtpd.sasl_auth_enable = false;
      if (!given(prefix + "sasl_auth_required")) listener.smtpd.sasl_auth_required = false;
      if (!given(prefix + "record")) listener.smtpd.record = false;
    }
    s.listeners.push_back(std::move(listener));
  }

  void read_transport(Settings &s, const std::string &name, const TomlTable &table) {
    auto transport = s.transport_defaults;
    transport.name = name;
    const auto prefix = "transport." + name + '.';
    DestinationLimits &limits = transport;
    for (const auto &entry : table) {
      if (take(table, entry, prefix, transport_options(), transport)) continue;
      if (take(table, entry, prefix, budget_options(), transport.budget)) continue;
      if (take(table, entry, prefix, destination_options(), limits)) continue;
      if (entry.key == kDestinations) continue;
      plugin_option(transport.options, entry, prefix);
    }
    follow_plugin(prefix, transport);
    follow_limit(prefix, limits);
    if (const auto *entry = find(table, kDestinations)) read_destinations(transport, prefix, *entry);
    s.transports.push_back(std::move(transport));
  }

  // Tables [KIND.NAME], of plugins.
  template <class T>
  void read_instances(const std::string &kind, std::span<const Option<T>> options, std::vector<T> &to) {
    for_each_table(kind, [&](const TomlEntry &named, const TomlTable &table) {
      auto &instance = to.emplace_back();
      instance.name = named.key;
      const auto prefix = kind + '.' + named.key + '.';
      for (const auto &entry : table) {
        if (take(table, entry, prefix, options, instance)) continue;
        if (take(table, entry, prefix, budget_options(), instance.budget)) continue;
        plugin_option(instance.options, entry, prefix);
      }
    });
  }

  void follow_type(Lookup &lookup) const {
    if (!given("lookup." + lookup.name + ".partial_keys") && has_patterns(lookup)) lookup.partial_keys = false;
  }

  // By the name that plugins with several kinds of tables give this option.
  static bool has_patterns(const Lookup &lookup) {
    const auto type = lookup.options.find("type");
    return type != lookup.options.end() &&
           (type->second == "cidr" || type->second == "regexp" || type->second == "pcre");
  }

  // What the kernel does not know is the plugin's to judge.
  void plugin_option(std::map<std::string, std::string> &to, const TomlEntry &entry, const std::string &prefix) {
    const auto key = prefix + entry.key;
    places_.emplace(key, entry.place);
    if (auto text = values_.plugin_text(entry.value, key)) to.emplace(entry.key, std::move(*text));
  }

  // Mailboxes are each by itself, and take little at once (Postfix: local_destination_concurrency_limit, which does not
  // follow default_destination_concurrency_limit either).
  void follow_plugin(const std::string &prefix, Transport &transport) const {
    if (std::find(std::begin(kMailboxPlugins), std::end(kMailboxPlugins), transport.plugin) ==
        std::end(kMailboxPlugins))
      return;
    if (!given(prefix + "destination_key")) transport.destination_key = DestinationKey::Recipient;
    if (transport.destination_key == DestinationKey::Recipient && !given(prefix + "destination_concurrency_limit"))
      transport.destination_concurrency_limit = kMailboxConcurrency;
  }

  // The default follows a lower limit; a value that someone wrote is checked against it instead.
  void follow_limit(const std::string &prefix, DestinationLimits &limits) const {
    if (given(prefix + "initial_destination_concurrency") || limits.destination_concurrency_limit == 0) return;
    limits.initial_destination_concurrency =
        std::min(limits.initial_destination_concurrency, limits.destination_concurrency_limit);
  }

  void read_destinations(Transport &transport, const std::string &of, const TomlEntry &entry) {
    const auto *list = entry.value.as<TomlList>();
    const auto table_name = of + std::string{kDestinations};
    if (!list) {
      problems_.add(entry.place, table_name,
                    fmt::format("is {}, expected tables [[{}]]", entry.value.kind(), table_name));
      return;
    }
    std::size_t number = 0;
    for (const auto &value : *list) {
      const auto name = fmt::format("{}[{}]", table_name, ++number);
      const auto *table = value.as<TomlTable>();
      if (!table) {
        problems_.add(value.place, name, fmt::format("is {}, expected a table [[{}]]", value.kind(), table_name));
        continue;
      }
      DestinationRule rule;
      rule.limits = transport;
      const auto prefix = name + '.';
      places_.emplace(name, value.place);
      for (const auto &row : *table) {
        if (take(*table, row, prefix, destination_rule_options(), rule)) continue;
        if (take(*table, row, prefix, destination_options(), rule.limits)) continue;
        std::vector<std::string_view> names;
        for (const auto &option : destination_rule_options()) names.push_back(option.name);
        for (const auto &option : destination_options()) names.push_back(option.name);
        unknown(row, prefix, names);
      }
      follow_limit(prefix, rule.limits);
      transport.destinations.push_back(std::move(rule));
    }
  }

  // Tables [[NAME]].
  template <class T>
  void read_list(const std::string &name, std::span<const Option<T>> options, std::vector<T> &to) {
    const auto *entry = find(root_, name);
    if (!entry) return;
    const auto *list = entry->value.as<TomlList>();
    if (!list) {
      problems_.add(entry->place, name, fmt::format("is {}, expected tables [[{}]]", entry->value.kind(), name));
      return;
    }
    std::size_t number = 0;
    for (const auto &value : *list) {
      const auto prefix = fmt::format("{}[{}].", name, ++number);
      if (const auto *table = value.as<TomlTable>()) {
        places_.emplace(prefix.substr(0, prefix.size() - 1), value.place);
        rows(*table, prefix, options, to.emplace_back());
      } else {
        problems_.add(value.place, name, fmt::format("is {}, expected a table [[{}]]", value.kind(), name));
      }
    }
  }

  void read_routes(Settings &s) {
    const auto *entry = find(root_, "route");
    if (!entry) return;
    const auto *list = entry->value.as<TomlList>();
    if (!list) {
      problems_.add(entry->place, "route", fmt::format("is {}, expected tables [[route]]", entry->value.kind()));
      return;
    }
    std::size_t number = 0;
    for (const auto &value : *list) {
      const auto prefix = fmt::format("route[{}].", ++number);
      const auto *table = value.as<TomlTable>();
      if (!table) {
        problems_.add(value.place, "route", fmt::format("is {}, expected a table [[route]]", value.kind()));
        continue;
      }
      RouteRule rule;
      rule.where = to_string(value.place);
      places_.emplace(prefix.substr(0, prefix.size() - 1), value.place);
      TomlTable options = *table;
      if (const auto *where = find(*table, "where"); where && snapshot_ && where->value.as<std::string>()) {
        rule.where = *where->value.as<std::string>();
        std::erase_if(options, [](const TomlEntry &e) { return e.key == "where"; });
      }
      rows(options, prefix, route_options(), rule);
      s.routes.push_back(std::move(rule));
    }
  }

  const TomlTable &root_;
  bool snapshot_;
  ValueReader values_;
  Problems &problems_;
  Places &places_;
};

}  // namespace

Settings default_settings() {
  Settings s;
  char name[256] = "";
  ::gethostname(name, sizeof name - 1);
  s.myhostname = ascii_domain(name).value_or("localhost");
  s.user = "mansio";
  s.smtpd.mynetworks = {*parse_network("127.0.0.0/8"), *parse_network("::1")};
  return s;
}

Settings read_settings(const TomlTable &root, Source source, Files &files, Problems &problems, Places &places) {
  return Reader{root, source, files, problems, places}.read();
}

}  // namespace mansio::config
