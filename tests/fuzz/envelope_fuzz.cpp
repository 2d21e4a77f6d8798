// Stored envelopes from untrusted bytes: what decodes encodes to a form that is stable from then on.
#include <cstdint>
#include <cstdlib>

#include "kernel/mail/envelope.hpp"
#include "tests/fuzz/target.hpp"

namespace mansio::fuzz::envelope {

MANSIO_FUZZ_TARGET("envelope-fuzz", data, size) {
  const auto envelope = decode_envelope({reinterpret_cast<const char *>(data), size});
  if (!envelope) return 0;
  const auto bytes = encode_envelope(*envelope);
  const auto again = decode_envelope(bytes);
  if (!again || encode_envelope(*again) != bytes) std::abort();
  return 0;
}

}  // namespace mansio::fuzz::envelope
