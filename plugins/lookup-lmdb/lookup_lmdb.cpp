// lookup-lmdb: key-value files of LMDB, as `mansio map build` makes them. Options and behaviour: README.md.
#include <unistd.h>

#include <cerrno>
#include <string>
#include <string_view>

#include "plugins/common/ascii.hpp"
#include "plugins/lookup-common/reply.hpp"
#include "plugins/lookup-common/table.hpp"
#include "plugins/lookup-lmdb/lmdb_file.hpp"

namespace mansio::lookup {
namespace {

class LookupLmdb {
 public:
  // On the loop: a lookup is one stat(2) and memory that is mapped.
  static constexpr plugin::Info info{"lookup-lmdb", "1.0"};
  static constexpr mansio_option options[] = {
      {"path", MANSIO_OPT_PATH, MANSIO_OPT_REQUIRED, nullptr, "File of the table, as `mansio map build` makes it."},
      kFoldCase,
      {}};

  explicit LookupLmdb(const plugin::Host &host) : file_(host.option("path")), fold_case_(host.flag("fold_case")) {
    if (const auto wrong = file_.open(); !wrong.empty()) throw plugin::BadConfig{"path", "cannot be used: " + wrong};
  }

  static void check(const plugin::Config &config) {
    const auto path = config.option("path");
    if (::access(path.c_str(), R_OK) != 0) {
      if (errno == ENOENT) throw plugin::BadConfig{"path", "names " + path + ", which is not there"};
      return;  // whether it can be read is for the process that will
    }
    if (const auto wrong = LmdbFile{path}.open(); !wrong.empty())
      throw plugin::BadConfig{"path", "cannot be used: " + wrong};
  }

  plugin::Reply lookup(std::string_view, std::string_view key) {
    return reply(fold_case_ ? file_.lookup(ascii::lower(key)) : file_.lookup(key));
  }

 private:
  LmdbFile file_;
  bool fold_case_;
};

}  // namespace
}  // namespace mansio::lookup

MANSIO_LOOKUP_PLUGIN(mansio::lookup::LookupLmdb)
