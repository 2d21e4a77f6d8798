// The file of an outcome on a mount of another machine, which may be anything: what is believed is what was written.
#include <cstdint>
#include <string_view>

#include "plugins/store-directory/outcome_file.hpp"
#include "tests/fuzz/target.hpp"

namespace mansio::fuzz::store_outcome {

MANSIO_FUZZ_TARGET("store-outcome-fuzz", data, size) {
  using namespace store_directory;
  const std::string_view text{reinterpret_cast<const char *>(data), size};
  const auto outcome = parse_outcome(text);
  if (!outcome) return 0;
  const auto again = parse_outcome(outcome_text(outcome->sequence, outcome->record));
  require(again && again->sequence == outcome->sequence && again->record == outcome->record);
  require(text.ends_with(outcome->record));
  return 0;
}

}  // namespace mansio::fuzz::store_outcome
