// SubmitLink: the way of a process's plugins to the router: what they submit, the permits that they take, and the
// answers. A reload has two routers for a while; the last that was connected is asked, and each answers what it was
// asked. What was under way when a router went is answered "try later": it may have been committed, and a duplicate
// beats a loss.
//
// Single-threaded, on the loop. It outlives the instances that use it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "kernel/host/submitter.hpp"
#include "kernel/io/channel.hpp"

namespace mansio::host {

class SubmitLink final : public Submitter {
 public:
  // `most`: submissions under way, each of which may hold a descriptor; more are answered "try later" at once.
  explicit SubmitLink(std::size_t most = 100) : most_(most) {}
  ~SubmitLink() override;
  SubmitLink(const SubmitLink &) = delete;
  SubmitLink &operator=(const SubmitLink &) = delete;

  void attach(std::shared_ptr<io::Channel> channel);  // not started yet
  void submit(wire::SubmitCall call, io::UniqueFd content, Done done) override;
  void take_permits(wire::PermitsAsk ask, Given done) override;

 private:
  struct Router {
    std::shared_ptr<io::Channel> channel;
    std::map<std::uint64_t, Done> pending;
    std::map<std::uint64_t, Given> asked;
  };
  void receive(const io::Channel *from, io::Message &m);
  void lost(const io::Channel *which);

  const std::size_t most_;
  std::vector<std::shared_ptr<Router>> routers_;  // the last one is asked
  std::uint64_t last_ = 0;
};

}  // namespace mansio::host
