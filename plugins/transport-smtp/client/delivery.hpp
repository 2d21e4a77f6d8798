// One delivery from start() to complete(): find servers, try them in order, settle every recipient.
#pragma once

#include <utility>

#include "plugins/transport-smtp/client/cache.hpp"
#include "plugins/transport-smtp/client/ledger.hpp"
#include "plugins/transport-smtp/client/resolve.hpp"
#include "plugins/transport-smtp/client/transaction.hpp"

namespace mansio::smtp {

class DeliveryJob {
 public:
  DeliveryJob(const Context &context, ConnectionCache &cache, mansio_op op, plugin::Delivery delivery)
      : context_(context),
        cache_(cache),
        op_(op),
        delivery_(std::move(delivery)),
        ledger_(context.host, op, delivery_.recipients.size()) {}

  Task<> run();  // ends with complete()
  Cancel &cancel() { return cancel_; }

 private:
  Task<> deliver();
  Task<Transaction::End> use(Connection &connection);
  void finish(std::unique_ptr<Connection> connection);
  void give_up(const plugin::Reply &reply) { last_failure_ = reply; }

  const Context &context_;
  ConnectionCache &cache_;
  mansio_op op_;
  plugin::Delivery delivery_;
  Ledger ledger_;
  Cancel cancel_;
  std::string nexthop_key_;
  plugin::Reply last_failure_{MANSIO_DEFER, {4, 4, 1}, "no server could be reached"};
  bool server_used_ = false;  // some server answered MAIL
  bool kept_ = false;         // its last connection idles, ready for the next delivery
};

}  // namespace mansio::smtp
