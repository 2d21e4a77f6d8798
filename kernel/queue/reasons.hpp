// Reasons: what a server last said about a recipient that waits, interned and counted. Thousands of recipients
// waiting for one dead site share one text; a text nobody needs any more is forgotten.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "kernel/base/codec.hpp"
#include "kernel/base/status.hpp"
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
wire::RecipientOutcome outcome_of(const Reason &reason, wire::DeliveryStatus status);

using ReasonId = std::uint32_t;  // 0: none

class Reasons {
 public:
  ReasonId take(const Reason &reason);  // one reference
  void drop(ReasonId id);
  Reason get(ReasonId id) const;  // an empty one for none
  std::uint64_t &journaled_as(ReasonId id) {
    return entries_[id].journaled_as;
  }  // the journal's number for it; 0: none
  std::size_t size() const { return by_key_.size(); }

 private:
  struct Entry {
    const std::string *key = nullptr;  // the encoded Reason, in by_key_: a text is kept once
    std::uint64_t journaled_as = 0;
    std::uint32_t references = 0;
  };
  std::vector<Entry> entries_ = std::vector<Entry>(1);
  std::vector<ReasonId> free_;
  std::unordered_map<std::string, ReasonId> by_key_;
};

}  // namespace mansio::queue
