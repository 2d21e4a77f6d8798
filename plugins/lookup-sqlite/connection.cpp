#include "plugins/lookup-sqlite/connection.hpp"

#include <algorithm>
#include <cerrno>
#include <string_view>
#include <system_error>
#include <utility>

namespace mansio::lookup {

SqliteConnection::SqliteConnection(std::string path, sqlite3 *db)
    : path_(std::move(path)), file_(FileIdentity::of(path_)), db_(db) {}

std::string SqliteConnection::error() const { return path_ + ": " + ::sqlite3_errmsg(db_.get()); }

std::unique_ptr<SqliteConnection> SqliteConnection::open(const std::string &path, std::chrono::nanoseconds timeout,
                                                         std::string &why) {
  sqlite3 *db = nullptr;
  const int result = ::sqlite3_open_v2(path.c_str(), &db, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, nullptr);
  // A database is there even when it could not be opened, to say why.
  std::unique_ptr<SqliteConnection> c{new SqliteConnection{path, db}};
  if (result != SQLITE_OK) return why = c->error(), nullptr;
  if (!c->file_) return why = path + ": " + std::system_category().message(errno), nullptr;
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(timeout).count();
  ::sqlite3_busy_timeout(db, static_cast<int>(std::min<std::int64_t>(ms, 3'600'000)));
  return c;
}

std::string SqliteConnection::prepare(const std::string &sql) {
  sqlite3_stmt *statement = nullptr;
  const int result = ::sqlite3_prepare_v3(db_.get(), sql.c_str(), static_cast<int>(sql.size()),
                                          SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
  statement_.reset(statement);
  return result == SQLITE_OK ? "" : error();
}

std::optional<Answer> SqliteConnection::ask(const std::string &sql, const std::vector<std::string> &parameters,
                                            Table::Values values, std::string &why) {
  if (FileIdentity::of(path_) != file_) return why = path_ + " is another file", std::nullopt;
  if (!statement_)
    if (auto wrong = prepare(sql); !wrong.empty()) return Answer::try_later(std::move(wrong));
  auto *s = statement_.get();
  for (std::size_t i = 0; i < parameters.size(); ++i)
    ::sqlite3_bind_text64(s, static_cast<int>(i + 1), parameters[i].data(), parameters[i].size(), SQLITE_STATIC,
                          SQLITE_UTF8);
  int result = SQLITE_ROW;
  for (bool more = true; more && (result = ::sqlite3_step(s)) == SQLITE_ROW;)
    for (int column = 0; more && column < ::sqlite3_column_count(s); ++column) {
      const auto *text = reinterpret_cast<const char *>(::sqlite3_column_text(s, column));
      if (text) more = values.add({text, static_cast<std::size_t>(::sqlite3_column_bytes(s, column))});
    }
  auto answer = result == SQLITE_DONE || result == SQLITE_ROW ? std::move(values).answer() : Answer::try_later(error());
  ::sqlite3_reset(s);
  ::sqlite3_clear_bindings(s);
  return answer;
}

}  // namespace mansio::lookup
