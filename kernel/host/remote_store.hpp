// RemoteStore: a store, which always has a process of its own, as an ingress process or the router sees it. What was
// under way when that process went has failed; it may have been kept all the same. For a moment after, commits wait for
// its successor, so that a restart refuses no mail; after that they fail at once, and away() says so beforehand.
//
// Single-threaded, on the loop.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <unordered_map>

#include "kernel/host/metrics.hpp"
#include "kernel/host/timers.hpp"
#include "kernel/io/channel.hpp"
#include "kernel/wire/store_messages.hpp"

namespace mansio::host {

// Octets of a message that a store is to keep, or has kept.
struct StoreContent {
  io::UniqueFd fd;
  std::uint64_t length = 0;
};

class RemoteStore {
 public:
  struct Answered {
    wire::StoreStatus status = wire::StoreStatus::Failed;
    std::string text;      // why not
    StoreContent content;  // of fetch()
    std::string record;    // the same
  };
  using Done = std::function<void(Answered &&)>;  // runs once, perhaps before the call returns

  RemoteStore(asio::io_context &loop, const Clock &clock, std::string name, std::size_t in_flight_limit,
              Nanos time_limit);
  ~RemoteStore();
  RemoteStore(const RemoteStore &) = delete;
  RemoteStore &operator=(const RemoteStore &) = delete;
  // A channel not started yet; it takes the place of an earlier one.
  void attach(std::shared_ptr<io::Channel> channel);
  bool away() const;  // there is no process, and none is waited for

  void commit(const StoreKey &key, std::shared_ptr<const StoreContent> content, Done done);
  void fetch(const StoreKey &key, Done done);
  const std::string &name() const { return name_; }
  void stats(const StatsSink &add) const;

 private:
  struct Waiting {  // for a process
    std::function<void(Done)> call;
    Done done;
    std::uint64_t timer = 0;
  };
  struct Pending {
    Done done;
    std::uint64_t timer = 0;
    Nanos started = 0;
  };
  void begin(std::function<void(Done)> call, Done done);
  template <class Call>
  void send(Call call, std::vector<io::UniqueFd> fds, Nanos limit, Done done);
  void receive(io::Message &m);
  void refuse(const Done &done, std::string why);
  void lost();
  void end(std::uint64_t number, Answered &&answered);

  const Clock &clock_;
  const std::string name_;
  const std::size_t limit_;
  const Nanos time_limit_;
  Timers timers_;
  std::shared_ptr<io::Channel> channel_;
  Nanos awaited_until_ = 0;  // mono: how long a process is waited for
  std::unordered_map<std::uint64_t, Pending> pending_;
  std::unordered_map<std::uint64_t, Waiting> waiting_;
  std::uint64_t last_ = 0;
  Metrics metrics_;
};

}  // namespace mansio::host
