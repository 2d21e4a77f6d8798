// Edits of a header section: whatever a plugin gives as a value, what comes of it is one field and owns no other line;
// and whatever a section is, edits that are taken back leave it as it was.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "kernel/mail/edits.hpp"
#include "kernel/mail/headers.hpp"
#include "tests/fuzz/target.hpp"

namespace mansio::fuzz::edits {
namespace {

std::string edited(std::string_view section, const Edit &edit) { return edited_headers(section, {&edit}); }

}  // namespace

MANSIO_FUZZ_TARGET("edits-fuzz", data, size) {
  const std::string_view input{reinterpret_cast<const char *>(data), size};
  const auto half = input.find('\0');
  const auto section = header_section(input.substr(0, half));
  const auto given = half == input.npos ? std::string_view{} : input.substr(half + 1);

  if (const auto value = canonical_header_value("X", given)) {
    const auto field = edited("", {EditKind::AddHeader, 0, "X", *value});
    std::string_view rest{field};
    const auto first = next_field(rest);
    if (!first || first->raw != field || !rest.empty() || first->name != "X") std::abort();
    for (std::size_t i = 0; i < field.size(); ++i) {
      if (field[i] == '\n' && field[i - 1] != '\r') std::abort();
      if (field[i] == '\r' && field[i + 1] != '\n') std::abort();
    }
    if (canonical_header_value("X", *value) != *value) std::abort();
    const auto inserted = edited(section, {EditKind::InsertHeader, 0, "X-Fuzz-Own", *value});
    if (edited(inserted, {EditKind::DeleteHeader, 1, "X-Fuzz-Own", ""}) != section &&
        section.find("uzz-") == section.npos)
      std::abort();
  }
  return 0;
}

}  // namespace mansio::fuzz::edits
