// Messages between a process that runs plugins and the router: mail that a plugin puts into the queue, and permits of
// limits that it takes, which the router has of the queue process. Types 210..213.
//
// The content travels as a sealed memfd, as the plugin gave it: line ends are the router's to make canonical, and
// nothing of what is said here is believed before the router has looked at it. Nothing is acknowledged but by its
// result: when the router dies, the channel's end says so, and what was under way may be in the spool all the same.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "kernel/base/id.hpp"
#include "kernel/base/status.hpp"

namespace mansio::wire {

struct SubmitCall {  // plugin's process -> router, with the descriptor of the content; may be Large
  static constexpr std::uint16_t kType = 210;
  std::uint64_t number = 0;  // of this channel
  std::string plugin;        // "filter quarantine", for the log
  std::uint32_t flags = 0;   // MANSIO_MSG_*
  std::string sender;
  std::vector<std::string> recipients;
  std::vector<std::pair<std::string, std::string>> metadata;
  std::uint64_t length = 0;  // of the content
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.number, s.plugin, s.flags, s.sender, s.recipients, s.metadata, s.length);
  }
};

struct SubmitResult {  // router -> plugin's process
  static constexpr std::uint16_t kType = 211;
  std::uint64_t number = 0;
  Status status = Status::Defer;  // Ok: on stable storage; Defer; Fail
  MessageId id;                   // of Ok
  std::string text;               // why not
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.number, s.status, s.id, s.text);
  }
};

// Plugin's process -> router -> queue, each with numbers of its own channel.
struct PermitsAsk {
  static constexpr std::uint16_t kType = 212;
  std::uint64_t number = 0;
  std::string limit, key;  // "campaign_rate_limit", and the campaign
  std::uint32_t want = 0;
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.number, s.limit, s.key, s.want);
  }
};
struct PermitsGiven {  // and back
  static constexpr std::uint16_t kType = 213;
  static constexpr std::int64_t kNever = -1;
  std::uint64_t number = 0;
  std::uint32_t granted = 0;
  std::int64_t retry = 0;  // ns; of none granted: not before; kNever: there is no such limit
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.number, s.granted, s.retry);
  }
};

}  // namespace mansio::wire
