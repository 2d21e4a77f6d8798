// Desk: the delivery process's side of the lease protocol (kernel/wire/queue_messages.hpp), between the channel to the
// queue and one transport instance.
//
// It holds leases, never mail. What a recipient's delivery came to is sent as soon as it is known; it is also kept
// until the queue has said that it is on stable storage, and presented again whenever the queue is attached anew:
// neither a dead queue nor a broken channel loses an outcome. Outcomes of one turn of the loop share a message.
//
// Single-threaded. The desk outlives the instance it is given.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "kernel/base/log.hpp"
#include "kernel/host/transport.hpp"
#include "kernel/io/asio.hpp"
#include "kernel/io/channel.hpp"
#include "kernel/io/fd.hpp"
#include "kernel/wire/queue_messages.hpp"

namespace mansio::egress {

struct DeskCounters {
  std::uint64_t leases = 0, refused = 0, sent = 0, deferred = 0, bounced = 0, uncertain = 0;
};

class Desk {
 public:
  Desk(asio::io_context &loop, Logger &log, std::string transport, std::uint32_t capacity);
  ~Desk();
  Desk(const Desk &) = delete;
  Desk &operator=(const Desk &) = delete;

  // The transport reports here. `working_on` is the caller's to add.
  host::TransportInstance::Events events();
  void employ(host::TransportInstance *transport) { transport_ = transport; }  // null: it takes none
  // Instead of the transport's complete(): it was never asked, for a reason that says nothing of the destination.
  void defer(std::uint64_t lease, const wire::RecipientOutcome &why);
  // The same: a policy did not let it begin. `word` is none of None and Redirect.
  void turn_away(std::uint64_t lease, const wire::PolicyWord &word);

  // A channel not started yet; it takes the place of an earlier one. `lost` runs when it closes.
  void attach(std::shared_ptr<io::Channel> channel, std::function<void()> lost);
  bool attached() const { return channel_ != nullptr; }

  // `idle` runs (once, on the loop) when nothing is in hand: no delivery under way and, unless the queue is gone,
  // every outcome acknowledged. Leases that still come are worked on: the queue had given them already.
  void drain(std::function<void()> idle);
  // The time is nearly up: asks the transport to give up what it has, and takes nothing more. What comes of that is no
  // fault of the destination's, and the queue is told so.
  void cancel_all();

  std::size_t running() const { return running_; }
  std::size_t held() const { return held_.size(); }  // running, or not acknowledged
  const DeskCounters &counters() const { return counters_; }

 private:
  struct Held {
    MessageId message;
    std::vector<std::uint32_t> recipients;  // envelope indices
    std::vector<bool> reported;
    std::vector<wire::RecipientOutcome> outcomes;  // in the order they came
    std::size_t sent = 0;                          // of these, on this channel
    bool done = false, done_sent = false, site_failure = false, refused = false, no_feedback = false;
    bool cancelled = false, interrupted = false;  // by cancel_all(); and before all was said
    std::string reason, destination;
    std::int32_t ended_with = 0;         // pid of the plugin's process
    std::vector<wire::PolicyWord> word;  // one, or none
  };
  using Segment = std::pair<std::uint32_t, std::uint32_t>;

  void hello();
  void receive(io::Message &message);
  void lease(std::string_view payload);
  void refuse(std::uint64_t lease, MessageId message, std::string reason, bool tried = false);
  void acknowledged(const wire::OutcomesAck &ack);
  Result<host::MessageSource> source(const wire::Lease &lease) const;
  void recipient(std::uint64_t lease, const wire::RecipientOutcome &outcome);
  void complete(std::uint64_t lease, const wire::RecipientOutcome &last, bool site_failure,
                const std::string &destination);
  void record(Held &held, const wire::RecipientOutcome &outcome);
  void changed(std::uint64_t lease);
  void flush_soon();
  void flush();
  bool send(std::uint64_t lease, Held &held);
  void check_idle();

  asio::io_context &loop_;
  Logger &log_;
  std::string name_;
  std::uint32_t capacity_;
  host::TransportInstance *transport_ = nullptr;
  std::shared_ptr<io::Channel> channel_;
  std::function<void()> lost_;
  std::map<Segment, std::shared_ptr<io::UniqueFd>> segments_;
  std::map<std::uint64_t, Held> held_;
  std::size_t running_ = 0;
  std::set<std::uint64_t> changed_;  // leases with something to send
  bool flush_scheduled_ = false, giving_up_ = false;
  asio::steady_timer retry_;
  std::function<void()> idle_;
  DeskCounters counters_;
  std::shared_ptr<int> alive_ = std::make_shared<int>();
};

}  // namespace mansio::egress
