// A server whose sessions a filter and a policy watch that a test plays itself.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "kernel/ingress/filters.hpp"
#include "mansio/draft/filter.h"
#include "tests/unit/ingress/fixture.hpp"

namespace mansio::ingress::testing {

inline wire::StageResult result(wire::StageOutcome outcome, std::string text = "", std::uint16_t code = 0) {
  wire::StageResult r;
  r.outcome = outcome;
  r.text = std::move(text);
  r.smtp_code = code;
  return r;
}

inline wire::StageResult edits_of(std::vector<Edit> edits) {
  auto r = result(wire::StageOutcome::Ok);
  r.edits = std::move(edits);
  return r;
}

inline std::shared_ptr<FilterChain> chain_of(std::vector<FilterLink> links) {
  auto chain = std::make_shared<FilterChain>();
  chain->prefix = "test";
  chain->links = std::move(links);
  return chain;
}

// Answers as `script` says, by stage and first argument or by stage alone; else Ok. One that is in `waits` is kept.
class FakeFilter final : public host::FilterInstance {
 public:
  std::uint64_t stages() const override { return wanted; }
  std::uint32_t incarnation() const override { return born; }
  std::uint64_t start(wire::StageCall call, std::shared_ptr<const host::FilterContent> content, Done done,
                      std::function<void()>) override {
    seen.push_back(call);
    if (content) {
      std::string bytes(content->file.size(), '\0');
      EXPECT_EQ(::pread(content->file.get(), bytes.data(), bytes.size(), 0), static_cast<ssize_t>(bytes.size()));
      contents.push_back(std::move(bytes));
    }
    if (waits.contains(call.stage)) {
      kept.push_back(std::move(done));
      return ++last;
    }
    const auto argument = call.arguments.empty() ? std::string{} : call.arguments[0];
    auto found = script.find({call.stage, argument});
    if (found == script.end()) found = script.find({call.stage, ""});
    auto answer = found == script.end() ? result(wire::StageOutcome::Ok) : found->second;
    done(std::move(answer));
    return ++last;
  }
  void cancel(std::uint64_t number) override { cancelled.push_back(number); }
  void abort(const std::string &, MessageId id) override { aborted.push_back(id); }
  std::size_t in_flight() const override { return kept.size(); }
  std::uint64_t misbehaviours() const override { return 0; }
  void stats(const host::StatsSink &) const override {}

  std::vector<std::uint32_t> order() const {
    std::vector<std::uint32_t> all;
    for (const auto &call : seen) all.push_back(call.stage);
    return all;
  }
  const wire::StageCall &call_of(std::uint32_t stage) const {
    for (const auto &call : seen)
      if (call.stage == stage) return call;
    ADD_FAILURE() << "stage " << stage << " was not shown";
    return seen.front();
  }

  std::uint64_t wanted = ~std::uint64_t{0};
  std::uint32_t born = 1;
  std::map<std::pair<std::uint32_t, std::string>, wire::StageResult> script;
  std::set<std::uint32_t> waits;
  std::deque<Done> kept;
  std::vector<wire::StageCall> seen;
  std::vector<std::string> contents;
  std::vector<std::uint64_t> cancelled;
  std::vector<MessageId> aborted;
  std::uint64_t last = 0;
};

class FilteredServer : public SmtpServerTest {
 protected:
  using Stored = ingress::testing::Stored;
  using Peer = ingress::testing::Peer;

  void watch(config::OnFailure on_failure = config::OnFailure::Defer) {
    service.filters = chain_of(
        {{&policy_, "policy.p", on_failure, kSecond, kSecond}, {&filter_, "filter.f", on_failure, kSecond, kSecond}});
  }
  void SetUp() override {
    watch();
    SmtpServerTest::SetUp();
  }
  Stored stored() {
    EXPECT_EQ(writer.stored_messages.size(), 1u);
    return writer.stored_messages.empty() ? Stored{} : writer.stored_messages.back();
  }
  std::string send(Peer &peer, const std::string &content) { return say(peer, content + ".\r\n"); }
  void edit(std::vector<Edit> edits) { filter_.script[{MANSIO_STAGE_END_OF_MESSAGE, ""}] = edits_of(std::move(edits)); }

  FakeFilter policy_, filter_;
};

}  // namespace mansio::ingress::testing
