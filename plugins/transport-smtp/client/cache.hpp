// Idle connections, kept for a short time for the next delivery to the same next hop or server address.
//
// Nothing watches them while they idle: the time limit is short. One that its peer has closed meanwhile is found out
// when it is taken: a message sent into it whole, without an answer, would have to count as perhaps delivered.
#pragma once

#include <list>
#include <memory>
#include <string>

#include "plugins/transport-smtp/client/connection.hpp"

namespace mansio::smtp {

class ConnectionCache {
 public:
  explicit ConnectionCache(const Context &context) : context_(context) {}
  ~ConnectionCache();
  ConnectionCache(const ConnectionCache &) = delete;
  ConnectionCache &operator=(const ConnectionCache &) = delete;

  // Keeps the connection (true), or says goodbye to it when it may not be used again or is not worth keeping.
  bool give_back(std::unique_ptr<Connection> connection, const std::string &nexthop, bool worth_keeping);
  // The one used last; null if there is none. By next hop only those of its best preference; where tables have no login
  // for the next hop, the caller has to see that theirs is the one for their server.
  std::unique_ptr<Connection> take_for_nexthop(const std::string &nexthop, const OpenRequest &wanted);
  std::unique_ptr<Connection> take_for_target(const OpenRequest &wanted);
  // One that was taken and does not fit after all.
  void dismiss(std::unique_ptr<Connection> connection);
  std::size_t idle() const { return idle_.size(); }

 private:
  struct Entry {
    std::unique_ptr<Connection> connection;
    std::string nexthop, target;
    std::int64_t since = 0;
  };
  template <class Match>
  std::unique_ptr<Connection> take(const OpenRequest &wanted, Match match);
  static bool serves(const Connection &connection, const OpenRequest &wanted);
  bool too_old(const Connection &connection) const;
  void expire();

  const Context &context_;
  std::list<Entry> idle_;        // longest idle first
  std::list<Cancel> farewells_;  // QUITs under way
  std::uint64_t timer_ = 0;
};

}  // namespace mansio::smtp
