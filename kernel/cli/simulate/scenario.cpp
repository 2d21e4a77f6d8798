#include "kernel/cli/simulate/scenario.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <set>
#include <span>
#include <sstream>
#include <utility>

#include "kernel/config/crosscheck.hpp"
#include "kernel/config/rate.hpp"
#include "kernel/config/read.hpp"
#include "kernel/config/toml.hpp"
#include "kernel/config/values.hpp"

namespace mansio::cli::simulate {
namespace {

using config::TomlEntry;
using config::TomlList;
using config::TomlTable;
using config::TomlValue;

constexpr std::string_view kConfiguration[] = {"queue",        "transport",  "tenant",
                                               "source_group", "rate_limit", "response"};

// Of these tables the options that the scheduler takes, and so a simulation: what else is set there would do nothing.
constexpr std::string_view kQueueOptions[] = {"minimal_backoff_time",
                                              "maximal_backoff_time",
                                              "backoff_jitter",
                                              "queue_run_delay",
                                              "maximal_queue_lifetime",
                                              "qmgr_message_active_limit",
                                              "qmgr_message_recipient_limit"};
constexpr std::string_view kTransportOptions[] = {
    "process_limit",          "destination_key",       "destination",        "transport_rate_delay",
    "transport_rate_limit",   "transport_rate_burst",  "delivery_slot_cost", "delivery_slot_loan",
    "delivery_slot_discount", "minimum_delivery_slots"};
constexpr std::string_view kDestinationOptions[] = {"match",
                                                    "site",
                                                    "mx",
                                                    "initial_destination_concurrency",
                                                    "destination_concurrency_limit",
                                                    "destination_concurrency_positive_feedback",
                                                    "destination_concurrency_negative_feedback",
                                                    "destination_concurrency_failed_cohort_limit",
                                                    "destination_recipient_limit",
                                                    "destination_rate_delay",
                                                    "destination_rate_limit",
                                                    "destination_rate_burst",
                                                    "adaptive_rate_minimum",
                                                    "adaptive_rate_maximum",
                                                    "adaptive_rate_decrease",
                                                    "adaptive_rate_increase"};

bool asks_for_later(std::string_view reply) {
  const auto digits = reply.substr(0, 3);
  return digits.size() == 3 && digits.find_first_not_of("0123456789") == digits.npos && digits[0] == '4' &&
         (reply.size() == 3 || reply[3] == ' ');
}

bool is_among(std::span<const std::string_view> names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

void without_effect(const TomlEntry &entry, const std::string &prefix, config::Problems &problems) {
  problems.add(entry.place, prefix + entry.key, "has no effect in a simulation");
}

void refuse_without_effect(const TomlTable &limits, config::Problems &problems) {
  const auto each_table = [](const TomlEntry &entry, const std::string &prefix, auto f) {
    const auto *list = entry.value.as<TomlList>();
    for (std::size_t i = 0; list && i < list->size(); ++i)
      if (const auto *table = (*list)[i].as<TomlTable>()) f(*table, fmt::format("{}{}[{}].", prefix, entry.key, i + 1));
  };
  for (const auto &entry : limits) {
    const auto *table = entry.value.as<TomlTable>();
    if (entry.key == "queue" && table) {
      for (const auto &option : *table)
        if (!is_among(kQueueOptions, option.key)) without_effect(option, "queue.", problems);
    } else if (entry.key == "transport" && table) {
      for (const auto &transport : *table) {
        const auto prefix = "transport." + transport.key + ".";
        const auto *options = transport.value.as<TomlTable>();
        for (std::size_t i = 0; options && i < options->size(); ++i) {
          const auto &option = (*options)[i];
          const auto *text = option.value.as<std::string>();
          if ((!is_among(kTransportOptions, option.key) && !is_among(kDestinationOptions, option.key)) ||
              (option.key == "destination_key" && text && *text == "recipient"))
            without_effect(option, prefix, problems);
          if (option.key != "destination") continue;
          each_table(option, prefix, [&](const TomlTable &rule, const std::string &name) {
            for (const auto &one : rule)
              if (!is_among(kDestinationOptions, one.key)) without_effect(one, name, problems);
          });
        }
      }
    } else if (entry.key == "rate_limit") {
      each_table(entry, "", [&](const TomlTable &rule, const std::string &name) {
        for (const auto &one : rule)
          if (one.key == "plugin") without_effect(one, name, problems);
      });
    } else if (entry.key == "response") {
      each_table(entry, "", [&](const TomlTable &rule, const std::string &name) {
        for (const auto &one : rule)
          if (const auto *text = one.value.as<std::string>();
              one.key == "pool" || (text && *text == "pool" && one.key == "action"))
            without_effect(one, name, problems);
      });
    }
  }
}

// A scenario is one file: what it limits is written into it.
class NoFiles final : public config::Files {
 public:
  Result<std::string> read(const std::string &) override { return Error{Status::BadConfig, "is not read"}; }
  Result<std::vector<std::string>> glob(const std::string &) override {
    return Error{Status::BadConfig, "is not read"};
  }
};

// The options of one table. What nobody asked for is a problem.
class Fields {
 public:
  Fields(const TomlTable &table, std::string prefix, config::Problems &problems)
      : table_(table), prefix_(std::move(prefix)), problems_(problems) {}
  ~Fields() {
    for (const auto &entry : table_)
      if (!asked_.contains(entry.key)) problems_.add(entry.place, prefix_ + entry.key, "is not an option here");
  }

  void text(const char *key, std::string &to) {
    if (const auto *v = value(key)) {
      if (const auto *s = v->as<std::string>())
        to = *s;
      else
        wrong(*v, key, "a text");
    }
  }
  void date(const char *key, std::optional<Nanos> &to) {
    const auto *v = value(key);
    if (!v) return;
    const auto *s = v->as<std::string>();
    to = s ? config::parse_date(*s) : std::nullopt;
    if (!to) wrong(*v, key, "a date such as \"2026-11-30\"");
  }
  void duration(const char *key, Nanos &to) {
    const auto *v = value(key);
    if (!v) return;
    if (const auto *n = v->as<std::int64_t>(); n && *n >= 0 && *n < 1'000'000'000) {
      to = *n * kSecond;
    } else if (const auto *s = v->as<std::string>()) {
      const auto d = config::parse_duration(*s);
      if (!d || *d < 0) return wrong(*v, key, "a duration such as \"90s\"");
      to = *d;
    } else {
      wrong(*v, key, "a duration such as \"90s\"");
    }
  }
  void number(const char *key, double &to, double most) {
    const auto *v = value(key);
    if (!v) return;
    const auto *n = v->as<std::int64_t>();
    const auto *d = v->as<double>();
    const auto x = n ? static_cast<double>(*n) : d ? *d : -1;
    if (!(x >= 0 && x <= most)) return wrong(*v, key, fmt::format("a number from 0 to {}", most));
    to = x;
  }
  template <class T>
  void integer(const char *key, T &to, std::int64_t least, std::int64_t most) {
    const auto *v = value(key);
    if (!v) return;
    const auto *n = v->as<std::int64_t>();
    if (!n || *n < least || *n > most) return wrong(*v, key, fmt::format("an integer from {} to {}", least, most));
    to = static_cast<T>(*n);
  }
  void boolean(const char *key, bool &to) {
    const auto *v = value(key);
    if (!v) return;
    if (const auto *b = v->as<bool>())
      to = *b;
    else
      wrong(*v, key, "true or false");
  }
  // Tables [[KEY]].
  template <class F>
  void tables(const char *key, F f) {
    const auto *v = value(key);
    if (!v) return;
    const auto *list = v->as<TomlList>();
    if (!list) return wrong(*v, key, fmt::format("tables [[{}{}]]", prefix_, key));
    std::size_t number = 0;
    for (const auto &one : *list) {
      const auto name = fmt::format("{}{}[{}]", prefix_, key, ++number);
      if (const auto *table = one.as<TomlTable>())
        f(*table, name, one.place);
      else
        problems_.add(one.place, name, "is no table");
    }
  }
  void skip(std::string_view key) { asked_.insert(std::string{key}); }
  config::Problems &problems() { return problems_; }

 private:
  const TomlValue *value(const char *key) {
    asked_.insert(key);
    const auto *entry = find(table_, key);
    return entry ? &entry->value : nullptr;
  }
  void wrong(const TomlValue &v, const char *key, const std::string &expected) {
    problems_.add(v.place, prefix_ + key, fmt::format("is {}, expected {}", v.kind(), expected));
  }

  const TomlTable &table_;
  std::string prefix_;
  config::Problems &problems_;
  std::set<std::string, std::less<>> asked_;
};

void read_behaviour(Fields &f, Behaviour &b) {
  f.duration("latency", b.latency);
  f.number("spread", b.spread, 1);
  f.number("error", b.error, 1);
  f.number("refuse", b.refuse, 1);
  f.number("reject", b.reject, 1);
  f.integer("connections", b.connections, 0, 1'000'000);
  f.number("rate", b.rate, 1e9);
  f.integer("hosts", b.hosts, 1, 1000);
  f.integer("hanging", b.hanging, 0, 1000);
}

void read_destination(const TomlTable &table, const std::string &name, const config::TomlPlace &place,
                      config::Problems &problems, Scenario &s) {
  DestinationSpec d;
  d.phases.emplace_back();
  {
    Fields f{table, name + '.', problems};
    f.text("name", d.name);
    f.integer("count", d.count, 1, 10'000'000);
    f.text("transport", d.transport);
    f.text("mx", d.mx);
    f.duration("connect_timeout", d.connect_timeout);
    f.duration("host_memory", d.host_memory);
    for (const auto &[key, reply] :
         {std::pair{"error_reply", &d.error_reply}, std::pair{"rate_reply", &d.rate_reply}}) {
      f.text(key, *reply);
      if (!asks_for_later(*reply))
        problems.add(place, name + '.' + key,
                     fmt::format("is \"{}\", expected a reply such as \"450 4.7.1 later\"", *reply));
    }
    read_behaviour(f, d.phases.front());
    f.tables("phase", [&](const TomlTable &phase, const std::string &phase_name, const config::TomlPlace &at) {
      auto b = d.phases.front();  // what a phase does not say is as in the beginning
      Fields fields{phase, phase_name + '.', problems};
      fields.duration("from", b.from);
      read_behaviour(fields, b);
      if (b.from <= d.phases.back().from) problems.add(at, phase_name, "is not later than the one before it");
      d.phases.push_back(b);
    });
  }
  if (d.transport.empty() && s.settings.transports.size() == 1) d.transport = s.settings.transports.front().name;
  if (d.name.empty()) problems.add(place, name, "has no name");
  if (d.count > 1 && d.name.find('#') == d.name.npos)
    problems.add(place, name, "has a count, expected '#' in its name where the number goes");
  if (!s.settings.transport(d.transport))
    problems.add(place, name, fmt::format("has transport \"{}\", but there is no such [transport.NAME]", d.transport));
  s.destinations.push_back(std::move(d));
}

void read_arrival(const TomlTable &table, const std::string &name, const config::TomlPlace &place,
                  config::Problems &problems, Scenario &s) {
  ArrivalSpec a;
  a.to = s.duration;
  bool to_given = find(table, "to") != nullptr;
  {
    Fields f{table, name + '.', problems};
    f.text("name", a.name);
    f.text("destination", a.destination);
    f.text("tenant", a.tenant);
    f.text("campaign", a.campaign);
    f.text("sender", a.sender);
    f.text("source_pool", a.source_pool);
    f.integer("priority", a.priority, -9, 9);
    f.duration("from", a.from);
    f.duration("to", a.to);
    f.number("rate", a.rate, 1e7);
    f.integer("messages", a.messages, 0, 100'000'000);
    f.integer("recipients", a.recipients, 1, 10'000'000);
    f.integer("tenants", a.tenants, 1, 1'000'000);
  }
  if (a.messages > 0 && !to_given) a.to = a.from;
  if (a.to < a.from) problems.add(place, name, "ends before it begins");
  if ((a.rate > 0) == (a.messages > 0)) problems.add(place, name, "has neither or both of rate and messages");
  if (a.tenants > 1 && a.tenant.find('#') == a.tenant.npos)
    problems.add(place, name, "has a number of tenants, expected '#' in the tenant's name where the number goes");
  const bool known = std::any_of(s.destinations.begin(), s.destinations.end(),
                                 [&](const DestinationSpec &d) { return d.name == a.destination; });
  if (!known)
    problems.add(place, name,
                 fmt::format("has destination \"{}\", but there is no such [[destination]]", a.destination));
  s.arrivals.push_back(std::move(a));
}

void read_event(const TomlTable &table, const std::string &name, const config::TomlPlace &place,
                config::Problems &problems, Scenario &s) {
  using Key = scheduler::Suspension::Key;
  EventSpec e;
  std::string action;
  int names = 0;
  {
    Fields f{table, name + '.', problems};
    f.duration("at", e.at);
    f.text("action", action);
    // Not senders: those that are not limited are one to the scheduler.
    for (const auto &[key, option] :
         {std::pair{Key::Destination, "destination"}, std::pair{Key::Tenant, "tenant"},
          std::pair{Key::Campaign, "campaign"}, std::pair{Key::SourcePool, "source_pool"}}) {
      std::string given;
      f.text(option, given);
      if (given.empty()) continue;
      ++names;
      e.key = key;
      e.name = given;
    }
  }
  e.resume = action == "resume";
  if (!e.resume && action != "suspend")
    problems.add(place, name + ".action", fmt::format("is \"{}\", expected \"suspend\" or \"resume\"", action));
  if (names != 1)
    problems.add(place, name,
                 "is of nothing or of several, expected one of destination, tenant, campaign, source_pool");
  s.events.push_back(std::move(e));
}

}  // namespace

Result<Scenario> parse_scenario(const std::string &path, const std::string &text) {
  auto parsed = config::parse_toml(text, path);
  if (const auto *error = std::get_if<config::TomlError>(&parsed))
    return Error{Status::BadConfig, to_string(config::Problem{path, error->line, "", error->text}) + "\n"};
  const auto &root = std::get<TomlTable>(parsed);
  Scenario s;
  s.name = path.substr(path.rfind('/') + 1);
  if (s.name.ends_with(".toml")) s.name.resize(s.name.size() - 5);
  config::Problems problems;
  TomlTable limits;
  for (const auto &entry : root)
    if (std::find(std::begin(kConfiguration), std::end(kConfiguration), entry.key) != std::end(kConfiguration))
      limits.push_back(entry);
  refuse_without_effect(limits, problems);
  NoFiles files;
  config::Places places;
  s.settings = config::read_settings(limits, config::Source::File, files, problems, places);
  {
    Fields f{root, "", problems};
    for (const auto key : kConfiguration) f.skip(key);
    f.text("title", s.title);
    f.duration("duration", s.duration);
    f.duration("step", s.step);
    f.integer("seed", s.seed, 0, INT64_MAX);
    f.date("date", s.date);
    f.boolean("drain", s.drain);
    f.duration("drain_limit", s.drain_limit);
    f.tables("destination", [&](const TomlTable &table, const std::string &name, const config::TomlPlace &place) {
      read_destination(table, name, place, problems, s);
    });
    f.tables("arrival", [&](const TomlTable &table, const std::string &name, const config::TomlPlace &place) {
      read_arrival(table, name, place, problems, s);
    });
    f.tables("event", [&](const TomlTable &table, const std::string &name, const config::TomlPlace &place) {
      read_event(table, name, place, problems, s);
    });
  }
  std::stable_sort(s.events.begin(), s.events.end(), [](const auto &a, const auto &b) { return a.at < b.at; });
  if (s.step <= 0) problems.add({path, 0, "step", "is 0, expected a time"});
  if (s.destinations.empty()) problems.add({path, 0, "destination", "is missing, expected tables [[destination]]"});
  if (s.arrivals.empty()) problems.add({path, 0, "arrival", "is missing, expected tables [[arrival]]"});
  std::string all;
  for (const auto &problem : problems.take()) all += to_string(problem) + '\n';
  if (!all.empty()) return Error{Status::BadConfig, all};
  return s;
}

Result<Scenario> read_scenario(const std::string &path) {
  std::ifstream file{path};
  std::ostringstream text;
  if (!file || !(text << file.rdbuf())) return Error{Status::BadConfig, path + ": cannot be read\n"};
  return parse_scenario(path, text.str());
}

}  // namespace mansio::cli::simulate
