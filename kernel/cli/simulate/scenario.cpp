#include "kernel/cli/simulate/scenario.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <sstream>
#include <utility>

#include "kernel/cli/simulate/configured.hpp"
#include "kernel/cli/simulate/fields.hpp"

namespace mansio::cli::simulate {
namespace {

using config::TomlTable;

bool asks_for_later(std::string_view reply) {
  const auto digits = reply.substr(0, 3);
  return digits.size() == 3 && digits.find_first_not_of("0123456789") == digits.npos && digits[0] == '4' &&
         (reply.size() == 3 || reply[3] == ' ');
}

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
  f.text("blocks", b.blocks);
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
    f.boolean("by_pool", d.by_pool);
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

// True: it is of one thing, or of a source pool at a destination.
bool is_of_one(const EventSpec &e) {
  const int names = !e.destination.empty() + !e.tenant.empty() + !e.campaign.empty() + !e.source_pool.empty();
  return e.transport.empty() && (names == 1 || (names == 2 && !e.destination.empty() && !e.source_pool.empty()));
}

// What is wrong with whom it is about; "": nothing.
std::string_view problem_of(const EventSpec &e, const Scenario &s) {
  using Action = EventSpec::Action;
  const bool names = !e.destination.empty() || !e.tenant.empty() || !e.campaign.empty() || !e.source_pool.empty();
  if (!e.transport.empty() && !s.settings.transport(e.transport))
    return "has a transport, but there is no such [transport.NAME]";
  switch (e.action) {
    case Action::Suspend:
    case Action::Resume:
      if (!is_of_one(e))
        return "is of nothing or of several, expected one of destination, tenant, campaign, source_pool, or a "
               "source_pool and a destination";
      return e.destination.find('#') == e.destination.npos ? "" : "is of a row, expected one destination or a site";
    case Action::Unthrottle:
      if (e.destination.empty() || !e.tenant.empty() || !e.campaign.empty() || !e.source_pool.empty() ||
          !e.transport.empty())
        return "is not of a destination alone, expected that";
      return "";
    case Action::Stop:
    case Action::Start:
      return e.transport.empty() || names ? "is not of a transport alone, expected that" : "";
    case Action::Rebind:
      return e.pool.empty() ? "has no pool, expected the source pool that mail leaves from from then on" : "";
    case Action::Flush:
    case Action::Hold:
    case Action::Release:
      break;
  }
  return "";
}

constexpr std::pair<std::string_view, EventSpec::Action> kActions[] = {{"suspend", EventSpec::Action::Suspend},
                                                                       {"resume", EventSpec::Action::Resume},
                                                                       {"flush", EventSpec::Action::Flush},
                                                                       {"hold", EventSpec::Action::Hold},
                                                                       {"release", EventSpec::Action::Release},
                                                                       {"rebind", EventSpec::Action::Rebind},
                                                                       {"unthrottle", EventSpec::Action::Unthrottle},
                                                                       {"stop", EventSpec::Action::Stop},
                                                                       {"start", EventSpec::Action::Start}};

void read_event(const TomlTable &table, const std::string &name, const config::TomlPlace &place,
                config::Problems &problems, Scenario &s) {
  using Action = EventSpec::Action;
  EventSpec e;
  std::string action;
  {
    Fields f{table, name + '.', problems};
    f.text("action", action);
    const auto at =
        std::find_if(std::begin(kActions), std::end(kActions), [&](const auto &a) { return a.first == action; });
    if (at == std::end(kActions)) {
      std::string known;
      for (const auto &[text, unused] : kActions) known += (known.empty() ? "" : ", ") + std::string{text};
      problems.add(place, name + ".action", fmt::format("is \"{}\", expected one of {}", action, known));
      for (const auto &entry : table) f.skip(entry.key);
      return;
    }
    e.action = at->second;
    f.duration("at", e.at);
    // Not senders: those that are not limited are one to the scheduler.
    f.text("destination", e.destination);
    f.text("tenant", e.tenant);
    f.text("campaign", e.campaign);
    f.text("source_pool", e.source_pool);
    f.text("transport", e.transport);
    if (e.action == Action::Suspend) f.duration("for", e.time);
    if (e.action == Action::Flush) f.boolean("paced", e.paced);
    if (e.action == Action::Rebind) f.text("pool", e.pool);
  }
  if (const auto problem = problem_of(e, s); !problem.empty()) problems.add(place, name, std::string{problem});
  s.events.push_back(std::move(e));
}

// From a time to another, of all that the scenario lasts.
void read_period(Fields &f, Nanos &from, Nanos &to, const std::string &name, const config::TomlPlace &place,
                 config::Problems &problems, const Scenario &s) {
  to = s.duration + s.drain_limit;
  f.duration("from", from);
  f.duration("to", to);
  if (to <= from) problems.add(place, name, "ends before it begins");
}

void read_rate_owner(const TomlTable &table, const std::string &name, config::Problems &problems, Scenario &s) {
  RateOwnerSpec o;
  o.name = name;
  Fields f{table, "rate." + name + '.', problems};
  for (const auto &entry : table)
    if (is_rate_option(entry.key)) f.skip(entry.key);
  f.duration("latency", o.latency);
  f.number("spread", o.spread, 1);
  f.duration("lease_time", o.lease_time);
  f.duration("hold_time", o.hold_time);
  for (const auto &[key, time] : {std::pair{"lease_time", o.lease_time}, std::pair{"hold_time", o.hold_time}})
    if (const auto *entry = find(table, key); entry && (time < kMillisecond || time > 3600 * kSecond))
      problems.add(entry->place, "rate." + name + '.' + key, "is too short or too long, expected 1ms to 1h");
  f.tables("limit", [&](const TomlTable &limit, const std::string &of, const config::TomlPlace &place) {
    auto &l = o.limits.emplace_back();
    Fields fields{limit, of + '.', problems};
    fields.text("name", l.name);
    fields.text("key", l.key);
    read_period(fields, l.from, l.to, of, place, problems, s);
    fields.rate("rate", l.rate.interval);
    fields.integer("burst", l.rate.burst, 1, 1'000'000);
    if (find(limit, "places")) fields.integer("places", l.places.emplace(), 0, 1'000'000);
    if (!l.rate && !l.places) problems.add(place, of, "has neither rate nor places, expected what is given");
  });
  f.tables("failure", [&](const TomlTable &failure, const std::string &of, const config::TomlPlace &place) {
    auto &x = o.failures.emplace_back();
    Fields fields{failure, of + '.', problems};
    read_period(fields, x.from, x.to, of, place, problems, s);
    fields.boolean("silent", x.silent);
  });
  s.rate_owners.push_back(std::move(o));
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
  s.settings = read_configured(root, path, problems);
  {
    Fields f{root, "", problems};
    for (const auto &entry : root)
      if (is_configuration(entry.key)) f.skip(entry.key);
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
    const auto *rates = find(root, "rate");
    if (const auto *owners = rates ? rates->value.as<TomlTable>() : nullptr)
      for (const auto &owner : *owners)
        if (const auto *table = owner.value.as<TomlTable>()) read_rate_owner(*table, owner.key, problems, s);
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
