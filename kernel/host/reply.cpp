#include "kernel/host/reply.hpp"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <utility>

namespace mansio::host {
namespace {

constexpr std::size_t kMaxText = 2048;
constexpr std::size_t kMaxName = 512;
constexpr std::size_t kMostValues = 10'000;
constexpr std::size_t kMostValueBytes = 1 << 20;
// What ABI 1.0 has. Fields that a later minor brings may be missing, these may not.
constexpr std::size_t kFirstReply = offsetof(mansio_reply, transmit_ns) + sizeof(std::int64_t);

void clean(std::string &s, std::size_t limit) {
  if (s.size() > limit) s.resize(limit);
  for (auto &c : s)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
}

std::uint8_t class_of(wire::DeliveryStatus status) {
  if (status == wire::DeliveryStatus::Sent) return 2;
  return status == wire::DeliveryStatus::Bounced ? 5 : 4;
}

// Values are data: any byte may be in them.
void read_values(Answer &a, const mansio_reply &r) {
  std::size_t bytes = 0;
  if (r.n_values <= kMostValues)
    for (std::size_t i = 0; i < r.n_values && bytes <= kMostValueBytes; ++i) bytes += r.values[i].n;
  if (r.n_values > kMostValues || bytes > kMostValueBytes) {
    a.status = MANSIO_DEFER;
    return;
  }
  a.values.reserve(r.n_values);
  for (std::size_t i = 0; i < r.n_values; ++i) {
    const auto &v = r.values[i];
    a.values.emplace_back(v.p ? std::string_view{v.p, v.n} : std::string_view{});
  }
}

}  // namespace

io::TableAnswer table_answer(Answer &&answer) {
  using Outcome = io::TableAnswer::Outcome;
  io::TableAnswer out;
  out.ttl = answer.ttl;
  if (answer.status == MANSIO_NOT_FOUND) {
    out.outcome = Outcome::NotFound;
  } else if (answer.status == MANSIO_OK && !answer.values.empty()) {
    out.outcome = Outcome::Found;
    out.values = std::move(answer.values);
  } else {
    out.failed = answer.status == MANSIO_INTERNAL || answer.status == MANSIO_OK;
    out.text = std::move(answer.outcome.text);
    if (out.text.empty()) out.text = answer.status == MANSIO_OK ? "the plugin found no value" : "the plugin failed";
  }
  return out;
}

std::string safe_name(std::string_view name) {
  std::string out{name.substr(0, kMaxName)};
  clean(out, kMaxName);
  return out;
}

std::string safe_text(std::string_view text) {
  std::string out{text.substr(0, kMaxText)};
  clean(out, kMaxText);
  return out;
}

void make_safe(wire::RecipientOutcome &o) {
  if (o.status > wire::DeliveryStatus::Uncertain) {
    o.status = wire::DeliveryStatus::Uncertain;
    o.plugin_failed = true;
    o.text = "its process reported what is no outcome";
  }
  if (o.smtp_code < 200 || o.smtp_code > 599) o.smtp_code = 0;
  if (!o.enhanced.empty()) {
    o.enhanced.cls = class_of(o.status);
    if (o.enhanced.subject > 999 || o.enhanced.detail > 999) o.enhanced.subject = o.enhanced.detail = 0;
  }
  clean(o.text, kMaxText);
  for (auto *name : {&o.remote_mta, &o.relay, &o.tls}) clean(*name, kMaxName);
  for (auto *time : {&o.connect_ns, &o.transmit_ns, &o.retry_ns}) *time = std::max<Nanos>(*time, 0);
  if (o.status != wire::DeliveryStatus::Deferred) o.retry_ns = 0;
}

bool too_much(const std::vector<std::string> &values) {
  std::size_t bytes = 0;
  for (const auto &value : values) bytes += value.size();
  return values.size() > kMostValues || bytes > kMostValueBytes;
}

Answer plugin_failure(std::string why) {
  Answer a;  // whose status is INTERNAL
  a.outcome.text = std::move(why);
  return a;
}

wire::DeliveryStatus delivery_status(mansio_status status) {
  switch (status) {
    case MANSIO_OK:
      return wire::DeliveryStatus::Sent;
    case MANSIO_FAIL:
      return wire::DeliveryStatus::Bounced;
    case MANSIO_UNCERTAIN:
      return wire::DeliveryStatus::Uncertain;
    default:
      return wire::DeliveryStatus::Deferred;  // whatever else it means, the mail stays
  }
}

Answer read_reply(const mansio_reply *reply) {
  mansio_reply r{};
  Answer a;
  a.cut_short = !reply || reply->size < kFirstReply;
  if (a.cut_short)
    r.status = MANSIO_INTERNAL;
  else
    std::memcpy(&r, reply, std::min<std::size_t>(reply->size, sizeof r));
  a.status = r.status;
  a.ttl = r.ttl_ns;
  a.retry = std::max<Nanos>(r.retry_ns, 0);
  if (r.values && r.n_values > 0) read_values(a, r);
  auto &o = a.outcome;
  o.status = delivery_status(r.status);
  o.smtp_code = r.smtp_code;
  const auto cls = class_of(o.status);
  o.enhanced = {cls, 0, 0};
  if (r.enhanced[0] != 0) o.enhanced = {cls, r.enhanced[1], r.enhanced[2]};
  o.plugin_failed = r.status != MANSIO_OK && r.status != MANSIO_FAIL && r.status != MANSIO_DEFER &&
                    r.status != MANSIO_UNCERTAIN && r.status != MANSIO_BUSY && r.status != MANSIO_CANCELLED;
  o.text = a.cut_short ? std::string_view{"the plugin gave no whole reply"} : view(r.text).substr(0, kMaxText);
  o.remote_mta = view(r.remote_mta).substr(0, kMaxName);
  o.relay = view(r.relay).substr(0, kMaxName);
  o.tls = view(r.tls).substr(0, kMaxName);
  o.relayed_dsn = (r.flags & MANSIO_REPLY_DSN_RELAYED) != 0;
  o.connect_ns = r.connect_ns;
  o.transmit_ns = r.transmit_ns;
  o.connection_use = r.connection_use;
  o.retry_ns = a.retry;
  make_safe(o);
  a.destination = safe_name(view(r.destination));
  a.site_failure = (r.flags & MANSIO_REPLY_SITE_FAILURE) != 0;
  return a;
}

}  // namespace mansio::host
