// An SQLite database, opened read-only, with its one query prepared. One thread at a time.
#pragma once

#include <sqlite3.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "plugins/lookup-common/answer.hpp"
#include "plugins/lookup-common/file_identity.hpp"
#include "plugins/lookup-common/table.hpp"

namespace mansio::lookup {

class SqliteConnection {
 public:
  // nullptr, and `why`: the file cannot be opened. Waits up to `timeout` for one that is locked.
  static std::unique_ptr<SqliteConnection> open(const std::string &path, std::chrono::nanoseconds timeout,
                                                std::string &why);
  // "" or what is wrong with the SQL, or with reading the database.
  std::string prepare(const std::string &sql);
  // Every column of every row is a value. Nothing, and `why`: another file has taken the place of this one.
  std::optional<Answer> ask(const std::string &sql, const std::vector<std::string> &parameters, Table::Values values,
                            std::string &why);

 private:
  struct Close {
    void operator()(sqlite3 *db) const { ::sqlite3_close_v2(db); }
    void operator()(sqlite3_stmt *statement) const { ::sqlite3_finalize(statement); }
  };
  SqliteConnection(std::string path, sqlite3 *db);
  std::string error() const;

  std::string path_;
  std::optional<FileIdentity> file_;
  std::unique_ptr<sqlite3, Close> db_;
  std::unique_ptr<sqlite3_stmt, Close> statement_;
};

}  // namespace mansio::lookup
