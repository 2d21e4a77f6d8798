// mansio.sqlite: statements in a database of SQLite, with their parameters apart.
#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <variant>

#include "plugins/lua/declarations.hpp"
#include "plugins/lua/declare/argument.hpp"
#include "plugins/lua/engine.hpp"
#include "plugins/lua/io/io.hpp"
#include "plugins/lua/io/operation.hpp"
#include "plugins/lua/io/server_options.hpp"
#include "plugins/lua/io/services.hpp"
#include "plugins/lua/io/sqlite_worker.hpp"

namespace mansio::lua {
namespace {

constexpr const char *kDatabaseType = "database";
constexpr std::int64_t kSqliteTimeout = 10'000'000'000;
constexpr std::size_t kRowsLimit = 1 << 20;

struct Database {
  std::string path;
  bool write;
  std::int64_t timeout;
};

// mansio.sqlite(path [, {write =, timeout =}])
int sqlite(lua_State *L) {
  expect_allowed(L, "sqlite", "mansio.sqlite");
  Database made{std::string{text_at<"mansio.sqlite">(L)}, false, kSqliteTimeout};
  if (!made.path.starts_with('/') || made.path.find('\0') != std::string::npos)
    throw ScriptError{"the path is \"" + made.path + "\", expected one from the root on"};
  if (!lua_isnoneornil(L, 2)) {
    expect_table<"mansio.sqlite", 2>(L);
    only_fields(L, 2, "mansio.sqlite", kSqliteOptions);
    made.timeout = timeout_field(L, 2, kSqliteTimeout);
    made.write = flag_field(L, 2, "write");
  }
  new_object<Database>(L, kDatabaseType, std::move(made));
  return 1;
}

SqliteValue value_at(lua_State *L, int index) {
  switch (lua_type(L, index)) {
    case LUA_TNIL:
      return std::monostate{};
    case LUA_TBOOLEAN:
      return std::int64_t{lua_toboolean(L, index)};
    case LUA_TNUMBER:
      if (lua_isinteger(L, index)) return static_cast<std::int64_t>(lua_tointeger(L, index));
      return lua_tonumber(L, index);
    default:
      return std::string{text_at(L, index, "a parameter")};
  }
}

struct Push {
  lua_State *L;
  void operator()(std::monostate) const { lua_pushnil(L); }
  void operator()(std::int64_t value) const { lua_pushinteger(L, value); }
  void operator()(double value) const { lua_pushnumber(L, value); }
  void operator()(const std::string &value) const { push(L, value); }
};

// A list of rows, each by the names of its columns; NULL is not there.
int push_rows(lua_State *L, const SqliteRows &rows) {
  auto &state = State::of(L);
  lua_createtable(L, static_cast<int>(rows.rows.size()), 0);
  for (std::size_t r = 0; r < rows.rows.size(); ++r) {
    state.charge(L, 20 + 10 * rows.columns.size());
    lua_createtable(L, 0, static_cast<int>(rows.columns.size()));
    for (std::size_t c = 0; c < rows.columns.size(); ++c) {
      push(L, rows.columns[c]);
      std::visit(Push{L}, rows.rows[r][c]);
      lua_rawset(L, -3);
    }
    lua_rawseti(L, -2, static_cast<lua_Integer>(r) + 1);
  }
  return 1;
}

plugin::Task<WaitAnswer> run(SqliteWorker &worker, SqliteQuery query, bool wants_rows, plugin::Cancel &cancel) {
  auto rows = std::make_shared<SqliteRows>();
  *rows = co_await worker.run(std::move(query), cancel);
  if (!rows->why.empty()) co_return unavailable(rows->why, rows->late);
  WaitAnswer answer{MANSIO_OK};
  answer.give = [rows, wants_rows](lua_State *L) {
    if (wants_rows) return push_rows(L, *rows);
    lua_pushinteger(L, rows->changes);
    return 1;
  };
  co_return answer;
}

// database:query(sql, ...): the rows; database:execute(sql, ...): how many it changed.
template <bool wants_rows>
int statement(lua_State *L) {
  const auto &database = object_at<Database>(L, 1, kDatabaseType);
  auto &call = may_ask(L, wants_rows ? "database:query" : "database:execute");
  if (!wants_rows && !database.write)
    throw ScriptError{"the database is open for reading alone; mansio.sqlite(path, {write = true}) opens it for both"};
  SqliteQuery query;
  query.path = database.path;
  query.write = database.write;
  query.sql = text_at<"database:query">(L);
  query.deadline = steady_ns() + database.timeout;
  query.limit = std::min(kRowsLimit, State::of(L).call_memory() / 2);
  std::size_t octets = query.limit + query.sql.size();
  for (int i = 3, n = lua_gettop(L); i <= n; ++i) {
    query.parameters.push_back(value_at(L, i));
    octets += sizeof(SqliteValue);
    if (const auto *text = std::get_if<std::string>(&query.parameters.back())) octets += text->size();
  }
  call.state().charge(L, octets / 64);
  auto &worker = call.engine().services().sqlite();
  return wait_for_task(L, call, database.path, octets,
                       [&](plugin::Cancel &cancel) { return run(worker, std::move(query), wants_rows, cancel); });
}

}  // namespace

void add_sqlite(lua_State *L) {
  static constexpr luaL_Reg kMethods[] = {
      {"query", bound<statement<true>>}, {"execute", bound<statement<false>>}, {nullptr, nullptr}};
  make_type(L, kDatabaseType, kMethods, destroy_object<Database>);
  lua_pushcfunction(L, bound<sqlite>);
  lua_setfield(L, -2, "sqlite");
}

}  // namespace mansio::lua
