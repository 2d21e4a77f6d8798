#include "kernel/cli/simulate/scenario.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <set>
#include <sstream>

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

constexpr std::string_view kConfiguration[] = {"queue", "transport", "tenant", "source_group", "rate_limit"};

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
  }
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
