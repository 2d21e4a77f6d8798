// Stored envelopes from untrusted bytes: what decodes encodes to a form that is stable from then on.
#include <cstdint>
#include <cstdlib>

#include "kernel/mail/envelope.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  const auto envelope = mansio::decode_envelope({reinterpret_cast<const char *>(data), size});
  if (!envelope) return 0;
  const auto bytes = mansio::encode_envelope(*envelope);
  const auto again = mansio::decode_envelope(bytes);
  if (!again || mansio::encode_envelope(*again) != bytes) std::abort();
  return 0;
}
