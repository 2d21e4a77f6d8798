#include "kernel/mail/stored_copy.hpp"

#include <algorithm>

#include "kernel/base/codec.hpp"
#include "kernel/base/crc32c.hpp"

namespace mansio {
namespace {

constexpr std::string_view kMark = "MANSIOCP";
constexpr std::uint16_t kCopyVersion = 1;
constexpr char kDoneEncoding = 1;

Error no_copy(const char *why) { return {Status::Fail, why, {5, 3, 0}}; }

}  // namespace

std::string encode_copy_head(const CopyHead &head) {
  std::string out{kMark};
  Encoder e{out};
  e(kCopyVersion, std::uint16_t{0}, head.envelope_length, head.body_length, head.envelope_crc, head.body_crc);
  e(crc32c(out));
  return out;
}

Result<CopyHead> decode_copy_head(std::string_view bytes) {
  if (bytes.size() < kCopyHead || !bytes.starts_with(kMark)) return no_copy("it is no copy of a message");
  Decoder d{bytes.substr(kMark.size(), kCopyHead - kMark.size())};
  CopyHead head;
  std::uint16_t version = 0, zero = 0;
  std::uint32_t crc = 0;
  d(version, zero, head.envelope_length, head.body_length, head.envelope_crc, head.body_crc, crc);
  if (!d.finished() || crc != crc32c(bytes.substr(0, kCopyHead - sizeof crc))) return no_copy("its head is damaged");
  if (version != kCopyVersion || zero != 0)
    return no_copy("it was written by a version of Mansio that is not known here");
  return head;
}

std::string encode_done(const std::vector<bool> &done, std::size_t most) {
  std::string out(1, kDoneEncoding), next;
  for (std::size_t at = 0; at < done.size();) {
    const auto from = std::find(done.begin() + static_cast<std::ptrdiff_t>(at), done.end(), true);
    const auto to = std::find(from, done.end(), false);
    if (from == done.end()) break;
    next.clear();
    Encoder e{next};
    e.varint(static_cast<std::uint64_t>(from - done.begin()) - at);
    e.varint(static_cast<std::uint64_t>(to - from));
    if (out.size() + next.size() > most) break;
    out += next;
    at = static_cast<std::size_t>(to - done.begin());
  }
  return out;
}

std::optional<std::vector<bool>> decode_done(std::string_view bytes, std::size_t recipients) {
  std::vector<bool> done(recipients, false);
  if (bytes.empty()) return done;
  if (bytes.front() != kDoneEncoding) return std::nullopt;
  Decoder d{bytes.substr(1)};
  for (std::size_t at = 0; d.ok() && !d.rest().empty();) {
    const auto gap = d.varint();
    const auto run = d.varint();
    if (!d.ok() || gap > recipients - at || run == 0 || run > recipients - at - gap) return std::nullopt;
    at += gap;
    std::fill_n(done.begin() + static_cast<std::ptrdiff_t>(at), run, true);
    at += run;
  }
  if (!d.ok()) return std::nullopt;
  return done;
}

}  // namespace mansio
