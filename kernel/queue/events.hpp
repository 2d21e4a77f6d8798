// Events: what the event plugins ([event.NAME]) are told of messages. The queue waits for none of them, and mail is
// never held up or lost for one; an event may be lost, and is counted then.
//
//  - An event is told after the fact is on stable storage: what add() takes is kept until the journal is synced as far
//    as it was written when that turn of the queue's ended (written()).
//  - For each plugin there is a buffer, bounded by its `buffer_size`, for what its process has not taken yet. That
//    process has at most `in_flight_limit` events before it has said that the plugin heard them. What finds the buffer
//    full is dropped: counted, and said once in the log until the buffer is half empty again.
//  - What a process had taken and not answered when it died is not told again: an event that kills the plugin would
//    kill its successors, too. It counts as lost. What is in the buffer waits for the successor.
//  - An event that no plugin wants costs the test of a bit. Before the first process of a plugin has said what it
//    wants, that is every one of messages.
//  - Lines of the log, which all processes write, may take half of a buffer only, so that a flood of them costs no
//    event of a message. They are counted for themselves (docs/decisions/0073).
//
// One process a plugin is told: the one of the newest generation. One that is to go (a reload, the end) is let go once
// it has answered for what it has. Single-threaded.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <vector>

#include "kernel/base/clock.hpp"
#include "kernel/base/log.hpp"
#include "kernel/config/settings.hpp"
#include "kernel/io/channel.hpp"
#include "kernel/queue/link.hpp"
#include "kernel/wire/event_messages.hpp"
#include "kernel/wire/process_messages.hpp"

namespace mansio::queue {

class Events {
 public:
  Events(const Clock &clock, Logger &log, const config::Settings &settings);
  void configure(const config::Settings &settings);  // again: what waits for a plugin that stays goes on waiting

  bool wants(wire::EventKind kind) const { return (wanted_ & wire::bit_of(kind)) != 0; }
  void add(wire::Event &&event);                                  // one of a message, that is wanted
  void tell_log(const wire::LogLines &lines);                     // at once
  void on_log_wanted(std::function<void(bool)> changed);          // called at once, and when it changes
  void written(std::uint64_t sequence, std::uint64_t synced_to);  // the journal, so far: called at each turn's end
  void synced(std::uint64_t sequence);

  // `connection` is the caller's name for that channel.
  void attach(std::uint32_t connection, const wire::Peer &peer, std::shared_ptr<Link> link);
  bool receive(std::uint32_t connection, const io::Message &message);  // false: not from one of ours
  bool closed(std::uint32_t connection);                               // the same
  void draining(const wire::Peer &peer);
  // What a channel refused is tried again. `hung`: that process has not answered for a minute, and is to be ended.
  void tick(const std::function<void(const wire::Peer &)> &hung);
  void finish();  // the journal is closed: all that is left goes out at once, as far as the channels take it

  void stats(const std::function<void(std::string, double)> &put) const;

 private:
  struct Item {
    wire::EventKind kind;
    std::shared_ptr<const std::string> bytes;
  };
  struct Line {  // to one process
    std::uint32_t connection = 0;
    wire::Peer peer;
    std::shared_ptr<Link> link;
    std::uint64_t unanswered = 0;
    Nanos heard = 0;       // mono: when it last answered, or when there was first something to be answered
    bool greeted = false;  // it has said what it wants
    bool going = false;
    bool behind = false;  // its channel took no more: until it answers, or the next tick
  };
  struct Sink {  // a plugin
    std::string name;
    std::uint64_t wanted = wire::kEventsOfMessages;
    std::size_t buffer_size = 0, in_flight_limit = 0;
    std::deque<Item> waiting;
    std::size_t bytes = 0;  // of these
    std::list<Line> lines;
    std::uint64_t told = 0, dropped = 0, lost = 0;
    std::uint64_t dropped_before = 0;  // when this run of dropping began
    bool dropping = false;
    std::uint64_t lines_dropped = 0, lines_dropped_before = 0;  // the same of lines of the log
    bool dropping_lines = false;
  };
  struct Waiting {
    std::uint64_t sequence;
    Item item;
  };

  Sink *sink_of(const wire::Peer &peer);
  Line *find(std::uint32_t connection, Sink *&sink);
  void give(Sink &sink, const Item &item);
  void drop(Sink &sink);
  void drop_line(Sink &sink);
  void send(Sink &sink, bool all = false);
  void let_go(Sink &sink);
  void recount();

  const Clock &clock_;
  Logger &log_;
  std::list<Sink> sinks_;
  std::uint64_t wanted_ = 0;  // by any
  std::function<void(bool)> log_wanted_changed_;
  std::vector<Item> added_;     // since written() was called last
  std::deque<Waiting> held_;    // until the journal is synced that far
  std::size_t held_bytes_ = 0;  // of both
};

}  // namespace mansio::queue
