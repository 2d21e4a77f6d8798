#include "kernel/config/snapshot.hpp"

#include "kernel/config/options.hpp"
#include "kernel/config/values.hpp"

namespace mansio::config {
namespace {

template <class T>
void rows(std::string &out, std::span<const Option<T>> options, const T &from) {
  for (const auto &option : options) {
    if (option.given && !option.given(from)) continue;
    out += option.name;
    out += " = ";
    out += print_datum(option.form, option.get(from));
    out += '\n';
  }
}

void header(std::string &out, std::string_view name) {
  out += '[';
  out += name;
  out += "]\n";
}

// "" is how a route or transport says that an option was not given; their grammars refuse it.
template <class T>
void given_rows(std::string &out, std::span<const Option<T>> options, const T &from) {
  for (const auto &option : options) {
    const auto value = option.get(from);
    const auto *text = std::get_if<std::string>(&value);
    const auto *list = std::get_if<std::vector<std::string>>(&value);
    if ((text && text->empty()) || (list && list->empty())) continue;
    out += option.name;
    out += " = ";
    out += print_datum(option.form, value);
    out += '\n';
  }
}

void plugin_rows(std::string &out, const std::map<std::string, std::string> &options) {
  for (const auto &[name, value] : options) out += toml_string(name) + " = " + toml_string(value) + '\n';
}

// Tables [KIND.NAME], of plugins.
template <class T>
void instances(std::string &out, const std::string &kind, std::span<const Option<T>> options,
               const std::vector<T> &all) {
  for (const auto &instance : all) {
    header(out, kind + toml_string(instance.name));
    given_rows(out, options, instance);
    rows(out, budget_options(), instance.budget);
    plugin_rows(out, instance.options);
  }
}

}  // namespace

std::string write_snapshot(const Settings &s) {
  std::string out;
  rows(out, top_level_options(), s);
  header(out, "log");
  rows(out, log_options(), s.log);
  header(out, "smtpd");
  rows(out, smtpd_options(), s.smtpd);
  header(out, "queue");
  rows(out, queue_options(), s.queue);
  header(out, "segments");
  rows(out, segment_options(), s.spool_settings);
  header(out, "dns");
  rows(out, dns_options(), s.dns);
  for (const auto &listener : s.listeners) {
    header(out, "listener." + toml_string(listener.name));
    rows(out, listener_options(), listener);
    rows(out, smtpd_options(), listener.smtpd);
  }
  for (const auto &transport : s.transports) {
    header(out, "transport." + toml_string(transport.name));
    given_rows(out, transport_options(), transport);
    rows(out, budget_options(), transport.budget);
    given_rows<DestinationLimits>(out, destination_options(), transport);
    plugin_rows(out, transport.options);
    for (const auto &rule : transport.destinations) {
      out += "[[transport." + toml_string(transport.name) + ".destination]]\n";
      given_rows(out, destination_rule_options(), rule);
      given_rows(out, destination_options(), rule.limits);
    }
  }
  instances(out, "lookup.", lookup_options(), s.lookups);
  instances(out, "filter.", filter_options(), s.filters);
  instances(out, "policy.", filter_options(), s.policies);
  instances(out, "event.", event_options(), s.events);
  instances(out, "rate.", rate_options(), s.rates);
  instances(out, "auth.", auth_options(), s.auths);
  instances(out, "store.", store_options(), s.stores);
  for (const auto &rule : s.routes) {
    out += "[[route]]\n";
    out += "where = " + toml_string(rule.where) + '\n';
    given_rows(out, route_options(), rule);
  }
  for (const auto &tenant : s.tenants) {
    out += "[[tenant]]\n";
    rows(out, tenant_options(), tenant);
  }
  for (const auto &group : s.source_groups) {
    out += "[[source_group]]\n";
    rows(out, source_group_options(), group);
  }
  for (const auto &rule : s.rate_limits) {
    out += "[[rate_limit]]\n";
    given_rows(out, rate_limit_options(), rule);
  }
  for (const auto &rule : s.responses) {
    out += "[[response]]\n";
    given_rows(out, response_options(), rule);
  }
  return out;
}

}  // namespace mansio::config
