// Reasons: what a server last said about a recipient that waits, interned and counted. Thousands of recipients
// waiting for one dead site share one text, be it that of their own failure or that they were not tried for it; a text
// nobody needs any more is forgotten.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "kernel/base/chunked.hpp"
#include "kernel/base/codec.hpp"
#include "kernel/base/prefetch.hpp"
#include "kernel/base/status.hpp"
#include "kernel/queue/id_table.hpp"
#include "kernel/wire/queue_messages.hpp"

namespace mansio::queue {

struct Reason {
  std::uint16_t smtp_code = 0;
  EnhancedStatus enhanced;
  std::string text, remote_mta, relay;
  bool operator==(const Reason &) const = default;
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.smtp_code, s.enhanced, s.text, s.remote_mta, s.relay);
  }
};

Reason reason_of(const wire::RecipientOutcome &outcome);
// Of mail that is not tried, since its destination is suspended for `why`.
Reason suspended_reason(EnhancedStatus status, std::string_view why);
std::string reason_text(const Reason &reason);  // as the delivery log prints it: said_text()
wire::RecipientOutcome outcome_of(const Reason &reason, wire::DeliveryStatus status);

using ReasonId = std::uint32_t;  // 0: none; below 2^31

class Reasons {
 public:
  using Hash = std::uint64_t (*)(std::string_view);
  explicit Reasons(Hash hash = [](std::string_view s) { return std::uint64_t{std::hash<std::string_view>{}(s)}; });
  Reasons(const Reasons &) = delete;
  Reasons &operator=(const Reasons &) = delete;

  ReasonId take(const Reason &reason);  // one reference
  ReasonId share(ReasonId id) {         // one more, of one that is there
    ++entries_[id & ~kSuspended].references;
    return id;
  }
  void drop(ReasonId id);
  Reason get(ReasonId id) const;  // an empty one for none
  // The journal's number for it; 0: none.
  std::uint64_t &journaled_as(ReasonId id) {
    return entries_[id & ~kSuspended].journaled_as[(id & kSuspended) == 0 ? 0 : 1];
  }
  std::size_t size() const { return entries_.size() - free_.size() - 1; }

 private:
  // In an id: suspended_reason() of what the entry says, of which a backlog to many dead destinations has as many.
  static constexpr ReasonId kSuspended = 1u << 30;

  struct Hashed {
    std::uint64_t value;
    bool operator==(const Hashed &) const = default;
  };
  struct Entry {
    std::unique_ptr<char[]> text;            // the encoded Reason, in as many bytes as it takes
    Hashed whole{0}, said{0};                // of all of it, and of Reason::text
    std::uint64_t journaled_as[2] = {0, 0};  // as it is, and as kSuspended
    std::uint32_t length = 0;                // of the text
    std::uint32_t references = 0;
    std::string_view view() const { return {text.get(), length}; }
  };

  template <Hashed Entry::*kHash>
  struct Keys {
    const Reasons &reasons;
    Hashed id_of(ReasonId id) const { return reasons.entries_[id].*kHash; }
    void prefetch_id(ReasonId id) const { mansio::prefetch(reasons.entries_[id]); }
  };

  ReasonId failure_behind(const Reason &reason) const;

  const Hash hash_;
  Chunked<Entry, 256> entries_;  // the first is that of none
  std::vector<ReasonId> free_;
  Keys<&Entry::whole> wholes_{*this};
  Keys<&Entry::said> sayings_{*this};
  // By hash. Of those that share one the first is here. Of the others each has an entry for every reference in the one,
  // and in the other no suspended mail shares its text.
  IdTable<Keys<&Entry::whole>, Hashed> by_whole_{wholes_};
  IdTable<Keys<&Entry::said>, Hashed> by_said_{sayings_};
};

}  // namespace mansio::queue
