#include "kernel/ingress/deposit.hpp"

#include <chrono>
#include <optional>
#include <utility>

#include "kernel/host/store_set.hpp"
#include "kernel/mail/new_mail.hpp"
#include "kernel/mail/trace.hpp"
#include "kernel/route/content_filter.hpp"

namespace mansio::ingress {

namespace {

// What the envelope holds of its client, listener and body; the header fields that come before the content.
std::string fill_in(Environment &env, const Service &service, const Client &client, MessageId id, Envelope &e,
                    const ContentScanner &content, std::string prepend) {
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
  auto received = received_header(e, env.settings.myhostname, id, service.smtpd.sasl_authenticated_header);
  return put_before(content, std::move(prepend) + std::move(received), e);
}

// `first`: the message that this one is a version of; itself where there is no other.
void accepted(Environment &env, Service &service, MessageId id, const Envelope &e, const ContentScanner &content,
              MessageId first) {
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
  if (first != id) env.log.info("version of a message", {{"qid", id}, {"of", first}});
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
}

Task<Result<std::vector<spool::Committed>>> commit(spool::Writer &writer, std::vector<spool::NewMessage> messages,
                                                   Durability durability) {
  if (messages.size() > 1) co_return co_await writer.commit(std::move(messages), durability);
  auto &only = messages.front();
  const auto committed = co_await writer.commit(only.id, only.prefix, std::move(only.body), *only.envelope, durability);
  if (!committed) co_return committed.error();
  co_return std::vector<spool::Committed>{*committed};
}

}  // namespace

Task<Result<void>> commit_everywhere(Environment &env, std::vector<spool::NewMessage> messages, Durability durability) {
  std::vector<std::pair<MessageId, const Envelope *>> all;
  all.reserve(messages.size());
  for (const auto &message : messages) all.emplace_back(message.id, message.envelope);
  const auto abandon = [&env, &all] {
    if (!env.stores) return;
    for (const auto &[id, envelope] : all) env.intake.abandoned(id);
  };
  for (std::size_t i = 0; env.stores && i < messages.size(); ++i) {
    auto &message = messages[i];
    const StoreKey key{env.intake.spool(), message.id};
    const auto kept =
        co_await env.stores->commit(key, *message.body, encode_envelope(*message.envelope), message.prefix);
    if (!kept) {
      abandon();
      co_return kept.error();
    }
  }
  const auto committed = co_await commit(env.writer, std::move(messages), durability);
  if (!committed) {
    abandon();
    co_return committed.error();
  }
  for (std::size_t i = 0; i < all.size(); ++i) env.intake.committed((*committed)[i], *all[i].second);
  co_return Result<void>{};
}

Task<Result<MessageId>> deposit(Environment &env, Service &service, const Client &client, Envelope &e,
                                std::unique_ptr<spool::Draft> draft, const ContentScanner &content, std::string prepend,
                                MessageId id) {
  if (!id) {
    const auto reserved = co_await env.writer.reserve_id();
    if (!reserved) {
      env.log.warn("no segment to write to", {{"client", client.address}, {"error", reserved.error().text}});
      co_return reserved.error();
    }
    id = *reserved;
  }
  std::vector<Deposit> only(1);
  only.front() = {id, &e, std::move(draft), &content};
  const auto done = co_await deposit(env, service, client, std::move(only), std::move(prepend));
  if (!done) co_return done.error();
  co_return id;
}

Task<Result<void>> deposit(Environment &env, Service &service, const Client &client, std::vector<Deposit> versions,
                           std::string prepend) {
  std::vector<spool::NewMessage> messages;
  messages.reserve(versions.size());
  for (auto &version : versions) {
    auto trace = fill_in(env, service, client, version.id, *version.envelope, *version.content, prepend);
    messages.push_back({version.id, std::move(trace), std::move(version.draft), version.envelope});
  }
  const auto committed = co_await commit_everywhere(env, std::move(messages), service.smtpd.durability);
  const auto first = versions.front().id;
  if (!committed) {
    env.log.warn("message not committed",
                 {{"qid", first}, {"client", client.address}, {"error", committed.error().text}});
    co_return committed.error();
  }
  for (const auto &version : versions) accepted(env, service, version.id, *version.envelope, *version.content, first);
  co_return Result<void>{};
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

}  // namespace mansio::ingress
