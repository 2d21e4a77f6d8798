#include "kernel/host/tables.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "kernel/host/configured.hpp"

namespace mansio::host {
namespace {

using Outcome = io::TableAnswer::Outcome;

constexpr Nanos kStartAgain = 10 * kSecond;

io::TableAnswer try_later(std::string text) {
  io::TableAnswer answer;
  answer.text = std::move(text);
  return answer;
}

Result<std::unique_ptr<LookupInstance>> make_in_process(const config::Lookup &lookup, const std::string &plugin_dir,
                                                        const config::Settings &settings, const Surroundings &around) {
  auto loaded = load_configured(lookup, "lookup " + lookup.name, plugin_dir, settings);
  if (!loaded) return loaded.error();
  if (loaded->plugin.needs & MANSIO_NEEDS_STATE)  // `mansio check` refuses such a configuration
    return Error{Status::BadConfig,
                 fmt::format("lookup {}: {} keeps state, which only a process of its own in a running "
                             "Mansio has",
                             lookup.name, lookup.plugin)};
  return LookupInstance::create(around, loaded->plugin, std::move(loaded->options));
}

}  // namespace

TableSet::TableSet(const config::Settings &settings, const Clock &clock, Logger &log, Factory make)
    : settings_(settings), clock_(clock), log_(log), make_(std::move(make)), cache_(settings.lookup_cache_size) {}

TableSet::~TableSet() = default;

std::unique_ptr<TableSet> TableSet::in_process(const config::Settings &settings, std::string plugin_dir,
                                               Surroundings around) {
  auto set = std::make_unique<TableSet>(settings, around.clock, around.log, nullptr);
  around.tables = set.get();
  set->make_ = [dir = std::move(plugin_dir), &settings, around](const config::Lookup &lookup) {
    return make_in_process(lookup, dir, settings, around);
  };
  return set;
}

std::unique_ptr<TableSet> TableSet::as_configured(const config::Settings &settings, std::string plugin_dir,
                                                  Surroundings around) {
  auto set = std::make_unique<TableSet>(settings, around.clock, around.log, nullptr);
  around.tables = set.get();
  set->make_ = [dir = std::move(plugin_dir), &settings, around,
                set = set.get()](const config::Lookup &lookup) -> Result<std::unique_ptr<LookupInstance>> {
    if (lookup.budget.isolation == config::Isolation::InProcess) return make_in_process(lookup, dir, settings, around);
    auto remote = std::make_unique<RemoteLookup>(around.loop, around.clock, lookup.name, lookup.budget.in_flight_limit,
                                                 around.stays_awake);
    set->remotes_[lookup.name] = remote.get();
    return std::unique_ptr<LookupInstance>{std::move(remote)};
  };
  return set;
}

bool TableSet::any_here(const config::Settings &settings) {
  return std::ranges::any_of(settings.lookups, [](const config::Lookup &lookup) {
    return !lookup.plugin.empty() && lookup.budget.isolation == config::Isolation::InProcess;
  });
}

bool TableSet::attach(std::string_view host, std::shared_ptr<io::Channel> channel) {
  constexpr std::string_view kPrefix = "host.lookup.";
  if (!host.starts_with(kPrefix)) return false;
  const auto *lookup = settings_.lookup(host.substr(kPrefix.size()));
  if (!lookup || !instance(*lookup)) return false;
  const auto remote = remotes_.find(lookup->name);
  if (remote == remotes_.end()) return false;
  remote->second->attach(std::move(channel));
  return true;
}

Result<LookupInstance *> TableSet::instance(const config::Lookup &lookup) {
  auto &table = tables_[lookup.name];
  if (table.instance) return table.instance.get();
  const auto now = clock_.mono();
  if (!table.failure.empty() && now - table.failed_at < kStartAgain) return Error{Status::Defer, table.failure};
  auto made = make_(lookup);
  if (!made) {
    table.failure = made.error().text;
    table.failed_at = now;
    log_.error("table out of order", {{"lookup", lookup.name}, {"reason", table.failure}});
    return made.error();
  }
  table.instance = std::move(*made);
  table.failure.clear();
  return table.instance.get();
}

Result<void> TableSet::load(std::string_view table) {
  const auto *lookup = settings_.lookup(table);
  if (!lookup) return Error{Status::BadConfig, fmt::format("there is no [lookup.{}]", table)};
  for (const auto *parts : {&lookup->pipemap, &lookup->unionmap})
    for (const auto &part : *parts)
      if (auto loaded = load(part); !loaded) return loaded;
  if (lookup->plugin.empty()) return {};
  if (auto made = instance(*lookup); !made) return made.error();
  return {};
}

void TableSet::query(std::string_view table, std::string_view key, Done done) {
  const auto *lookup = settings_.lookup(table);
  if (!lookup) return done(try_later(fmt::format("there is no table {}", table)));
  if (!lookup->pipemap.empty()) return pipe(*lookup, 0, key, std::move(done));
  if (!lookup->unionmap.empty()) return unite(*lookup, key, std::move(done));
  ask_plugin(*lookup, key, std::move(done));
}

void TableSet::ask_plugin(const config::Lookup &lookup, std::string_view key, Done done) {
  if (const auto *known = cache_.find(lookup.name, key, clock_.mono())) {
    const auto copy = *known;  // `done` may ask further, and so change the cache
    return done(copy);
  }
  auto answered = [this, alive = std::weak_ptr{alive_}, &lookup, key = std::string{key},
                   done = std::move(done)](const io::TableAnswer &answer) {
    if (alive.expired()) return;
    if (answer.failed && lookup.budget.on_failure == config::OnFailure::Skip) {
      io::TableAnswer skipped;
      skipped.outcome = Outcome::NotFound;
      return done(skipped);
    }
    if (answer.outcome == Outcome::TryLater) {
      auto named = answer;
      named.text = fmt::format("table {}: {}", lookup.name, answer.text);
      return done(named);
    }
    const auto configured = answer.found() ? lookup.cache_ttl : lookup.cache_negative_ttl;
    cache_.put(lookup.name, key, answer, answer.ttl == 0 ? configured : answer.ttl, clock_.mono());
    done(answer);
  };
  const auto table = instance(lookup);
  if (!table) return answered(lookup_failure(table.error().text));
  (*table)->lookup(key, lookup.time_limit, std::move(answered));
}

void TableSet::pipe(const config::Lookup &lookup, std::size_t part, std::string_view key, Done done) {
  auto next = [this, alive = std::weak_ptr{alive_}, &lookup, part, done](const io::TableAnswer &answer) {
    if (alive.expired()) return;
    if (!answer.found() || part + 1 == lookup.pipemap.size()) return done(answer);
    pipe(lookup, part + 1, fmt::format("{}", fmt::join(answer.values, ",")), done);
  };
  query(lookup.pipemap[part], key, std::move(next));
}

// What the parts of a union have answered so far.
struct TableSet::Union {
  std::vector<io::TableAnswer> answers;
  std::size_t left;
  Done done;
  void take(std::size_t part, const io::TableAnswer &answer) {
    answers[part] = answer;
    if (--left > 0) return;
    io::TableAnswer all;
    all.outcome = Outcome::NotFound;
    for (auto &one : answers) {
      if (one.outcome == Outcome::TryLater) return done(one);
      if (!one.found()) continue;
      all.outcome = Outcome::Found;
      for (auto &value : one.values) all.values.push_back(std::move(value));
    }
    done(all);
  }
};

void TableSet::unite(const config::Lookup &lookup, std::string_view key, Done done) {
  const auto all = std::make_shared<Union>();
  all->left = lookup.unionmap.size();
  all->answers.resize(all->left);
  all->done = std::move(done);
  const std::string copy{key};  // the caller's may go with the last answer
  for (std::size_t part = 0; part < lookup.unionmap.size(); ++part)
    query(lookup.unionmap[part], copy, [all, part](const io::TableAnswer &answer) { all->take(part, answer); });
}

void TableSet::stats(const StatsSink &add) const {
  add("mansio_lookup_cache_hits_total", static_cast<double>(cache_.hits()));
  add("mansio_lookup_cache_misses_total", static_cast<double>(cache_.misses()));
  add("mansio_lookup_cache_bytes", static_cast<double>(cache_.bytes()));
  for (const auto &[name, table] : tables_)
    if (table.instance) table.instance->stats(add);
}

}  // namespace mansio::host
