#include "kernel/host/submit_link.hpp"

#include <algorithm>
#include <cstring>
#include <string_view>
#include <utility>

#include "kernel/base/clock.hpp"
#include "kernel/host/large.hpp"
#include "kernel/process/memfd.hpp"

namespace mansio::host {
namespace {

// Of one submission; a router refuses what is more than its own limits long before.
constexpr std::size_t kMostRecipients = 100'000, kMostMetadata = 1'000;
constexpr std::size_t kMostAsked = 10'000;  // questions for permits under way

bool borrowed(mansio_str text, std::string &to) {
  if (text.n > 0 && !text.p) return false;
  to.assign(text.n > 0 ? text.p : "", text.n);
  return true;
}

}  // namespace

Result<ReadSubmission> read_submission(const mansio_submission *given) {
  const Error malformed{Status::Fail, "the submission is malformed"};
  if (!given || given->size < sizeof given->size) return malformed;
  mansio_submission mail{};
  std::memcpy(static_cast<void *>(&mail), given, std::min<std::size_t>(given->size, sizeof mail));
  if ((mail.n_recipients > 0 && !mail.recipients) || (mail.n_metadata > 0 && !mail.metadata)) return malformed;
  if (mail.n_recipients > kMostRecipients) return Error{Status::Fail, "too many recipients"};
  if (mail.n_metadata > kMostMetadata) return Error{Status::Fail, "too much metadata"};
  if (mail.content.n > 0 && !mail.content.p) return malformed;
  ReadSubmission read;
  auto &call = read.call;
  call.flags = mail.flags;
  if (!borrowed(mail.sender, call.sender)) return malformed;
  call.recipients.resize(mail.n_recipients);
  for (std::size_t i = 0; i < mail.n_recipients; ++i)
    if (!borrowed(mail.recipients[i], call.recipients[i])) return malformed;
  call.metadata.resize(mail.n_metadata);
  for (std::size_t i = 0; i < mail.n_metadata; ++i)
    if (!borrowed(mail.metadata[i].name, call.metadata[i].first) ||
        !borrowed(mail.metadata[i].value, call.metadata[i].second))
      return malformed;
  std::uint64_t said = call.sender.size();
  for (const auto &recipient : call.recipients) said += recipient.size() + 8;
  for (const auto &[name, value] : call.metadata) said += name.size() + value.size() + 16;
  if (said > kLargestSubmitCall / 2) return Error{Status::Fail, "the submission is too large"};
  call.length = mail.content.n;
  auto content = process::sealed_memfd("submission", {mail.content.p, mail.content.n});
  if (!content) return content.error();
  read.content = std::move(*content);
  return read;
}

wire::SubmitResult not_submitted(std::string why) {
  wire::SubmitResult result;
  result.text = std::move(why);
  return result;
}

wire::PermitsGiven no_permits_now() {
  wire::PermitsGiven given;
  given.retry = kSecond;
  return given;
}

SubmitLink::~SubmitLink() {
  for (const auto &router : routers_) router->channel->close();
}

void SubmitLink::attach(std::shared_ptr<io::Channel> channel) {
  auto router = std::make_shared<Router>();
  router->channel = channel;
  routers_.push_back(std::move(router));
  channel->start([this, from = channel.get()](io::Message &m) { receive(from, m); },
                 [this, which = channel.get()](std::string_view) { lost(which); });
}

void SubmitLink::submit(wire::SubmitCall call, io::UniqueFd content, Done done) {
  std::size_t under_way = 0;
  for (const auto &router : routers_) under_way += router->pending.size();
  if (routers_.empty()) return done(not_submitted("the router process is away"));
  if (under_way >= most_) return done(not_submitted("too much mail is being submitted"));
  const auto router = routers_.back();
  call.number = ++last_;
  std::vector<io::UniqueFd> fds;
  fds.push_back(std::move(content));
  if (!send_any(*router->channel, call, std::move(fds))) return done(not_submitted("the router process is far behind"));
  router->pending.emplace(call.number, std::move(done));
}

void SubmitLink::take_permits(wire::PermitsAsk ask, Given done) {
  if (routers_.empty() || routers_.back()->asked.size() >= kMostAsked) return done(no_permits_now());
  const auto router = routers_.back();
  ask.number = ++last_;
  if (!router->channel->send(ask)) return done(no_permits_now());
  router->asked.emplace(ask.number, std::move(done));
}

void SubmitLink::receive(const io::Channel *from, io::Message &m) {
  if (m.type == wire::PermitsGiven::kType) {
    const auto given = decode<wire::PermitsGiven>(m.payload);
    const auto asked = std::ranges::find_if(routers_, [&](const auto &r) { return r->channel.get() == from; });
    if (!given || asked == routers_.end()) return;
    if (const auto node = (*asked)->asked.extract(given->number); !node.empty()) node.mapped()(*given);
    return;
  }
  auto result = m.type == wire::SubmitResult::kType ? decode<wire::SubmitResult>(m.payload) : std::nullopt;
  const auto router = std::ranges::find_if(routers_, [&](const auto &r) { return r->channel.get() == from; });
  if (!result || router == routers_.end()) return;
  auto node = (*router)->pending.extract(result->number);
  if (!node.empty()) node.mapped()(std::move(*result));
}

void SubmitLink::lost(const io::Channel *which) {
  const auto at = std::ranges::find_if(routers_, [&](const auto &r) { return r->channel.get() == which; });
  if (at == routers_.end()) return;
  const auto router = std::move(*at);
  routers_.erase(at);
  for (auto &[number, done] : std::exchange(router->pending, {}))
    done(not_submitted("the router process ended; it may have taken the message"));
  for (const auto &[number, done] : std::exchange(router->asked, {})) done(no_permits_now());
}

}  // namespace mansio::host
