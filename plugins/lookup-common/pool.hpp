// Connections to the servers of a table, kept between lookups and shared by the threads that look up. Any thread.
//
// - A lookup takes an idle connection, or makes one to the first server, in the order of the configuration, that is not
//   known to be down. How many there are follows from how many lookups the host runs at once.
// - A connection that turns out to be broken is dropped and the lookup goes on with another, so a server may restart.
// - A server that could not be used is left alone for `retry_interval`, so that lookups do not queue up for timeouts.
// - When no server is left the answer is "try later".
#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "plugins/lookup-common/answer.hpp"

namespace mansio::lookup {

// Connection: any type. A server is its number in the configuration.
template <class Connection>
class Pool {
 public:
  using Clock = std::chrono::steady_clock;
  struct Settings {
    std::size_t servers = 1;
    std::chrono::nanoseconds retry_interval{0};
    std::chrono::nanoseconds idle_interval = std::chrono::minutes{1};
  };
  // nullptr: it cannot be used, and `why`.
  using Connect = std::function<std::unique_ptr<Connection>(std::size_t server, std::string &why)>;

  Pool(Settings settings, Connect connect, std::function<Clock::time_point()> now = Clock::now)
      : settings_(settings), connect_(std::move(connect)), now_(std::move(now)), states_(settings.servers) {}

  // query(Connection &, std::string &why) -> std::optional<Answer>; nothing: the connection is broken, and `why`.
  template <class Query>
  Answer ask(Query query) {
    std::string why;
    while (auto idle = take()) {
      if (auto answer = query(*idle->connection, why)) return give_back(std::move(*idle)), std::move(*answer);
      forget(idle->server);
    }
    for (std::size_t server = 0; server < settings_.servers; ++server) {
      if (down(server, why)) continue;
      Idle fresh{server, connect_(server, why), {}};
      if (fresh.connection) {
        if (auto answer = query(*fresh.connection, why)) return give_back(std::move(fresh)), std::move(*answer);
      }
      failed(server, why);
    }
    return Answer::try_later(why.empty() ? "no server can be used" : why);
  }

 private:
  struct Idle {
    std::size_t server;
    std::unique_ptr<Connection> connection;
    Clock::time_point since;
  };
  struct State {
    Clock::time_point down_until{};
    std::string why;
  };

  std::optional<Idle> take() {
    std::deque<Idle> old;  // closed without the lock
    const std::lock_guard lock{mutex_};
    while (!idle_.empty() && now_() - idle_.front().since > settings_.idle_interval) {
      old.push_back(std::move(idle_.front()));
      idle_.pop_front();
    }
    if (idle_.empty()) return std::nullopt;
    auto newest = std::move(idle_.back());
    idle_.pop_back();
    return newest;
  }
  void give_back(Idle connection) {
    connection.since = now_();
    const std::lock_guard lock{mutex_};
    states_[connection.server] = {};
    idle_.push_back(std::move(connection));
  }
  // The other connections to it are as old or older: a restart broke them too.
  void forget(std::size_t server) {
    std::deque<Idle> old;
    const std::lock_guard lock{mutex_};
    for (auto &connection : idle_)
      if (connection.server == server) old.push_back(std::move(connection));
    std::erase_if(idle_, [](const Idle &i) { return !i.connection; });
  }
  bool down(std::size_t server, std::string &why) {
    const std::lock_guard lock{mutex_};
    const auto &state = states_[server];
    if (state.down_until <= now_()) return false;
    if (why.empty()) why = state.why;
    return true;
  }
  void failed(std::size_t server, const std::string &why) {
    const std::lock_guard lock{mutex_};
    if (settings_.retry_interval.count() > 0) states_[server] = {now_() + settings_.retry_interval, why};
  }

  const Settings settings_;
  const Connect connect_;
  const std::function<Clock::time_point()> now_;
  std::mutex mutex_;
  std::deque<Idle> idle_;  // the one used last at the back
  std::vector<State> states_;
};

}  // namespace mansio::lookup
