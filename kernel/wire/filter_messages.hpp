// Messages between an ingress process and the host process of a filter or policy (kernel/host); and between the router
// or a delivery process and that of a policy that has a say in what the queue does. Types 175..181.
//
// Ingress keeps what is known of session and message and sends it with every stage, so that a host process that was
// started anew lacks nothing but the plugin's own memory. Nothing here is acknowledged: when either process dies, the
// channel's end says so.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "kernel/base/id.hpp"
#include "kernel/base/status.hpp"
#include "kernel/mail/edits.hpp"

namespace mansio::wire {

using NamedValues = std::vector<std::pair<std::string, std::string>>;

// One stage of a session or of the queue (MANSIO_STAGE_*). With a descriptor, a sealed memfd, where the message can be
// read.
struct StageCall {  // client -> host
  static constexpr std::uint16_t kType = 175;
  std::uint64_t number = 0;  // of this channel
  std::uint32_t stage = 0;
  std::string session;
  MessageId id;  // 0: there is no message
  std::vector<std::string> arguments;
  NamedValues macros, session_meta, message_meta;
  std::uint64_t length = 0;      // of the message
  std::int64_t time_limit = 0;   // ns
  std::int64_t total_limit = 0;  // ns, also with progress
  bool last = false;             // of the stages of this message's content that the plugin sees
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.number, s.stage, s.session, s.id, s.arguments, s.macros, s.session_meta, s.message_meta, s.length, s.time_limit,
      s.total_limit, s.last);
  }
};

enum class StageOutcome : std::uint8_t { Ok, Skip, Defer, Fail, Failed };  // Failed: the plugin did; `text` says how

struct StageResult {  // host -> client
  static constexpr std::uint16_t kType = 176;
  std::uint64_t number = 0;
  StageOutcome outcome = StageOutcome::Failed;
  std::uint16_t smtp_code = 0;
  EnhancedStatus enhanced;
  std::string text;
  std::vector<Edit> edits;                 // in order; empty but for Ok
  NamedValues session_meta, message_meta;  // that were set; "" removes
  std::vector<std::string> told;           // what the plugin was told meanwhile, for a recording
  std::int64_t retry = 0;                  // ns; Defer: not before; 0 = it did not say
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.number, s.outcome, s.smtp_code, s.enhanced, s.text, s.edits, s.session_meta, s.message_meta, s.told, s.retry);
  }
};

struct StageCancel {  // client -> host
  static constexpr std::uint16_t kType = 177;
  std::uint64_t number = 0;
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.number);
  }
};
struct StageProgress {  // host -> client: its time limit begins anew
  static constexpr std::uint16_t kType = 178;
  std::uint64_t number = 0;
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.number);
  }
};
struct MessageAbort {  // client -> host: that message comes to nothing
  static constexpr std::uint16_t kType = 179;
  std::string session;
  MessageId id;
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.session, s.id);
  }
};
struct StagesWanted {  // host -> client, first: bit 1 << stage
  static constexpr std::uint16_t kType = 180;
  std::uint64_t stages = 0;
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.stages);
  }
};
// Either way: a message that is too large for a frame. Its first descriptor holds the payload, the rest are its own.
struct Large {
  static constexpr std::uint16_t kType = 181;
  std::uint16_t type = 0;
  std::uint64_t size = 0;
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.type, s.size);
  }
};

}  // namespace mansio::wire
