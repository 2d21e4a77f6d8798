#include "kernel/router/restorer.hpp"

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "kernel/base/crc32c.hpp"

namespace mansio::router {
namespace {

Error damaged(std::string why) { return {Status::Fail, std::move(why), {5, 3, 0}}; }

Result<std::string> read_part(const io::UniqueFd &fd, std::uint64_t at, std::size_t n) {
  std::string out(n, '\0');
  for (std::size_t done = 0; done < n;) {
    const auto got = ::pread(fd.get(), out.data() + done, n - done, static_cast<off_t>(at + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return Error{Status::Defer, std::string{"the copy cannot be read: "} + std::strerror(errno)};
    if (got == 0) return damaged("the copy is shorter than it says");
    done += static_cast<std::size_t>(got);
  }
  return out;
}

}  // namespace

Result<OpenedCopy> open_copy(const host::StoreContent &content, std::string_view record, StoreKey key, bool hold) {
  if (content.length < kCopyHead) return damaged("the copy is shorter than its head");
  auto bytes = read_part(content.fd, 0, kCopyHead);
  if (!bytes) return bytes.error();
  auto head = decode_copy_head(*bytes);
  if (!head) return head.error();
  OpenedCopy copy;
  copy.head = *head;
  copy.body_at = kCopyHead + std::uint64_t{head->envelope_length};
  if (copy.body_at > content.length || head->body_length != content.length - copy.body_at)
    return damaged("the copy is not as long as it says");
  bytes = read_part(content.fd, kCopyHead, head->envelope_length);
  if (!bytes) return bytes.error();
  if (crc32c(*bytes) != head->envelope_crc) return damaged("its envelope is damaged");
  auto envelope = decode_envelope(*bytes);
  if (!envelope) return envelope.error();
  const auto done = decode_done(record, envelope->recipients.size());
  if (!done) return damaged("what is said of its recipients is damaged");
  std::vector<Recipient> left;
  for (std::size_t i = 0; i < done->size(); ++i)
    if (!(*done)[i]) left.push_back(std::move(envelope->recipients[i]));
  envelope->recipients = std::move(left);
  // That message is of another spool, where this name means something else.
  envelope->dsn_parent = {};
  envelope->restored = key;
  if (hold) {
    envelope->hold_until = std::numeric_limits<Nanos>::max();
    std::erase_if(envelope->metadata, [](const auto &of) { return of.first == "mansio.hold_reason"; });
    envelope->metadata.emplace_back("mansio.hold_reason", "restored from a store");
  }
  copy.envelope = std::move(*envelope);
  return copy;
}

}  // namespace mansio::router
