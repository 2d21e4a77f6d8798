// A message as a store ([store.NAME]) keeps it beside the spool: what its octets are, and what is said of its
// recipients later. docs/spool-format.md describes the bytes. They come back from another machine, perhaps years
// later, so what is read here is believed only as far as its checksums go.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kernel/base/result.hpp"

namespace mansio {

// What stands before envelope and body.
struct CopyHead {
  std::uint32_t envelope_length = 0, envelope_crc = 0;  // of encode_envelope()
  std::uint64_t body_length = 0;                        // trace headers included, as in the spool
  std::uint32_t body_crc = 0;
};
inline constexpr std::size_t kCopyHead = 36;
std::string encode_copy_head(const CopyHead &head);
// Of the first kCopyHead octets or more. Fails with Status::Fail.
Result<CopyHead> decode_copy_head(std::string_view bytes);

// Which recipients are done, by their places in the envelope. What would take more octets than `most` is left out:
// those recipients count as not done.
std::string encode_done(const std::vector<bool> &done, std::size_t most = 32 * 1024);
// Nothing: no version of Mansio says that of so many recipients.
std::optional<std::vector<bool>> decode_done(std::string_view bytes, std::size_t recipients);

}  // namespace mansio
