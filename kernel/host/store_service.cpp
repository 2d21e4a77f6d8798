#include "kernel/host/store_service.hpp"

#include <sys/stat.h>

#include <vector>

namespace mansio::host {
namespace {

constexpr std::size_t kLongestRecord = 48 * 1024;               // which fits a frame
constexpr std::uint64_t kLargestCopy = std::uint64_t{5} << 30;  // no message that the spool takes is near it

wire::StoreStatus store_status(const Answer &answer) {
  return answer.status == MANSIO_OK          ? wire::StoreStatus::Ok
         : answer.status == MANSIO_NOT_FOUND ? wire::StoreStatus::NotFound
                                             : wire::StoreStatus::Failed;
}

std::string reason_of(const Answer &answer) {
  return answer.outcome.text.empty() ? std::string{"the plugin failed"} : answer.outcome.text;
}

void fetch_failed(const std::weak_ptr<io::Channel> &to, std::uint64_t number, wire::StoreStatus status,
                  std::string why) {
  const auto client = to.lock();
  if (!client) return;
  wire::StoreFetched said;
  said.number = number;
  said.status = status;
  said.text = std::move(why);
  client->send(said);
}

}  // namespace

StoreService::StoreService(std::unique_ptr<StoreInstance> instance, std::function<void()> when_idle)
    : instance_(std::move(instance)), when_idle_(std::move(when_idle)) {}

bool StoreService::receive(const std::shared_ptr<io::Channel> &from, io::Message &m) {
  switch (m.type) {
    case wire::StoreCommit::kType:
      if (const auto c = decode<wire::StoreCommit>(m.payload)) commit(from, *c, m);
      return true;
    case wire::StoreOutcome::kType:
      if (const auto o = decode<wire::StoreOutcome>(m.payload)) outcome(from, *o);
      return true;
    case wire::StoreScan::kType:
      if (const auto s = decode<wire::StoreScan>(m.payload)) scan(from, *s);
      return true;
    case wire::StoreFetch::kType:
      if (const auto f = decode<wire::StoreFetch>(m.payload)) fetch(from, *f);
      return true;
    default:
      return false;
  }
}

// Who asked waits no longer than its time limit, should this not reach it.
StoreInstance::Done StoreService::answering(const std::shared_ptr<io::Channel> &to, std::uint64_t number) {
  return [this, weak = std::weak_ptr{to}, number](Answer &&answer) {
    wire::StoreResult result{number, store_status(answer), {}};
    if (result.status != wire::StoreStatus::Ok) result.text = reason_of(answer);
    if (const auto client = weak.lock()) client->send(result);
    if (when_idle_) when_idle_();
  };
}

void StoreService::commit(const std::shared_ptr<io::Channel> &from, const wire::StoreCommit &commit, io::Message &m) {
  auto done = answering(from, commit.number);
  struct stat st {};
  if (m.fds.empty() || !m.fds.front() || ::fstat(m.fds.front().get(), &st) != 0 ||
      static_cast<std::uint64_t>(st.st_size) != commit.length)
    return done(plugin_failure("the message's descriptor was lost"));
  auto keep = std::make_shared<io::UniqueFd>(std::move(m.fds.front()));
  MessageSource source;
  if (commit.length > 0) source.slices.push_back({sizeof(mansio_slice), keep->get(), 0, commit.length});
  source.keep = std::move(keep);
  instance_->commit(commit.key, std::move(source), commit.length, commit.time_limit, std::move(done));
}

void StoreService::outcome(const std::shared_ptr<io::Channel> &from, const wire::StoreOutcome &outcome) {
  instance_->outcome(outcome, answering(from, outcome.number));
}

void StoreService::scan(const std::shared_ptr<io::Channel> &from, const wire::StoreScan &scan) {
  auto done = [this, weak = std::weak_ptr{from}, number = scan.number](Answer &&answer) {
    wire::StorePage page;
    page.number = number;
    page.status = store_status(answer);
    if (page.status == wire::StoreStatus::Ok) {
      page.cursor = answer.values.front();
      for (std::size_t i = 1; i < answer.values.size(); ++i) {
        if (const auto key = parse_store_key(answer.values[i]))
          page.keys.push_back(*key);
        else
          ++page.strangers;
      }
    } else {
      page.text = reason_of(answer);
    }
    if (const auto client = weak.lock()) client->send(page);
    if (when_idle_) when_idle_();
  };
  instance_->scan(scan.cursor, scan.most, scan.time_limit, std::move(done));
}

void StoreService::fetch(const std::shared_ptr<io::Channel> &from, const wire::StoreFetch &asked) {
  auto content = io::Memfd::create("message");
  if (!content) return fetch_failed(from, asked.number, wire::StoreStatus::Failed, content.error().text);
  fetch_on(std::make_shared<Fetch>(Fetch{from, asked, std::move(*content), 0, {}}));
}

// The next piece. Nobody who is gone is read for.
void StoreService::fetch_on(const std::shared_ptr<Fetch> &fetch) {
  auto done = [this, fetch](Answer &&answer) {
    const auto status = store_status(answer);
    const auto refuse = [&](wire::StoreStatus as, std::string why) {
      fetch_failed(fetch->from, fetch->asked.number, as, std::move(why));
    };
    if (status != wire::StoreStatus::Ok) {
      refuse(status, reason_of(answer));
    } else if (answer.values[1].size() > kLongestRecord) {
      refuse(wire::StoreStatus::Failed, "the record of its outcome is too long");
    } else if (fetch->length + answer.values[0].size() > kLargestCopy) {
      refuse(wire::StoreStatus::Failed, "it has no end");
    } else if (auto written = fetch->content.write(answer.values[0]); !written) {
      refuse(wire::StoreStatus::Failed, written.error().text);
    } else {
      fetch->length += answer.values[0].size();
      fetch->record = std::move(answer.values[1]);
      if (answer.values[0].size() == kStorePiece && !fetch->from.expired()) return fetch_on(fetch);
      fetched(*fetch);
    }
    if (when_idle_) when_idle_();
  };
  instance_->read(fetch->asked.key, fetch->length, kStorePiece, fetch->asked.time_limit, std::move(done));
}

void StoreService::fetched(Fetch &fetch) {
  const auto to = fetch.from.lock();
  if (!to) return;
  auto content = std::move(fetch.content).seal();
  if (!content) return fetch_failed(fetch.from, fetch.asked.number, wire::StoreStatus::Failed, content.error().text);
  std::vector<io::UniqueFd> fds;
  fds.push_back(std::move(*content));
  to->send(wire::StoreFetched{fetch.asked.number, wire::StoreStatus::Ok, {}, fetch.length, std::move(fetch.record)},
           std::move(fds));
}

}  // namespace mansio::host
