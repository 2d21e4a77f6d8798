#include "kernel/route/route_table.hpp"

#include <charconv>

#include "kernel/mail/address.hpp"
#include "kernel/mail/utf8.hpp"

namespace mansio::route {
namespace {

std::string normal(std::string_view local, const std::string &domain) { return lower(local) + '@' + domain; }

std::string normal(std::string_view address) {
  const auto parts = split_address(address);
  return parts.has_domain ? normal(parts.local, canonical_domain(parts.domain)) : lower(address);
}

std::unordered_set<std::string> normal_set(const std::vector<std::string> &addresses) {
  std::unordered_set<std::string> out;
  for (const auto &address : addresses) out.insert(normal(address));
  return out;
}

template <class N>
bool number(std::string_view &text, N &out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (error != std::errc{}) return false;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return true;
}

bool skip(std::string_view &text, char c) {
  if (!text.starts_with(c)) return false;
  text.remove_prefix(1);
  return true;
}

// How mail of an own domain is delivered by this route, which does not refuse; with that domain's postmaster.
std::optional<RouteDecision> delivery_of_own(const config::RouteRule &rule, const OwnDomains &own) {
  const auto by = [&](const std::string &domain) -> std::optional<RouteDecision> {
    if (!own.is_destination(domain)) return std::nullopt;
    return RouteDecision{{rule.transport, rule.nexthop}, std::nullopt, "postmaster@" + domain};
  };
  for (const auto &domain : rule.domain)
    if (auto found = by(canonical_domain(domain))) return found;
  for (const auto &address : rule.recipient)
    if (auto found = by(canonical_domain(split_address(address).domain))) return found;
  return std::nullopt;
}

}  // namespace

std::optional<Refusal> parse_refusal(std::string_view text) {
  Refusal out;
  if (!number(text, out.code) || out.code < 400 || out.code > 599 || !skip(text, ' ')) return std::nullopt;
  if (!number(text, out.enhanced.cls) || !skip(text, '.') || !number(text, out.enhanced.subject) || !skip(text, '.') ||
      !number(text, out.enhanced.detail) || !skip(text, ' ')) {
    return std::nullopt;
  }
  if (out.enhanced.cls != out.code / 100 || text.empty()) return std::nullopt;
  out.text = text;
  return out;
}

RouteTable::RouteTable(const config::Settings &settings, std::span<const std::string> own_addresses)
    : own_(settings, own_addresses), postmasters_{settings.postmaster} {
  if (!split_address(settings.postmaster).has_domain) postmasters_.front() += '@' + own_.myhostname();
  for (const auto &domain : settings.mydestination) postmasters_.push_back("postmaster@" + canonical_domain(domain));
  for (const auto &from : settings.routes) {
    Rule &rule = rules_.emplace_back();
    rule.recipients = normal_set(from.recipient);
    rule.domains = DomainSet{from.domain};
    rule.senders = normal_set(from.sender);
    rule.any_recipient = from.recipient.empty();
    rule.any_domain = from.domain.empty();
    rule.any_sender = from.sender.empty();
    if (from.error.empty()) {
      rule.decision.route = {from.transport, from.nexthop};
      if (!own_delivery_ && rule.any_sender) own_delivery_ = delivery_of_own(from, own_);
    } else if (!(rule.decision.refusal = parse_refusal(from.error))) {
      rule.decision.refusal = Refusal{451, {4, 3, 5}, "Server configuration error"};  // settings not from the parser
    }
  }
}

bool RouteTable::is_own_postmaster(std::string_view recipient) const {
  const auto to = split_address(recipient);
  const auto domain = to.has_domain ? canonical_domain(to.domain) : own_.myhostname();
  if (normal(to.local, domain) == normal(postmasters_.front())) return true;
  auto local = to.local;
  if (local.size() > 2 && local.front() == '"' && local.back() == '"') local = local.substr(1, local.size() - 2);
  return is_postmaster(local) && (own_.is_destination(domain) || own_.is_host(domain));
}

RouteDecision RouteTable::route(std::string_view sender, std::string_view recipient) const {
  auto decision = match(sender, recipient);
  if (!decision.refusal || !is_own_postmaster(recipient)) return decision;
  for (const auto &other : postmasters_) {
    auto way = match(sender, other);
    if (way.refusal) continue;
    way.address = other;
    return way;
  }
  return own_delivery_.value_or(decision);
}

RouteDecision RouteTable::match(std::string_view sender, std::string_view recipient) const {
  const auto to = split_address(recipient);
  auto domain = to.has_domain ? canonical_domain(to.domain) : own_.myhostname();
  if (own_.is_literal_of_host(domain)) domain = own_.myhostname();
  const auto address = normal(to.local, domain);
  const auto from = sender.empty() ? std::string{"<>"} : normal(sender);
  const auto from_at = from.rfind('@');
  const auto from_domain = from_at == from.npos ? std::string{} : from.substr(from_at);

  for (const auto &rule : rules_) {
    if (!rule.any_recipient && !rule.recipients.contains(address)) continue;
    if (!rule.any_domain && !rule.domains.contains(domain)) continue;
    if (!rule.any_sender && !rule.senders.contains(from) &&
        (from_domain.empty() || !rule.senders.contains(from_domain)))
      continue;
    return rule.decision;
  }
  return {{}, Refusal{451, {4, 3, 5}, "No route for this recipient"}, {}};  // the parser demands a default route
}

}  // namespace mansio::route
