// Databases of SQLite that are kept open, and statements run in them. One thread at a time.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "plugins/lua/io/sqlite_worker.hpp"

struct sqlite3;

namespace mansio::lua {

class SqliteDatabases {
 public:
  SqliteDatabases();
  ~SqliteDatabases();
  SqliteDatabases(const SqliteDatabases &) = delete;
  SqliteDatabases &operator=(const SqliteDatabases &) = delete;

  // Ends early, as a failure, once `stopped` is true or the query's deadline is over.
  void run(const SqliteQuery &query, const std::atomic<bool> &stopped, SqliteRows &rows);

 private:
  struct Database;
  // Null, and rows.why.
  Database *open(const SqliteQuery &query, SqliteRows &rows);

  std::map<std::pair<std::string, bool>, std::unique_ptr<Database>> open_;  // by path, and whether to write
};

}  // namespace mansio::lua
