// Candidates: the scripts that recorded sessions are shown to, in the places of those that saw them. Each runs once for
// every process that was recorded, as its variables are its process's; what it counts all of them share.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "mansio/testing/fake_host.hpp"
#include "plugins/lua/io/fake_servers.hpp"
#include "plugins/lua/tool/answers.hpp"

namespace mansio::lua::tool {

struct CandidateOrder {
  std::string name;                 // "policy.script": whose place it takes
  std::set<std::string> listeners;  // where it watches though it was not recorded there; empty: everywhere
  mansio::testing::FakeHost::Options options;
};

// A script that runs, under a clock that is told how late it is. Servers that the order does not allow it to ask cannot
// be reached.
class Candidate {
 public:
  // `from`: outlives it, and may be asked for the real DNS with `dns`. Throws std::exception with what is wrong.
  Candidate(const CandidateOrder &order, const Answers &from, std::set<std::string> &missing, bool dns,
            std::int64_t clock, std::shared_ptr<mansio::testing::FakeNumbers> numbers);

  mansio::testing::FakeHost &host() { return host_; }
  // Time goes on to there, if it has not been there, with all that falls due on the way.
  void go_to(std::int64_t at);
  // Lets it come to a wait for a time, or to its answer: servers that it asks are waited for.
  void settle(std::uint64_t op);

 private:
  class OffServers final : public FakeServers {
   public:
    explicit OffServers(const CandidateOrder &order);
    bool http(const HttpRequest &request, HttpResponse &response) const override;
    bool connect(const std::string &address, std::unique_ptr<Conversation> &made, std::string &why) const override;
    // Those of the order, and what this answers for.
    const mansio::testing::FakeHost::Options &options() const { return options_; }

   private:
    mansio::testing::FakeHost::Options options_;
    bool http_ = false, connect_ = false;  // are off
  };
  const OffServers servers_;
  mansio::testing::FakeHost host_;
};

class Candidates {
 public:
  Candidates(std::vector<CandidateOrder> orders, Answers answers, bool dns)
      : orders_(std::move(orders)), answers_(std::move(answers)), dns_(dns) {}

  const std::vector<CandidateOrder> &orders() const { return orders_; }
  const CandidateOrder *order(std::string_view name) const;
  // The one of that process, which begins now if there is none yet. Throws std::exception when it does not start.
  Candidate &at(const CandidateOrder &order, const std::string &process, std::int64_t now);
  template <class F>
  void each(F f) {
    for (const auto &[key, candidate] : running_) f(*candidate);
  }
  // Questions to which the recordings have no answer: "lookup users a@example.com".
  const std::set<std::string> &missing() const { return missing_; }

 private:
  std::vector<CandidateOrder> orders_;
  Answers answers_;
  bool dns_;
  std::set<std::string> missing_;
  std::map<std::string, std::shared_ptr<mansio::testing::FakeNumbers>> numbers_;  // by whose they are
  std::map<std::pair<std::string, std::string>, std::unique_ptr<Candidate>> running_;
};

}  // namespace mansio::lua::tool
