#include "plugins/lua/io/sqlite_database.hpp"

#include <sqlite3.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <string_view>
#include <system_error>
#include <thread>

#include "plugins/lua/budget.hpp"

namespace mansio::lua {
namespace {

constexpr std::size_t kMostOpen = 16;
constexpr int kStepsBetweenLooks = 1000;

struct Limits {
  const std::atomic<bool> &stopped;
  std::int64_t deadline;
  bool over() const { return stopped || steady_ns() > deadline; }
};

// Other files than the one that was named are nobody's to open; and a transaction would be one with the statements of
// other calls, which use the same connection.
int authorize(void *, int action, const char *, const char *, const char *, const char *) {
  switch (action) {
    case SQLITE_ATTACH:
    case SQLITE_DETACH:
    case SQLITE_TRANSACTION:
    case SQLITE_SAVEPOINT:
      return SQLITE_DENY;
    default:
      return SQLITE_OK;
  }
}

// The time and the limits of one query, while it runs.
class Watch {
 public:
  Watch(sqlite3 *db, Limits &limits) : db_(db) {
    ::sqlite3_progress_handler(
        db_, kStepsBetweenLooks, [](void *arg) { return static_cast<const Limits *>(arg)->over() ? 1 : 0; }, &limits);
    ::sqlite3_busy_handler(
        db_,
        [](void *arg, int) {
          if (static_cast<const Limits *>(arg)->over()) return 0;
          std::this_thread::sleep_for(std::chrono::milliseconds{2});  // SQLite has no other way to wait for a lock
          return 1;
        },
        &limits);
  }
  ~Watch() {
    ::sqlite3_progress_handler(db_, 0, nullptr, nullptr);
    ::sqlite3_busy_handler(db_, nullptr, nullptr);
  }
  Watch(const Watch &) = delete;
  Watch &operator=(const Watch &) = delete;

