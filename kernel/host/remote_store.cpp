#include "kernel/host/remote_store.hpp"

#include <fmt/format.h>

#include <utility>
#include <vector>

#include "kernel/host/patience.hpp"
#include "kernel/process/memfd.hpp"

namespace mansio::host {
namespace {

// Of all pieces of a message together; each has the store's time limit.
constexpr Nanos kFetchLimit = 600 * kSecond;

RemoteStore::Answered store_failure(std::string why) {
  RemoteStore::Answered answered;
  answered.text = std::move(why);
  return answered;
}

}  // namespace

// The first process is waited for as a later one is: it is being started, too.
RemoteStore::RemoteStore(asio::io_context &loop, const Clock &clock, std::string name, std::size_t in_flight_limit,
                         Nanos time_limit)
    : clock_(clock),
      name_(std::move(name)),
      limit_(in_flight_limit),
      time_limit_(time_limit),
      timers_(loop),
      awaited_until_(clock.mono() + kReturns) {}

RemoteStore::~RemoteStore() {
  if (channel_) channel_->close();
}

void RemoteStore::attach(std::shared_ptr<io::Channel> channel) {
  if (channel_) {
    channel_->close();
    lost();
  }
  channel_ = std::move(channel);
  channel_->start([this](io::Message &m) { receive(m); },
                  [this, which = channel_.get()](std::string_view) {
                    if (channel_.get() == which) lost();
                  });
  auto waiting = std::exchange(waiting_, {});
  for (auto &[number, w] : waiting) {
    timers_.cancel(w.timer);
    w.call(std::move(w.done));
  }
}

bool RemoteStore::away() const { return !channel_ && clock_.mono() >= awaited_until_; }

void RemoteStore::commit(const StoreKey &key, std::shared_ptr<const StoreContent> content, Done done) {
  auto call = [this, key, content = std::move(content)](Done answered) {
    auto copy = process::duplicate(content->fd);
    if (!copy) return refuse(answered, copy.error().text);
    std::vector<io::UniqueFd> fds;
    fds.push_back(std::move(*copy));
    send(wire::StoreCommit{0, key, content->length, time_limit_}, std::move(fds), time_limit_, std::move(answered));
  };
  begin(std::move(call), std::move(done));
}

void RemoteStore::fetch(const StoreKey &key, Done done) {
  auto call = [this, key](Done answered) {
    send(wire::StoreFetch{0, key, time_limit_}, {}, kFetchLimit, std::move(answered));
  };
  begin(std::move(call), std::move(done));
}

void RemoteStore::begin(std::function<void(Done)> call, Done done) {
  if (pending_.size() + waiting_.size() >= limit_) return refuse(done, "it has too much to do");
  if (channel_) return call(std::move(done));
  const auto wait = awaited_until_ - clock_.mono();
  if (wait <= 0) return refuse(done, "its process is not there");
  const auto number = ++last_;
  const auto timer = timers_.add(wait, [this, number] {
    const auto node = waiting_.extract(number);
    refuse(node.mapped().done, "its process is not there");
  });
  waiting_.emplace(number, Waiting{std::move(call), std::move(done), timer});
}

template <class Call>
void RemoteStore::send(Call call, std::vector<io::UniqueFd> fds, Nanos limit, Done done) {
  const auto number = call.number = ++last_;
  if (!channel_->send(call, std::move(fds))) return refuse(done, "its process is far behind");
  ++metrics_.host.operations;
  const auto timer = timers_.add(limit + kGrace, [this, number] {
    ++metrics_.host.timed_out;
    end(number, store_failure("time limit exceeded"));
  });
  pending_.emplace(number, Pending{std::move(done), timer, clock_.mono()});
}

void RemoteStore::refuse(const Done &done, std::string why) {
  ++metrics_.host.refused;
  done(store_failure(std::move(why)));
}

void RemoteStore::receive(io::Message &m) {
  if (m.type == wire::StoreResult::kType) {
    auto result = decode<wire::StoreResult>(m.payload);
    if (!result) return;  // its time limit tells
    Answered answered;
    answered.status = result->status;
    answered.text = std::move(result->text);
    return end(result->number, std::move(answered));
  }
  if (m.type != wire::StoreFetched::kType) return;
  auto fetched = decode<wire::StoreFetched>(m.payload);
  if (!fetched) return;
  Answered answered;
  answered.status = fetched->status;
  answered.text = std::move(fetched->text);
  if (answered.status == wire::StoreStatus::Ok) {
    if (m.fds.empty() || !m.fds.front())
      return end(fetched->number, store_failure("the message's descriptor was lost"));
    answered.content = {std::move(m.fds.front()), fetched->length};
    answered.record = std::move(fetched->record);
  }
  end(fetched->number, std::move(answered));
}

void RemoteStore::end(std::uint64_t number, Answered &&answered) {
  auto node = pending_.extract(number);
  if (node.empty()) {
    ++metrics_.host.late;
    return;
  }
  timers_.cancel(node.mapped().timer);
  metrics_.host.busy += clock_.mono() - node.mapped().started;
  if (answered.status == wire::StoreStatus::Failed) ++metrics_.host.failed;
  node.mapped().done(std::move(answered));
}

void RemoteStore::lost() {
  channel_ = nullptr;
  awaited_until_ = clock_.mono() + kReturns;
  std::vector<std::uint64_t> all;
  all.reserve(pending_.size());
  for (const auto &[number, pending] : pending_) all.push_back(number);
  for (const auto number : all) end(number, store_failure("its process ended"));
}

void RemoteStore::stats(const StatsSink &add) const {
  metrics_.stats(fmt::format("{{store=\"{}\",isolation=\"process\"}}", name_), pending_.size(), add);
}

}  // namespace mansio::host
