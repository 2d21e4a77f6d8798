// Reasons: what a server last said about a recipient that waits, interned and counted. Thousands of recipients
// waiting for one dead site share one text; a text nobody needs any more is forgotten.
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
std::string reason_text(const Reason &reason);  // as the delivery log prints it: said_text()
wire::RecipientOutcome outcome_of(const Reason &reason, wire::DeliveryStatus status);

using ReasonId = std::uint32_t;  // 0: none

class Reasons {
 public:
  using Hash = std::uint64_t (*)(std::string_view);
  explicit Reasons(Hash hash = [](std::string_view s) { return std::uint64_t{std::hash<std::string_view>{}(s)}; });
  Reasons(const Reasons &) = delete;
  Reasons &operator=(const Reasons &) = delete;

  ReasonId take(const Reason &reason);  // one reference
  ReasonId share(ReasonId id) {         // one more, of one that is there
    ++entries_[id].references;
    return id;
  }
  void drop(ReasonId id);
  Reason get(ReasonId id) const;  // an empty one for none
  std::uint64_t &journaled_as(ReasonId id) {
    return entries_[id].journaled_as;
  }  // the journal's number for it; 0: none
  std::size_t size() const { return entries_.size() - free_.size() - 1; }

 private:
  struct TextId {
    std::uint64_t value;  // its hash
    bool operator==(const TextId &) const = default;
  };
  struct Keys {
    const Reasons &reasons;
    TextId id_of(ReasonId id) const { return reasons.entries_[id].hash; }
    void prefetch_id(ReasonId id) const { mansio::prefetch(reasons.entries_[id]); }
  };
  struct Entry {
    std::unique_ptr<char[]> text;  // the encoded Reason, in as many bytes as it takes
    TextId hash{0};
    std::uint64_t journaled_as = 0;
    std::uint32_t length = 0;  // of the text
    std::uint32_t references = 0;
    std::string_view view() const { return {text.get(), length}; }
  };

  const Hash hash_;
  Chunked<Entry, 256> entries_;  // the first is that of none
  std::vector<ReasonId> free_;
  Keys keys_{*this};
  // By hash. Of texts that share one the first is here, and of the others each has an entry for every reference.
  IdTable<Keys, TextId> by_text_{keys_};
};

}  // namespace mansio::queue
