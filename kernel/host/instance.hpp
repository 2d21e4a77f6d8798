// Instance: a TransportInstance and what its plugin reaches through mansio_host. services.cpp has the C tables; this
// class is what they call.
//
// Every call into plugin code goes through call(): it sets the crash marker, stops exceptions and, when the outermost
// call has returned, hands what the plugin reported meanwhile to Events in one go. So Events never run inside plugin
// code, and a plugin that answers at once costs no system call.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "kernel/host/operations.hpp"
#include "kernel/host/plugin.hpp"
#include "kernel/host/reply.hpp"
#include "kernel/host/timers.hpp"
#include "kernel/host/watches.hpp"

namespace mansio::host {

class Instance final : public TransportInstance {
 public:
  Instance(asio::io_context &loop, const Clock &clock, Logger &log, io::Dns &dns, const mansio_plugin &plugin,
           InstanceOptions options, Events events);
  ~Instance() override;
  Result<void> begin();  // create() and the transport's vtable

  void start(const wire::Lease &lease, MessageSource message) override;
  void cancel(std::uint64_t lease) override;
  std::size_t in_flight() const override { return operations_.size(); }
  std::uint64_t misbehaviours() const override { return misbehaviours_; }

  // What services.cpp calls, by service. Thread tags as in abi.h.
  void log(int level, std::uint64_t op, std::string_view text);
  void problem(std::string_view option, std::string_view text);
  mansio_str option(const char *name) const { return lookup(options_.options, name); }
  mansio_str fact(const char *name) const { return lookup(options_.facts, name); }
  void answer(std::uint64_t op, std::int64_t recipient, const mansio_reply *reply);  // recipient -1: the last word
  bool alive(std::uint64_t op) const { return operations_.alive(op); }
  bool watch(int fd, int events, mansio_ready_fn ready, void *arg);
  void forget(int fd) { watches_.forget(fd); }
  std::uint64_t timer(Nanos after, mansio_timer_fn fire, void *arg);
  void cancel_timer(std::uint64_t id) { timers_.cancel(id); }
  void post(mansio_timer_fn run, void *arg);
  Nanos now() const { return clock_.mono(); }
  void query(std::string_view name, std::uint16_t type, mansio_dns_fn done, void *arg);
  std::uint64_t message_length(std::uint64_t op) const;
  std::int64_t message_read(std::uint64_t op, std::uint64_t offset, char *to, std::size_t n) const;
  std::size_t message_slices(std::uint64_t op, mansio_slice *to, std::size_t max, std::size_t stride) const;

 private:
  struct Report {
    std::uint64_t op;
    std::int64_t recipient;
    Answer answer;
  };

  static mansio_str lookup(const std::map<std::string, std::string> &values, const char *name);
  bool on_loop() const { return std::this_thread::get_id() == thread_; }
  // Runs plugin code on behalf of `op` (0: none known). False if it threw.
  template <class F>
  bool call(std::uint64_t op, F f);
  void flush();
  void take(const Report &report);
  void end(std::uint64_t op, const Answer &last);
  void deadline(std::uint64_t op);
  void complain(const std::string &line);
  void misbehaves(std::string_view what, MessageId message = {});

  const Clock &clock_;
  Logger &log_;
  io::Dns &dns_;
  const mansio_plugin &plugin_;
  InstanceOptions options_;
  Events events_;
  mansio_host host_;
  void *self_ = nullptr;
  const mansio_transport *transport_ = nullptr;
  const std::thread::id thread_ = std::this_thread::get_id();
  Operations operations_;
  std::map<std::uint64_t, std::uint64_t> by_lease_;  // lease -> op
  Timers timers_;
  Watches watches_;
  Inbox inbox_;
  std::vector<Report> reports_;  // of the plugin call under way
  bool beginning_ = false;       // create() is under way
  std::string complaints_;       // what it said meanwhile
  int depth_ = 0;                // plugin calls under way
  bool flushing_ = false;
  std::uint64_t current_ = 0;  // op on whose behalf plugin code runs
  std::uint64_t misbehaviours_ = 0;
  std::shared_ptr<int> alive_ = std::make_shared<int>();
};

const void *service(const char *iface);  // vtable by id, or null

}  // namespace mansio::host
