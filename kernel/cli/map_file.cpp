// The file that `mansio map` builds and asks: LMDB, one table of keys and values without NUL bytes after them.
#include <fcntl.h>
#include <lmdb.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <map>
#include <memory>
#include <system_error>
#include <utility>

#include "kernel/cli/map.hpp"
#include "kernel/io/fd.hpp"
#include "mansio/text_table.hpp"

namespace mansio::cli {
namespace {

// LMDB's limit on keys, as Debian builds it.
constexpr std::size_t kLongestKey = 511;

using Entries = std::map<std::string, std::string>;

struct Close {
  void operator()(MDB_env *env) const { ::mdb_env_close(env); }
  void operator()(MDB_txn *txn) const { ::mdb_txn_abort(txn); }
};
using Env = std::unique_ptr<MDB_env, Close>;

Error failure(const std::string &path, int lmdb_error) {
  return {Status::Internal, path + ": " + ::mdb_strerror(lmdb_error)};
}

// ASCII letters, as the plugin folds them.
std::string fold(std::string text, bool fold_case) {
  if (fold_case)
    for (auto &c : text)
      if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + ('a' - 'A'));
  return text;
}

Result<Env> open_env(const std::string &path, unsigned flags, std::size_t map_size) {
  MDB_env *raw = nullptr;
  if (const int error = ::mdb_env_create(&raw)) return failure(path, error);
  Env env{raw};
  if (map_size != 0) ::mdb_env_set_mapsize(raw, map_size);
  if (const int error = ::mdb_env_open(raw, path.c_str(), flags | MDB_NOSUBDIR | MDB_NOLOCK, 0644))
    return failure(path, error);
  return env;
}

MDB_val val(const std::string &s) { return {s.size(), const_cast<char *>(s.data())}; }

// 0 or LMDB's error.
int write_entries(MDB_env *env, const Entries &entries) {
  MDB_txn *raw = nullptr;
  if (const int error = ::mdb_txn_begin(env, nullptr, 0, &raw)) return error;
  std::unique_ptr<MDB_txn, Close> txn{raw};
  MDB_dbi table = 0;
  if (const int error = ::mdb_dbi_open(raw, nullptr, 0, &table)) return error;
  for (const auto &[key, value] : entries) {
    auto k = val(key), v = val(value);
    // They come in LMDB's order, which is that of bytes.
    if (const int error = ::mdb_put(raw, table, &k, &v, MDB_APPEND)) return error;
  }
  return ::mdb_txn_commit(txn.release());
}

Result<void> sync(const std::string &path, int flags) {
  const io::UniqueFd fd{::open(path.c_str(), flags | O_RDONLY | O_CLOEXEC)};
  if (fd.get() >= 0 && ::fsync(fd.get()) == 0) return {};
  return Error{Status::Internal, path + ": " + std::system_category().message(errno)};
}

Result<void> write_file(const Entries &entries, const std::string &path) {
  std::size_t bytes = 1 << 20;
  for (const auto &[key, value] : entries) bytes += 2 * (key.size() + value.size() + 64);
  for (;; bytes *= 2) {
    ::unlink(path.c_str());
    const auto env = open_env(path, 0, bytes);
    if (!env) return env.error();
    const int error = write_entries(env->get(), entries);
    if (error == 0) return {};
    if (error != MDB_MAP_FULL) return failure(path, error);
  }
}

}  // namespace

Result<std::size_t> build_map(std::string_view text, const std::string &source, const std::string &to, bool fold_case) {
  std::vector<plugin::TextTableProblem> problems;
  Entries entries;
  for (auto &entry : plugin::table_entries(text, problems)) {
    auto key = fold(std::move(entry.key), fold_case);
    if (key.size() > kLongestKey)
      problems.push_back({entry.line, "has a key of " + std::to_string(key.size()) + " bytes, expected up to " +
                                          std::to_string(kLongestKey)});
    else if (!entries.emplace(key, std::move(entry.value)).second)
      problems.push_back({entry.line, "has the key \"" + key + "\" once more, expected each key once"});
  }
  if (!problems.empty()) {
    std::string all;
    for (const auto &p : problems)
      all += (all.empty() ? "" : "\n") + source + ":" + std::to_string(p.line) + ": " + p.text;
    return Error{Status::Fail, all};
  }
  const auto fresh = to + ".new." + std::to_string(::getpid());
  const auto slash = to.rfind('/');
  const auto folder = slash == std::string::npos ? std::string{"."} : to.substr(0, slash + 1);
  auto done = write_file(entries, fresh);
  if (done) done = sync(fresh, 0);
  if (done && std::rename(fresh.c_str(), to.c_str()) != 0)
    done = Error{Status::Internal, to + ": " + std::system_category().message(errno)};
  if (done) done = sync(folder, O_DIRECTORY);
  if (done) return entries.size();
  ::unlink(fresh.c_str());
  return done.error();
}

Result<std::vector<std::optional<std::string>>> query_map(const std::string &path, const std::vector<std::string> &keys,
                                                          bool fold_case) {
  const auto env = open_env(path, MDB_RDONLY, 0);
  if (!env) return env.error();
  MDB_txn *raw = nullptr;
  if (const int error = ::mdb_txn_begin(env->get(), nullptr, MDB_RDONLY, &raw)) return failure(path, error);
  const std::unique_ptr<MDB_txn, Close> txn{raw};
  MDB_dbi table = 0;
  if (const int error = ::mdb_dbi_open(raw, nullptr, 0, &table)) return failure(path, error);
  std::vector<std::optional<std::string>> values;
  for (const auto &given : keys) {
    auto &value = values.emplace_back();
    const auto key = fold(given, fold_case);
    if (key.empty() || key.size() > kLongestKey) continue;
    auto k = val(key);
    MDB_val v{};
    const int error = ::mdb_get(raw, table, &k, &v);
    if (error == 0)
      value.emplace(static_cast<const char *>(v.mv_data), v.mv_size);
    else if (error != MDB_NOTFOUND)
      return failure(path, error);
  }
  return values;
}

}  // namespace mansio::cli
