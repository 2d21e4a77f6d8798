// Tables as text, of each type: what parses answers every key, what does not names a line that is there, and a table
// never says "not found" and a value at once.
#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

#include "plugins/lookup-file/tables/table.hpp"
#include "tests/fuzz/target.hpp"

namespace mansio::fuzz::table {
namespace {

using namespace lookup;

// A copy ends in a zero byte: AddressSanitizer's own regexec() looks for one, though REG_STARTEND says where a key
// ends.
void ask(const MemoryTable &table, std::string_view key) {
  const auto answer = table.lookup(std::string{key});
  require((answer.outcome == Answer::Outcome::Found) == !answer.values.empty());
  require((answer.outcome == Answer::Outcome::TryLater) == !answer.text.empty());
}

}  // namespace

MANSIO_FUZZ_TARGET("table-fuzz", data, size) {
  if (size == 0 || size > 4096) return 0;
  // The first byte chooses the type; the last line is one of the keys.
  const auto type = static_cast<TableType>(data[0] % 4);
  const std::string_view text{reinterpret_cast<const char *>(data) + 1, size - 1};
  // The C library's own expressions take time and memory without bound for repetitions of repetitions and for
  // references; tables are the administrator's, so that is theirs to avoid.
  if (type == TableType::Regexp &&
      (text.find_first_of("{\\") != std::string_view::npos || std::count(text.begin(), text.end(), '+') > 8))
    return 0;
  const auto parsed = parse_table(type, text, (data[0] & 4) == 0);
  require((parsed.table != nullptr) == parsed.problems.empty());
  const auto lines = static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n')) + 1;
  for (const auto &problem : parsed.problems)
    require(problem.line >= 1 && problem.line <= lines && !problem.text.empty());
  if (!parsed.table) return 0;
  const auto last = text.rfind('\n');
  for (const auto key : {std::string_view{}, std::string_view{"user@example.com"}, std::string_view{"192.0.2.1"},
                         text.substr(last == std::string_view::npos ? 0 : last + 1)})
    ask(*parsed.table, key.substr(0, 64));
  return 0;
}

}  // namespace mansio::fuzz::table
