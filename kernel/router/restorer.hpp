// Restorer: mail that comes back from a store, made into a message of this spool: what the store gives is checked, and
// the recipients that are done are left out.
#pragma once

#include <cstdint>
#include <string_view>

#include "kernel/base/result.hpp"
#include "kernel/host/remote_store.hpp"
#include "kernel/mail/envelope.hpp"
#include "kernel/mail/stored_copy.hpp"

namespace mansio::router {

// A copy whose head and envelope are what was committed. Its body is yet to be read, and compared.
struct OpenedCopy {
  Envelope envelope;  // as it is to be committed; no recipient: all are done
  CopyHead head;
  std::uint64_t body_at = 0;  // where in the copy its body begins
};

// `record`: what the store says of its recipients. Status::Fail: the copy is damaged; anything else: it cannot be read
// now.
Result<OpenedCopy> open_copy(const host::StoreContent &content, std::string_view record, StoreKey key, bool hold);

}  // namespace mansio::router
