// StoreService: the host process's side of a store: commits, outcomes and pages for those who are attached, and whole
// messages, which it puts together from the pieces that the plugin reads.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "kernel/host/store.hpp"
#include "kernel/io/channel.hpp"
#include "kernel/io/memfd.hpp"

namespace mansio::host {

class StoreService {
 public:
  // `when_idle`: the last of what was under way is answered.
  StoreService(std::unique_ptr<StoreInstance> instance, std::function<void()> when_idle);

  bool receive(const std::shared_ptr<io::Channel> &from, io::Message &m);  // false: not for it
  bool idle() const { return instance_->in_flight() == 0; }
  const StoreInstance &instance() const { return *instance_; }

 private:
  struct Fetch {  // of one message
    std::weak_ptr<io::Channel> from;
    wire::StoreFetch asked;
    io::Memfd content;
    std::uint64_t length = 0;
    std::string record;
  };
  void commit(const std::shared_ptr<io::Channel> &from, const wire::StoreCommit &commit, io::Message &m);
  void outcome(const std::shared_ptr<io::Channel> &from, const wire::StoreOutcome &outcome);
  void scan(const std::shared_ptr<io::Channel> &from, const wire::StoreScan &scan);
  void fetch(const std::shared_ptr<io::Channel> &from, const wire::StoreFetch &fetch);
  void fetch_on(const std::shared_ptr<Fetch> &fetch);
  void fetched(Fetch &fetch);
  StoreInstance::Done answering(const std::shared_ptr<io::Channel> &to, std::uint64_t number);

  std::unique_ptr<StoreInstance> instance_;
  std::function<void()> when_idle_;
};

}  // namespace mansio::host
