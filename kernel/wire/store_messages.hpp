// Messages between the host process of a store (kernel/host) and those who use it: ingress and router, which commit
// mail, and the queue, which tells of outcomes and looks through it. Types 200..209. What the queue and its writers say
// to each other about stores is in queue_messages.hpp.
//
// The octets of a message travel as a sealed memfd, both ways, in the form of kernel/mail/stored_copy.hpp. Nothing here
// is acknowledged but by its answer: when either process dies, the channel's end says so.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kernel/mail/store_key.hpp"

namespace mansio::wire {

enum class StoreStatus : std::uint8_t { Ok, NotFound, Failed };

struct StoreCommit {  // client -> host, with the descriptor
  static constexpr std::uint16_t kType = 200;
  std::uint64_t number = 0;  // of this channel
  StoreKey key;
  std::uint64_t length = 0;
  std::int64_t time_limit = 0;  // ns
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.number, s.key, s.length, s.time_limit);
  }
};

struct StoreOutcome {  // client -> host
  static constexpr std::uint16_t kType = 201;
  std::uint64_t number = 0;
  StoreKey key;
  bool last = false;
  std::uint64_t sequence = 0;
  std::string record;           // encode_done(); at most 48 KiB
  std::int64_t time_limit = 0;  // ns
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.number, s.key, s.last, s.sequence, s.record, s.time_limit);
  }
};

struct StoreResult {  // host -> client: of a commit or an outcome
  static constexpr std::uint16_t kType = 202;
  std::uint64_t number = 0;
  StoreStatus status = StoreStatus::Failed;
  std::string text;  // why it failed
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.number, s.status, s.text);
  }
};

struct StoreFetch {  // client -> host: all of a message
  static constexpr std::uint16_t kType = 203;
  std::uint64_t number = 0;
  StoreKey key;
  std::int64_t time_limit = 0;  // ns, of each piece
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.number, s.key, s.time_limit);
  }
};

struct StoreFetched {  // host -> client, with the descriptor when status is Ok
  static constexpr std::uint16_t kType = 204;
  std::uint64_t number = 0;
  StoreStatus status = StoreStatus::Failed;
  std::string text;
  std::uint64_t length = 0;
  std::string record;  // of its newest outcome; "": there is none
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.number, s.status, s.text, s.length, s.record);
  }
};

struct StoreScan {  // client -> host
  static constexpr std::uint16_t kType = 205;
  std::uint64_t number = 0;
  std::string cursor;
  std::uint32_t most = 0;       // keys
  std::int64_t time_limit = 0;  // ns
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.number, s.cursor, s.most, s.time_limit);
  }
};

struct StorePage {  // host -> client
  static constexpr std::uint16_t kType = 206;
  std::uint64_t number = 0;
  StoreStatus status = StoreStatus::Failed;
  std::string text;
  std::string cursor;  // where the next page begins; "": there is none
  std::vector<StoreKey> keys;
  std::uint32_t strangers = 0;  // ids that are no spool's
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.number, s.status, s.text, s.cursor, s.keys, s.strangers);
  }
};

}  // namespace mansio::wire
