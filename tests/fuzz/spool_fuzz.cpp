// Any bytes as a spool file: header, records, messages. Nothing may be read outside them or crash.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "kernel/mail/envelope.hpp"
#include "kernel/spool/commits.hpp"
#include "kernel/spool/messages.hpp"
#include "tests/fuzz/target.hpp"

namespace mansio::fuzz::spool {

MANSIO_FUZZ_TARGET("spool-fuzz", data, size) {
  using namespace mansio::spool;
  const std::string_view input{reinterpret_cast<const char *>(data), size};
  FileHeader header;
  if (auto parsed = parse_header(input)) header = *parsed;
  MemoryBytes bytes{input};
  const auto report = find_messages(bytes, header, 0, true, [&](const FoundCommit &found) {
    if (found.intact) (void)decode_envelope(found.envelope);
  });
  if (report.scan.end > size + 8 && report.scan.end != kFirstRecord) std::abort();
  (void)parse_commit(input, {1, 1, size, size});
  (void)parse_seal(input);
  Commits commits;
  if (size < 4096) (void)commits.decode_done(input);
  return 0;
}

}  // namespace mansio::fuzz::spool
