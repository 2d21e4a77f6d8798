#include "plugins/lookup-lmdb/lmdb_file.hpp"

#include <utility>

namespace mansio::lookup {

std::string LmdbFile::open() {
  close();
  const auto fail = [&](int error) {
    close();
    return path_ + ": " + ::mdb_strerror(error);
  };
  MDB_env *env = nullptr;
  if (const int error = ::mdb_env_create(&env)) return fail(error);
  env_.reset(env);
  // Before it is opened: if another file comes between, the next lookup opens that.
  file_ = FileIdentity::of(path_);
  if (const int error = ::mdb_env_open(env, path_.c_str(), MDB_RDONLY | MDB_NOSUBDIR | MDB_NOLOCK, 0644))
    return fail(error);
  if (const int error = ::mdb_txn_begin(env, nullptr, MDB_RDONLY, &snapshot_)) return fail(error);
  if (const int error = ::mdb_dbi_open(snapshot_, nullptr, 0, &table_)) return fail(error);
  ::mdb_txn_reset(snapshot_);
  return {};
}

void LmdbFile::close() {
  if (snapshot_) ::mdb_txn_abort(std::exchange(snapshot_, nullptr));
  env_.reset();
  file_.reset();
}

int LmdbFile::get(std::string_view key, std::string &value) {
  MDB_val k{key.size(), const_cast<char *>(key.data())}, v{};
  const int result = ::mdb_get(snapshot_, table_, &k, &v);
  if (result == 0) value.assign(static_cast<const char *>(v.mv_data), v.mv_size);
  return result;
}

Answer LmdbFile::lookup(std::string_view key) {
  if (const auto now = FileIdentity::of(path_); !env_ || !now || now != file_)
    if (auto wrong = open(); !wrong.empty()) return Answer::try_later(std::move(wrong));
  int result = ::mdb_txn_renew(snapshot_);
  std::string value;
  // What is longer than LMDB's keys is in no table.
  if (result == 0) result = key.empty() || key.size() > 510 ? MDB_NOTFOUND : get(key, value);
  if (result == MDB_NOTFOUND && !key.empty() && key.size() <= 510) result = get(std::string{key} + '\0', value);
  ::mdb_txn_reset(snapshot_);
  if (result == MDB_NOTFOUND) return Answer::not_found();
  if (result != 0) {
    close();
    return Answer::try_later(path_ + ": " + ::mdb_strerror(result));
  }
  if (value.ends_with('\0')) value.pop_back();
  return value.empty() ? Answer::not_found() : Answer::found(std::move(value));
}

}  // namespace mansio::lookup
