// One delivery from start() to complete(): find servers, try them in order, settle every recipient.
#pragma once

#include <utility>

#include "plugins/transport-smtp/client/cache.hpp"
#include "plugins/transport-smtp/client/demand.hpp"
#include "plugins/transport-smtp/client/health.hpp"
#include "plugins/transport-smtp/client/ledger.hpp"
#include "plugins/transport-smtp/client/login.hpp"
#include "plugins/transport-smtp/client/resolve.hpp"
#include "plugins/transport-smtp/client/transaction.hpp"

namespace mansio::smtp {

// What the deliveries of an instance know together.
struct Shared {
  explicit Shared(const Context &context)
      : cache(context), health(context.options.failover_time, context.options.probe_interval) {}
  ConnectionCache cache;
  Health health;
  Demand demand;
};

class DeliveryJob {
 public:
  DeliveryJob(const Context &context, Shared &shared, plugin::Token token, plugin::Delivery delivery)
      : context_(context),
        shared_(shared),
        token_(std::move(token)),
        op_(token_.op()),
        delivery_(std::move(delivery)),
        ledger_(context.host, op_, delivery_.recipients.size()) {}

  Task<> run();  // ends with complete()
  Cancel &cancel() { return cancel_; }

 private:
  Task<> deliver();
  OpenRequest request_for(const NextHop &nexthop) const;
  // As whom to authenticate; false: a table cannot say, and the delivery is over.
  Task<bool> find_login_of(std::vector<std::string> keys, Login &login);
  Task<> by_cached_connection(const OpenRequest &request);
  // `last`: there is no other next hop to try after these.
  Task<> by_targets(std::vector<Target> targets, OpenRequest request, bool last);
  Task<> by_fallback_relays();
  Task<Opened> open(OpenRequest request, bool others_left);
  Task<Transaction::End> use(Connection &connection);
  void finish(std::unique_ptr<Connection> connection);
  bool old_enough() const;
  bool done() const { return halted_ || ledger_.pending().empty() || cancel_.requested(); }
  bool session_left() const {
    return !context_.options.mx_session_limit || sessions_ < context_.options.mx_session_limit;
  }
  bool last_session() const {
    return context_.options.mx_session_limit && sessions_ + 1 >= context_.options.mx_session_limit;
  }
  void give_up(const plugin::Reply &reply) { last_failure_ = reply; }

  const Context &context_;
  Shared &shared_;
  plugin::Token token_;
  mansio_op op_;
  plugin::Delivery delivery_;
  Ledger ledger_;
  Cancel cancel_;
  TlsPolicy asked_tls_{TlsLevel::None, {}};  // by the message
  NextHop nexthop_;                          // that is tried now
  std::string nexthop_key_;                  // its
  std::size_t sessions_ = 0;                 // with it
  std::string tried_;                        // its address that a kept connection led to
  plugin::Reply last_failure_{MANSIO_DEFER, {4, 4, 1}, "no server could be reached"};
  bool server_used_ = false;  // some server answered MAIL
  bool halted_ = false;       // a table of ours cannot say as whom to authenticate
  bool kept_ = false;         // its last connection idles, ready for the next delivery
};

}  // namespace mansio::smtp
