#include "kernel/ingress/deposit.hpp"

#include <algorithm>

#include "kernel/mail/trace.hpp"

namespace mansio::ingress {

Task<Result<MessageId>> deposit(Environment &env, Service &service, Envelope &e, std::unique_ptr<spool::Draft> draft,
                                const ContentScanner &content) {
  e.config_epoch = env.config_epoch;
  const auto id = co_await env.writer.reserve_id();
  if (!id) {
    env.log.warn("no segment to write to", {{"client", e.client_address}, {"error", id.error().text}});
    co_return id.error();
  }
  const auto trace = received_header(e, env.settings.myhostname, *id);
  e.body = content.info();
  e.body.size += trace.size();  // the body in the spool begins with it
  ++e.body.hops;
  const auto committed = co_await env.writer.commit(*id, trace, std::move(draft), e, service.smtpd.durability);
  if (!committed) {
    env.log.warn("message not committed",
                 {{"qid", *id}, {"client", e.client_address}, {"error", committed.error().text}});
    co_return committed.error();
  }
  env.intake.committed(*committed, e);
  ++service.counters.messages;
  service.counters.recipients += e.recipients.size();
  service.counters.bytes += content.size();
  env.log.info("accepted", {{"qid", *id},
                            {"client", e.client_address},
                            {"client_name", e.client_name},
                            {"from", e.sender},
                            {"size", content.size()},
                            {"nrcpt", e.recipients.size()},
                            {"proto", e.protocol},
                            {"helo", e.helo},
                            {"tls", e.tls_version},
                            {"cipher", e.tls_cipher},
                            {"listener", e.listener}});
  co_return *id;
}

// A recipient list mostly has one route; the last one used is the likeliest.
std::uint16_t intern(std::vector<Route> &routes, Route route) {
  const auto at = std::find(routes.rbegin(), routes.rend(), route);
  if (at != routes.rend()) return static_cast<std::uint16_t>(routes.rend() - at - 1);
  routes.push_back(std::move(route));
  return static_cast<std::uint16_t>(routes.size() - 1);
}

}  // namespace mansio::ingress
