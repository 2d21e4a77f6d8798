// One lookup: the search, what its entries say, and the entries that these refer to (special_result_attribute).
#pragma once

#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "plugins/lookup-common/table.hpp"
#include "plugins/lookup-ldap/connection.hpp"

namespace mansio::lookup {

class LdapQuery {
 public:
  LdapQuery(const LdapSettings &settings, LdapConnection &connection, Table::Values values)
      : settings_(settings), connection_(connection), values_(std::move(values)) {}

  // Nothing, and `why`: the connection is broken. `base_from_key`: a base that is not there says that the key is not;
  // otherwise the configuration is wrong, of which nobody's mail should bounce.
  std::optional<Answer> run(const std::string &base, bool base_from_key, const std::string &filter,
                            std::string &why) &&;

 private:
  enum class State { Good, Enough, Failed, Broken };  // Enough: more values than there may be

  State search(const LdapSearch &search, std::int64_t depth);
  State entry(LDAPMessage *entry, const std::vector<std::string> &wanted, std::int64_t depth);
  State add(LDAPMessage *entry, const std::vector<std::string> &attributes, const std::vector<std::string> &wanted);
  // The entry with this name, or what an LDAP URL finds on this server.
  State follow(const std::string &reference, std::int64_t depth);
  State fail(const std::string &why);
  std::vector<std::string> all_attributes() const;

  const LdapSettings &settings_;
  LdapConnection &connection_;
  Table::Values values_;
  bool base_must_exist_ = false;
  std::set<std::string> followed_;  // each once: groups may be in each other
  std::string why_;
};

}  // namespace mansio::lookup
