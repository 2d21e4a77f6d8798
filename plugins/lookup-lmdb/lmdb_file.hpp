// A key-value file of LMDB, opened read-only, and opened anew when another takes its place. One thread.
//
// It is opened without LMDB's locks, so that reading needs no right to write a lock file: whoever changes the table
// makes a new file and renames it, as `mansio map build` does.
#pragma once

#include <lmdb.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "plugins/lookup-common/answer.hpp"
#include "plugins/lookup-common/file_identity.hpp"

namespace mansio::lookup {

class LmdbFile {
 public:
  explicit LmdbFile(std::string path) : path_(std::move(path)) {}
  ~LmdbFile() { close(); }
  LmdbFile(const LmdbFile &) = delete;
  LmdbFile &operator=(const LmdbFile &) = delete;

  // "" or why it cannot be opened.
  std::string open();
  // The key as it is, or with a NUL byte after it, as Postfix's postmap may have stored it.
  Answer lookup(std::string_view key);

 private:
  struct CloseEnv {
    void operator()(MDB_env *env) const { ::mdb_env_close(env); }
  };
  void close();
  // 0, MDB_NOTFOUND or another error.
  int get(std::string_view key, std::string &value);

  std::string path_;
  std::optional<FileIdentity> file_;
  std::unique_ptr<MDB_env, CloseEnv> env_;
  MDB_txn *snapshot_ = nullptr;  // of env_; between lookups it is reset, so that it pins nothing
  MDB_dbi table_ = 0;
};

}  // namespace mansio::lookup
