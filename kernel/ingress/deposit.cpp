#include "kernel/ingress/deposit.hpp"

#include <algorithm>
#include <chrono>
#include <optional>

#include "kernel/host/store_set.hpp"
#include "kernel/mail/trace.hpp"
#include "kernel/route/content_filter.hpp"

namespace mansio::ingress {

Task<Result<void>> commit_everywhere(Environment &env, MessageId id, std::string trace,
                                     std::unique_ptr<spool::Draft> draft, const Envelope &envelope,
                                     Durability durability) {
  if (env.stores) {
    const StoreKey key{env.intake.spool(), id};
    const auto kept = co_await env.stores->commit(key, *draft, encode_envelope(envelope), trace);
    if (!kept) {
      env.intake.abandoned(id);
      co_return kept.error();
    }
  }
  const auto committed = co_await env.writer.commit(id, trace, std::move(draft), envelope, durability);
  if (!committed) {
    if (env.stores) env.intake.abandoned(id);
    co_return committed.error();
  }
  env.intake.committed(*committed, envelope);
  co_return Result<void>{};
}

Task<Result<MessageId>> deposit(Environment &env, Service &service, const Client &client, Envelope &e,
                                std::unique_ptr<spool::Draft> draft, const ContentScanner &content, std::string prepend,
                                MessageId chosen) {
  e.config_epoch = env.config_epoch;
  e.client_address = client.address;
  e.client_name = client.name;
  e.client_port = client.port;
  e.auth_user = client.sasl_username;
  e.auth_method = client.sasl_method;
  e.listener = service.name;
  const auto filter = e.content_filter.empty() ? route::content_filter(service.smtpd)
                                               : std::optional{route::filter_route(e.content_filter)};
  if (filter) {
    e.routes.assign(1, *filter);
    for (auto &recipient : e.recipients) recipient.route = 0;
  }
  if (!chosen) {
    const auto reserved = co_await env.writer.reserve_id();
    if (!reserved) {
      env.log.warn("no segment to write to", {{"client", e.client_address}, {"error", reserved.error().text}});
      co_return reserved.error();
    }
    chosen = *reserved;
  }
  const auto id = chosen;
  auto trace =
      std::move(prepend) + received_header(e, env.settings.myhostname, id, service.smtpd.sasl_authenticated_header);
  // Content that begins with its body, without even the empty line, would have that taken for a part of our fields.
  if (content.header_malformed() && content.header_size() == 0) trace += "\r\n";
  // And a line of an mbox file becomes a field, or the fields behind it would be body.
  if (content.mailbox_line()) trace += "X-Mailbox-Line: ";
  e.body = content.info();
  e.body.size += trace.size();  // the body in the spool begins with it
  ++e.body.hops;
  const auto committed =
      co_await commit_everywhere(env, id, std::move(trace), std::move(draft), e, service.smtpd.durability);
  if (!committed) {
    env.log.warn("message not committed",
                 {{"qid", id}, {"client", e.client_address}, {"error", committed.error().text}});
    co_return committed.error();
  }
  ++service.counters.messages;
  service.counters.recipients += e.recipients.size();
  service.counters.bytes += content.size();
  env.log.info("accepted", {{"qid", id},
                            {"client", e.client_address},
                            {"client_name", e.client_name},
                            {"from", e.sender},
                            {"size", content.size()},
                            {"nrcpt", e.recipients.size()},
                            {"proto", e.protocol},
                            {"helo", e.helo},
                            {"tls", e.tls_version},
                            {"cipher", e.tls_cipher},
                            {"sasl_method", e.auth_method},
                            {"sasl_username", e.auth_user},
                            {"sasl_sender", e.auth_sender},
                            {"listener", e.listener}});
  if (e.origin) {
    env.log.info("xforward", {{"qid", id},
                              {"orig_queue_id", e.origin->ident},
                              {"orig_client", e.origin->address},
                              {"orig_client_name", e.origin->name},
                              {"orig_client_port", e.origin->port},
                              {"orig_helo", e.origin->helo},
                              {"orig_proto", e.origin->protocol},
                              {"orig_source", e.origin->local ? "LOCAL" : "REMOTE"}});
  }
  co_return id;
}

std::optional<Reply> Environment::refusal() const {
  if (auto why = intake.refusal()) return why;
  if (stores && (stores->away() || intake.spool() == 0))
    return Reply{451, {4, 3, 0}, "Mail store is unavailable, try again later"};
  return std::nullopt;
}

std::optional<Reply> nul_refusal(bool filtered, std::string_view content) {
  if (!filtered || content.find('\0') == content.npos) return std::nullopt;
  return Reply{550, {5, 6, 0}, "Error: NUL in the message"};
}

Reply discard(Environment &env, const Client &client, const Envelope &e) {
  env.log.info("discarded", {{"client", client.address},
                             {"client_name", client.name},
                             {"from", e.sender},
                             {"nrcpt", e.recipients.size()},
                             {"proto", e.protocol},
                             {"helo", e.helo}});
  return {250, {2, 0, 0}, "Ok"};
}

Task<void> hold_back(Environment &env, Service &service, const Client &client) {
  const auto delay = env.settings.queue.in_flow_delay;
  if (delay <= 0 || !env.intake.slows(client)) co_return;
  ++service.counters.braked_messages;
  asio::steady_timer timer{env.loop, std::chrono::nanoseconds{delay}};
  ErrorCode ignored;
  co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
}

// A recipient list mostly has one route; the last one used is the likeliest.
std::uint16_t intern(std::vector<Route> &routes, Route route) {
  const auto at = std::find(routes.rbegin(), routes.rend(), route);
  if (at != routes.rend()) return static_cast<std::uint16_t>(routes.rend() - at - 1);
  routes.push_back(std::move(route));
  return static_cast<std::uint16_t>(routes.size() - 1);
}

}  // namespace mansio::ingress
