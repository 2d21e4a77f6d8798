// TableSet: the configured tables as a process asks them by name. Behind a name is an instance of a lookup plugin, in
// this process or another, or a combination of other tables:
//
//   pipemap   each table is asked for what the one before it found (several values joined by ','); one that does not
//             find it ends the search
//   unionmap  all are asked for the same key, and what they find is put together; one that cannot say makes the whole
//             "try later", for a list with a part missing is a wrong list
//
// An instance starts when its table is first asked, or beforehand with load(). One that cannot start answers "try
// later" and is tried again after a while: a table out of order defers the mail that needs it, and no other.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "kernel/config/settings.hpp"
#include "kernel/host/lookup.hpp"
#include "kernel/host/remote.hpp"
#include "kernel/host/table_cache.hpp"

namespace mansio::host {

class TableSet final : public io::Tables {
 public:
  // Makes the instance of a [lookup.NAME] with a plugin.
  using Factory = std::function<Result<std::unique_ptr<LookupInstance>>(const config::Lookup &)>;

  // `settings` outlives the set.
  TableSet(const config::Settings &settings, const Clock &clock, Logger &log, Factory make);
  // One whose instances all run in this process, with these tables for those that ask others.
  static std::unique_ptr<TableSet> in_process(const config::Settings &settings, std::string plugin_dir,
                                              Surroundings around);
  // As configured: tables with isolation = "process" are asked over the channels that attach() brings.
  static std::unique_ptr<TableSet> as_configured(const config::Settings &settings, std::string plugin_dir,
                                                 Surroundings around);
  ~TableSet() override;
  // Does such a set of these settings run some plugin's code in its own process?
  static bool any_here(const config::Settings &settings);
  // A channel to the host process of that name ("host.lookup.NAME"); false: it hosts no table.
  bool attach(std::string_view host, std::shared_ptr<io::Channel> channel);

  Result<void> load(std::string_view table);  // and those that it asks
  bool has(std::string_view table) const override { return settings_.lookup(table) != nullptr; }
  void query(std::string_view table, std::string_view key, std::function<void(const io::TableAnswer &)> done) override;
  void stats(const StatsSink &add) const;
  const TableCache &cache() const { return cache_; }

 private:
  using Done = std::function<void(const io::TableAnswer &)>;
  struct Table {
    std::unique_ptr<LookupInstance> instance;
    std::string failure;  // why it has none
    Nanos failed_at = 0;
  };
  struct Union;

  Result<LookupInstance *> instance(const config::Lookup &lookup);
  void ask_plugin(const config::Lookup &lookup, std::string_view key, Done done);
  void pipe(const config::Lookup &lookup, std::size_t part, std::string_view key, Done done);
  void unite(const config::Lookup &lookup, std::string_view key, Done done);

  const config::Settings &settings_;
  const Clock &clock_;
  Logger &log_;
  Factory make_;
  TableCache cache_;
  std::map<std::string, Table, std::less<>> tables_;
  std::map<std::string, RemoteLookup *, std::less<>> remotes_;  // those of tables_ that are
  std::shared_ptr<int> alive_ = std::make_shared<int>();
};

}  // namespace mansio::host
