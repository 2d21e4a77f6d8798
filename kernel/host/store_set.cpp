#include "kernel/host/store_set.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include "kernel/base/crc32c.hpp"
#include "kernel/mail/stored_copy.hpp"
#include "kernel/spool/wait.hpp"

namespace mansio::host {
namespace {

constexpr std::string_view kStoreHost = "host.store.";

// What the stores have said of one message. Outlives whoever waits for it.
struct CommitRound {
  std::size_t left = 0;
  std::string refused;  // why, by the first that did
  spool::Event over;
};

struct FetchRound {
  RemoteStore::Answered answered;
  spool::Event over;
};

}  // namespace

std::unique_ptr<StoreSet> StoreSet::create(const config::Settings &settings, asio::io_context &loop, const Clock &clock,
                                           Logger &log) {
  if (settings.stores.empty()) return nullptr;
  std::unique_ptr<StoreSet> set{new StoreSet{loop, log}};
  for (const auto &store : settings.stores)
    set->stores_.push_back(
        std::make_unique<RemoteStore>(loop, clock, store.name, store.budget.in_flight_limit, store.time_limit));
  return set;
}

StoreSet::~StoreSet() = default;

void StoreSet::close() { stores_.clear(); }

bool StoreSet::attach(std::string_view host, std::shared_ptr<io::Channel> channel) {
  if (!host.starts_with(kStoreHost)) return false;
  const auto name = host.substr(kStoreHost.size());
  const auto at = std::ranges::find_if(stores_, [&](const auto &store) { return store->name() == name; });
  if (at == stores_.end()) return false;
  (*at)->attach(std::move(channel));
  return true;
}

bool StoreSet::away() const {
  return std::ranges::any_of(stores_, [](const auto &store) { return store->away(); });
}

Task<Result<void>> StoreSet::commit(StoreKey key, spool::Draft &draft, std::string envelope, std::string trace) {
  const auto refused = [&](const std::string &store, const std::string &why) {
    log_.warn("a store did not take a message", {{"qid", key.id}, {"store", store}, {"reason", why}});
    return Error{Status::Defer, "a store did not take it: " + why, {4, 3, 0}};
  };
  if (key.spool == 0) co_return refused("", "the spool has no name yet");
  // The head names the checksum of what follows it.
  spool::Draft::Head head = [&](std::uint32_t crc, std::uint64_t size) {
    CopyHead h;
    h.envelope_length = static_cast<std::uint32_t>(envelope.size());
    h.envelope_crc = crc32c(envelope);
    h.body_length = trace.size() + size;
    h.body_crc = crc32c_combine(crc32c(trace), crc, size);
    return encode_copy_head(h) + envelope + trace;
  };
  auto copy = co_await draft.copy(std::move(head));
  if (!copy) {
    log_.warn("no copy of a message for its stores", {{"qid", key.id}, {"error", copy.error().text}});
    co_return copy.error();
  }
  auto content = std::make_shared<StoreContent>();
  content->length = copy->content.size();
  auto sealed = std::move(copy->content).seal();
  if (!sealed) co_return sealed.error();
  content->fd = std::move(*sealed);
  const auto round = std::make_shared<CommitRound>();
  round->left = stores_.size();
  for (const auto &store : stores_) {
    auto said = [this, round, key, name = store->name(), &loop = loop_](RemoteStore::Answered &&answered) {
      if (answered.status != wire::StoreStatus::Ok) {
        log_.warn("a store did not take a message", {{"qid", key.id}, {"store", name}, {"reason", answered.text}});
        if (round->refused.empty()) round->refused = answered.text.empty() ? "it failed" : answered.text;
      }
      if (--round->left == 0) round->over.set(loop);
    };
    store->commit(key, content, std::move(said));
  }
  co_await round->over.wait();
  if (round->refused.empty()) co_return Result<void>{};
  Error error{Status::Defer, "a store did not take it: " + round->refused, {4, 3, 0}};
  co_return error;
}

Task<RemoteStore::Answered> StoreSet::fetch(std::string name, StoreKey key) {
  const auto at = std::ranges::find_if(stores_, [&](const auto &store) { return store->name() == name; });
  if (at == stores_.end()) {
    RemoteStore::Answered none;
    none.text = "there is no such store";
    co_return none;
  }
  const auto round = std::make_shared<FetchRound>();
  auto said = [round, &loop = loop_](RemoteStore::Answered &&answered) {
    round->answered = std::move(answered);
    round->over.set(loop);
  };
  (*at)->fetch(key, std::move(said));
  co_await round->over.wait();
  co_return std::move(round->answered);
}

void StoreSet::stats(const StatsSink &add) const {
  for (const auto &store : stores_) store->stats(add);
}

}  // namespace mansio::host
