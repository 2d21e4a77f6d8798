// A `query` of Postfix's mysql_table(5), pgsql_table(5) or sqlite_table(5) as a prepared statement. Each '...' literal
// with an expansion in it, such as '%s' or '%u@%d', becomes one parameter, so what the key contains is never a part of
// the SQL text and needs no quoting. An expansion outside of such a literal could not be made safe and is refused.
// Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "plugins/lookup-common/expansion.hpp"

namespace mansio::lookup {

enum class Placeholder { Question, Dollar };  // ? (SQLite, MariaDB) or $1, $2, ... (PostgreSQL)

class SqlQuery {
 public:
  // Throws BadConfig for the option "query".
  SqlQuery(std::string_view query, Placeholder style);

  const std::string &text() const { return text_; }
  std::size_t parameters() const { return parameters_.size(); }
  // Nothing: the key does not have what the query names, which is "not found" without asking.
  std::optional<std::vector<std::string>> bind(std::string_view key) const;

 private:
  std::string text_;
  std::vector<Template> parameters_;
};

}  // namespace mansio::lookup
