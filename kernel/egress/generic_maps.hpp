// GenericMaps: a transport whose mail has other addresses on its way out than in the queue (smtp_generic_maps). It
// stands before the instance that delivers, in this process or another, so that it serves every transport; a transport
// without such tables has none of this before it, and its mail no step more.
//
// Sender, recipients and the addresses of the header are rewritten in the lease and in what the transport reads. The
// queue, its log and notifications keep the addresses that the message has there, and it goes where those do: a lease
// without a next hop gets one, the domain that its recipients had. Where a table cannot say in time, or the message
// cannot be read, the delivery is deferred; the transport is not asked, and its destination not blamed. Why is said in
// the log: what the outcome says goes to senders.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>

#include "kernel/base/log.hpp"
#include "kernel/host/transport.hpp"
#include "kernel/io/asio.hpp"
#include "kernel/route/generic.hpp"

namespace mansio::egress {

class GenericMaps final : public host::TransportInstance {
 public:
  using Defer = std::function<void(std::uint64_t lease, const wire::RecipientOutcome &why)>;

  // `inner` delivers, and reports as it was made to. `defer` is the last word on a lease that did not come to it. The
  // tables outlive this.
  GenericMaps(asio::io_context &loop, const Clock &clock, Logger &log, std::string transport,
              std::shared_ptr<const route::Generic> maps, io::Tables &tables,
              std::unique_ptr<host::TransportInstance> inner, Defer defer);
  ~GenericMaps() override;

  void start(const wire::Lease &lease, host::MessageSource message) override;
  void cancel(std::uint64_t lease) override;
  std::size_t in_flight() const override { return works_.size() + inner_->in_flight(); }
  std::uint64_t misbehaviours() const override { return inner_->misbehaviours(); }
  void stats(const host::StatsSink &add) const override;

 private:
  struct Work;  // one lease on its way to the transport

  Task<> rewrite(std::shared_ptr<Work> work);
  void put_off(std::uint64_t lease, std::string why);

  asio::io_context &loop_;
  const Clock &clock_;
  Logger &log_;
  const std::string name_;
  std::shared_ptr<const route::Generic> maps_;
  io::Tables &tables_;
  std::unique_ptr<host::TransportInstance> inner_;
  Defer defer_;
  std::map<std::uint64_t, std::shared_ptr<Work>> works_;  // by lease
  std::uint64_t questions_ = 0, rewritten_ = 0, deferred_ = 0;
};

}  // namespace mansio::egress
