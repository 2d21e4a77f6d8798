// What the tables that ask a server have in common: which keys are asked at all (`domain`, what the templates need),
// and what becomes of the values that come back (`result_format`, `expansion_limit`). Parameters as in Postfix's
// ldap_table(5).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "mansio/config.hpp"
#include "plugins/lookup-common/answer.hpp"
#include "plugins/lookup-common/expansion.hpp"

namespace mansio::lookup {

// Rows for a plugin's table of options.
inline constexpr mansio_option kFoldCase{"fold_case", MANSIO_OPT_BOOLEAN, 0, "true",
                                         "ASCII letters of the key are made lower case before it is looked up."};
inline constexpr mansio_option kDomain{
    "domain", MANSIO_OPT_LIST, 0, nullptr,
    "Domains whose addresses are looked up; with any, all other keys are not found without asking: addresses in other "
    "domains, names without domain, `@domain`."};
inline constexpr mansio_option kResultFormat{
    "result_format", MANSIO_OPT_TEXT, 0, "%s",
    "What is made of each value: `%s` the value, `%u` and `%d` its local part and domain, `%S`, `%U`, `%D` the same of "
    "the key, `%1` to `%9` labels of the key's domain from the last."};
inline constexpr mansio_option kExpansionLimit{
    "expansion_limit", MANSIO_OPT_INTEGER, 0, "0",
    "Most values of one answer; a lookup that finds more ends in \"try later\". 0 means any number."};

inline constexpr mansio_option kRetryInterval{
    "retry_interval", MANSIO_OPT_DURATION, 0, "5s",
    "How long a server that could not be used is not tried again; 0: each lookup tries it."};
inline constexpr mansio_option kIdleInterval{"idle_interval", MANSIO_OPT_DURATION, 0, "60s",
                                             "Connections that were not used for this long are closed."};

class Table {
 public:
  // Reads the four options above; throws BadConfig. One that the plugin does not declare has its default.
  explicit Table(const plugin::Config &config);
  Table(bool fold_case, const std::vector<std::string> &domains, std::string_view result_format,
        std::int64_t expansion_limit);

  // The key to ask with. Nothing: the answer is "not found" without asking.
  std::optional<std::string> key(std::string_view raw) const;

  // Collects the values of one answer.
  class Values {
   public:
    Values(const Table &table, std::string_view key) : table_(table), key_(key) {}
    // False: there are too many, the rest need not be fetched.
    bool add(std::string_view value);
    Answer answer() &&;

   private:
    const Table &table_;
    std::string_view key_;
    std::vector<std::string> values_;
    bool too_many_ = false;
  };

 private:
  bool fold_case_;
  std::unordered_set<std::string> domains_;
  Template result_format_;
  std::size_t expansion_limit_;
};

}  // namespace mansio::lookup