 private:
  sqlite3 *db_;
};

struct Finalize {
  void operator()(sqlite3_stmt *statement) const { ::sqlite3_finalize(statement); }
};
using Statement = std::unique_ptr<sqlite3_stmt, Finalize>;

struct Bind {
  sqlite3_stmt *statement;
  int index;
  int operator()(std::monostate) const { return ::sqlite3_bind_null(statement, index); }
  int operator()(std::int64_t value) const { return ::sqlite3_bind_int64(statement, index, value); }
  int operator()(double value) const { return ::sqlite3_bind_double(statement, index, value); }
  int operator()(const std::string &value) const {
    return ::sqlite3_bind_text64(statement, index, value.data(), value.size(), SQLITE_STATIC, SQLITE_UTF8);
  }
};

// Adds what it takes to `octets`.
SqliteValue value_of(sqlite3_stmt *statement, int column, std::size_t &octets) {
  octets += sizeof(SqliteValue);
  switch (::sqlite3_column_type(statement, column)) {
    case SQLITE_INTEGER:
      return static_cast<std::int64_t>(::sqlite3_column_int64(statement, column));
    case SQLITE_FLOAT:
      return ::sqlite3_column_double(statement, column);
    case SQLITE_NULL:
      return std::monostate{};
    default:
      break;
  }
  // Text in UTF-8, whatever the database has it in.
  const bool text = ::sqlite3_column_type(statement, column) == SQLITE_TEXT;
  const void *const data = text ? static_cast<const void *>(::sqlite3_column_text(statement, column))
                                : ::sqlite3_column_blob(statement, column);
  const auto n = static_cast<std::size_t>(::sqlite3_column_bytes(statement, column));
  octets += n;
  return data ? std::string{static_cast<const char *>(data), n} : std::string{};
}

}  // namespace

struct SqliteDatabases::Database {
  struct Close {
    void operator()(sqlite3 *db) const { ::sqlite3_close_v2(db); }
  };
  std::unique_ptr<sqlite3, Close> handle;
  dev_t device = 0;  // of the file: another one may take its place
  ino_t inode = 0;
};

SqliteDatabases::SqliteDatabases() = default;
SqliteDatabases::~SqliteDatabases() = default;

SqliteDatabases::Database *SqliteDatabases::open(const SqliteQuery &query, SqliteRows &rows) {
  struct stat now {};
  const bool there = ::stat(query.path.c_str(), &now) == 0;
  if (!there && !query.write) return rows.why = std::generic_category().message(errno), nullptr;
  const std::pair key{query.path, query.write};
  const auto known = open_.find(key);
  if (known != open_.end()) {
    if (there && known->second->device == now.st_dev && known->second->inode == now.st_ino) return known->second.get();
    open_.erase(known);
  }
  if (open_.size() >= kMostOpen) open_.clear();
  auto made = std::make_unique<Database>();
  sqlite3 *raw = nullptr;
  const int flags = query.write ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : SQLITE_OPEN_READONLY;
  const int opened = ::sqlite3_open_v2(query.path.c_str(), &raw, flags | SQLITE_OPEN_NOMUTEX, nullptr);
  made->handle.reset(raw);  // there even when it could not be opened, to say why
  if (opened != SQLITE_OK) return rows.why = raw ? ::sqlite3_errmsg(raw) : "no memory", nullptr;
  if (!there && ::stat(query.path.c_str(), &now) != 0)
    return rows.why = std::generic_category().message(errno), nullptr;
  made->device = now.st_dev;
  made->inode = now.st_ino;
  ::sqlite3_set_authorizer(raw, authorize, nullptr);
  ::sqlite3_extended_result_codes(raw, 1);
  return open_.emplace(key, std::move(made)).first->second.get();
}

void SqliteDatabases::run(const SqliteQuery &query, const std::atomic<bool> &stopped, SqliteRows &rows) {
  Limits limits{stopped, query.deadline};
  const auto over = [&] { rows.why = stopped ? "cancelled" : "it took more than its time"; };
  if (limits.over()) return over();
  auto *const database = open(query, rows);
  if (!database) return;
  auto *const db = database->handle.get();
  const Watch watch{db, limits};
  const auto failed = [&] { return limits.over() ? over() : void(rows.why = ::sqlite3_errmsg(db)); };
  // No value may be larger than all of the answer.
  ::sqlite3_limit(db, SQLITE_LIMIT_LENGTH, static_cast<int>(std::max<std::size_t>(query.limit, query.sql.size() + 1)));
  sqlite3_stmt *raw = nullptr;
  const char *rest = nullptr;
  const int prepared = ::sqlite3_prepare_v3(db, query.sql.data(), static_cast<int>(query.sql.size()), 0, &raw, &rest);
  const Statement statement{raw};
  if (prepared != SQLITE_OK) return failed();
  if (!statement) return void(rows.why = "there is no statement in the text");
  const std::string_view all{query.sql};
  if (all.substr(static_cast<std::size_t>(rest - all.data())).find_first_not_of(" \t\r\n;") != all.npos)
    return void(rows.why = "there is more than one statement in the text");
  if (static_cast<std::size_t>(::sqlite3_bind_parameter_count(raw)) != query.parameters.size())
    return void(rows.why = "the statement has " + std::to_string(::sqlite3_bind_parameter_count(raw)) +
                           " parameters, and " + std::to_string(query.parameters.size()) + " were given");
  for (std::size_t i = 0; i < query.parameters.size(); ++i)
    if (std::visit(Bind{raw, static_cast<int>(i + 1)}, query.parameters[i]) != SQLITE_OK) return failed();
  const int columns = ::sqlite3_column_count(raw);
  for (int i = 0; i < columns; ++i) {
    const char *name = ::sqlite3_column_name(raw, i);
    rows.columns.emplace_back(name ? name : "");
  }
  const auto before = ::sqlite3_total_changes(db);
  std::size_t octets = 0;
  int step = SQLITE_ROW;
  while ((step = ::sqlite3_step(raw)) == SQLITE_ROW) {
    auto &row = rows.rows.emplace_back();
    octets += sizeof(std::vector<SqliteValue>);
    for (int i = 0; i < columns; ++i) row.push_back(value_of(raw, i, octets));
    if (octets > query.limit)
      return void(rows.why = "the rows are larger than " + std::to_string(query.limit) + " octets");
  }
  if (step != SQLITE_DONE) return failed();
  rows.changes = ::sqlite3_total_changes(db) - before;
}

}  // namespace mansio::lua
