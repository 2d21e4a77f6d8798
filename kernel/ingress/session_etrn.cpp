// ETRN (RFC 1985): a client that was away, such as the host of a domain on a line that is dialled, asks for the mail
// that waits for it. It comes by delivery as any mail: the queue only tries it before its time.
#include <algorithm>
#include <string>
#include <utility>

#include "kernel/ingress/session.hpp"
#include "kernel/mail/address.hpp"
#include "kernel/route/own_domains.hpp"

namespace mansio::ingress {
namespace {

bool listed(const config::Smtpd &smtpd, const config::Settings &settings, std::string_view domain) {
  const auto &domains = smtpd.fast_flush_domains.empty() ? settings.relay_domains : smtpd.fast_flush_domains;
  return route::DomainSet{domains}.contains(route::canonical_domain(domain));
}

}  // namespace

bool Session::may_etrn() const {
  return std::any_of(smtpd_.etrn_clients.begin(), smtpd_.etrn_clients.end(),
                     [&](const config::Network &n) { return n.contains(client_.key); });
}

Task<void> Session::etrn(std::string_view argument) {
  count_junk();
  if (smtpd_.tls_security_level == config::TlsLevel::Encrypt && !connection_.secure()) {
    refuse({530, {5, 7, 0}, "Must issue a STARTTLS command first"});
    co_return;
  }
  if (helo_.empty()) {
    refuse({503, {5, 5, 1}, "Error: send HELO/EHLO first"});
    co_return;
  }
  if (transaction_) {
    refuse({503, {5, 5, 1}, "Error: MAIL transaction in progress"});
    co_return;
  }
  const bool subdomains = argument.starts_with('@');
  const auto domain = parse_domain(argument.substr(subdomains ? 1 : 0));
  if (!domain) {
    refuse({501, {5, 5, 4}, "Error: ETRN takes a domain, or @ and a domain"});
    co_return;
  }
  const auto node = (subdomains ? "@" : "") + *domain;
  if (!may_etrn() || !listed(smtpd_, env_.settings, *domain)) {
    const Reply denied{459, {4, 7, 1}, "<" + node + ">: ETRN not allowed"};
    log_reject("ETRN", denied, node);
    refuse(denied);
    co_return;
  }
  auto by = "client " + client_.address;
  auto destination = node;
  const auto waiting = co_await env_.intake.flush(std::move(destination), std::move(by));
  if (!waiting)
    reply({458, {4, 3, 2}, "Unable to queue messages for node " + node});
  else if (*waiting == 0)
    reply({251, {2, 0, 0}, "OK, no messages waiting for node " + node});
  else
    reply({253, {2, 0, 0}, "OK, " + std::to_string(*waiting) + " pending messages for node " + node + " started"});
}

}  // namespace mansio::ingress
