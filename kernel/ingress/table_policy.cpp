#include "kernel/ingress/table_policy.hpp"

#include <algorithm>
#include <utility>

#include "kernel/mail/address.hpp"
#include "kernel/mail/utf8.hpp"
#include "kernel/route/header_rewriting.hpp"

namespace mansio::ingress {
namespace {

Reply reply_of(const route::Refusal &refusal) { return {refusal.code, refusal.enhanced, refusal.text}; }

// "alice, bob": one of the names that the tables have.
bool names_login(const std::vector<std::string> &values, std::string_view login) {
  constexpr std::string_view kBetween = ", \t\r\n";
  for (std::string_view rest : values)
    while (!rest.empty()) {
      const auto word = rest.substr(0, rest.find_first_of(kBetween));
      if (!word.empty() && equals_nocase(word, login)) return true;
      rest.remove_prefix(std::min(word.size() + 1, rest.size()));
    }
  return false;
}

}  // namespace

struct TablePolicy::Asked {
  Asked(const TableQuestion &q, route::Search s) : question(q), search(std::move(s)) {}
  const TableQuestion &question;
  route::Search search;
  route::RelayDecision decision;
  std::string given, address, sender;   // address: canonical, before aliases
  std::vector<std::string> recipients;  // after aliases
  std::optional<route::Refusal> defer_if_permit, defer_if_reject;
  route::AccessEffects effects;
  TableVerdict verdict;
  bool maps = true;        // addresses are put in the place of others
  bool known_only = true;  // recipients have to exist
};

TablePolicy::TablePolicy(const config::Settings &s, std::span<const std::string> own_addresses, asio::io_context &loop,
                         const Clock &clock, Logger &log, io::Tables &tables)
    : settings_(s),
      loop_(loop),
      clock_(clock),
      log_(log),
      tables_(tables),
      relay_(s, own_addresses),
      routes_(s, own_addresses),
      domains_(s, relay_.own()),
      finder_(s, routes_, domains_),
      aliases_(s, domains_),
      canonical_(s, domains_),
      sender_bcc_(s, domains_, s.sender_bcc_maps, {}),
      recipient_bcc_(s, domains_, s.recipient_bcc_maps, {}),
      local_recipients_(s, domains_, s.local_recipient_maps, {}),
      relay_recipients_(s, domains_, s.relay_recipient_maps, {}) {
  for (const auto &listener : s.listeners)
    if (listener.protocol == "smtp") {
      access_.emplace(listener.name, route::AccessLists{s, listener.smtpd});
      if (const auto &maps = listener.smtpd.sender_login_maps; !maps.empty())
        logins_.emplace(listener.name, route::AddressMap{s, domains_, maps, {}});
    }
}

bool TablePolicy::needed(const config::Settings &s) {
  for (const auto *tables : {&s.mydestination_maps, &s.relay_domain_maps, &s.local_recipient_maps,
                             &s.relay_recipient_maps, &s.virtual_alias_maps, &s.sender_bcc_maps, &s.recipient_bcc_maps,
                             &s.canonical_maps, &s.sender_canonical_maps, &s.recipient_canonical_maps})
    if (!tables->empty()) return true;
  return !s.always_bcc.empty() || route::RouteFinder::needed(s) || std::ranges::any_of(s.listeners, [&](const auto &l) {
    return !l.smtpd.sender_login_maps.empty() || !route::AccessLists{s, l.smtpd}.empty();
  });
}

Task<TableVerdict> TablePolicy::recipient(TableQuestion question, route::ScreeningMemory &memory) const {
  Asked asked{question, route::Search{loop_, clock_, tables_}};
  asked.given = question.recipient;
  asked.sender = question.sender;
  asked.maps = !question.service.smtpd.overrides("no_address_mappings");
  asked.known_only = !question.service.smtpd.overrides("no_unknown_recipient_checks");
  bool ok = co_await owned(asked);
  if (ok) ok = co_await screened(asked, memory);
  if (ok) ok = co_await rewritten(asked);
  if (ok) ok = co_await expanded(asked);
  if (ok) ok = co_await routed(asked);
  if (ok) ok = co_await with_copies(asked);
  counters_.questions += asked.search.asked();
  auto &refusal = asked.verdict.refusal;
  if (refusal && refusal->code >= 500 && asked.defer_if_reject) refusal = reply_of(*asked.defer_if_reject);
  if (!refusal && asked.defer_if_permit) refusal = reply_of(*asked.defer_if_permit);
  asked.verdict.sender = std::move(asked.sender);
  co_return std::move(asked.verdict);
}

Task<TableVerdict> TablePolicy::postmaster(const Service &service, std::string sender) const {
  const Client us;
  const TableQuestion question{service, us, {}, sender, "postmaster"};
  Asked asked{question, route::Search{loop_, clock_, tables_}};
  asked.given = question.recipient;
  asked.sender = sender;
  asked.decision = relay_.postmaster();
  asked.address = asked.decision.address;
  bool ok = co_await expanded(asked);
  if (ok) ok = co_await routed(asked);
  counters_.questions += asked.search.asked();
  co_return std::move(asked.verdict);
}

bool TablePolicy::later(Asked &asked, const std::string &why) const {
  ++counters_.later;
  asked.verdict.refusal = Reply{451, {4, 3, 0}, "Temporary lookup failure"};
  log_.warn("table asked in vain", {{"to", asked.given}, {"reason", why}});
  return false;
}

bool TablePolicy::unknown(Asked &asked, std::uint32_t code) const {
  const auto cls = static_cast<std::uint8_t>(code / 100);
  asked.verdict.refusal = Reply{static_cast<std::uint16_t>(code), {cls, 1, 1}, "No such user here"};
  return false;
}

void TablePolicy::log_notes(const Asked &asked, const route::Screened &said) const {
  const auto &q = asked.question;
  for (const auto &note : said.notes) {
    const std::initializer_list<LogField> fields{
        {"table", note.table}, {"text", note.text}, {"client", q.client.address}, {"client_name", q.client.name},
        {"helo", q.helo},      {"from", q.sender},  {"to", q.recipient}};
    if (note.warning)
      log_.warn("access table", fields);
    else
      log_.info("access table", fields);
  }
}

bool TablePolicy::apply(Asked &asked, const route::Screened &said) const {
  if (said.later) ++counters_.later;
  if (said.refusal) {
    asked.verdict.refusal = reply_of(*said.refusal);
    asked.verdict.hang_up = said.hang_up;
  }
  if (said.defer_if_permit && !asked.defer_if_permit) asked.defer_if_permit = said.defer_if_permit;
  if (said.defer_if_reject && !asked.defer_if_reject) asked.defer_if_reject = said.defer_if_reject;
  return !said.refusal;
}

// What was said of the client, HELO or the sender; its effects are the message's, so they count once.
bool TablePolicy::apply_remembered(Asked &asked, std::optional<route::Screened> &said, bool is_new) const {
  if (is_new) log_notes(asked, *said);
  if (asked.question.first) asked.effects.add(said->effects);
  const bool pass = apply(asked, *said);
  if (said->later) said.reset();
  return pass;
}

// Is the sender address the client's to use? Once accepted with a recipient, it is for the rest of the message.
Task<bool> TablePolicy::owned(Asked &asked) const {
  const auto &q = asked.question;
  const auto found = logins_.find(q.service.name);
  if (found == logins_.end() || q.sender.empty() || !q.first) co_return true;
  const auto &login = q.client.sasl_username;
  if (login.empty() && !q.service.smtpd.reject_unauthenticated_sender_login_mismatch) co_return true;
  const std::string sender{q.sender};
  const auto owners = co_await found->second.raw(asked.search, sender);
  if (owners.later()) co_return later(asked, owners.text);
  if (login.empty() ? !owners.found() : names_login(owners.values, login)) co_return true;
  const auto why = login.empty() ? std::string{"not logged in"} : "not owned by user " + printable(login, false);
  asked.verdict.refusal = Reply{553, {5, 7, 1}, "<" + sender + ">: Sender address rejected: " + why};
  co_return false;
}

Task<bool> TablePolicy::screened(Asked &asked, route::ScreeningMemory &memory) const {
  const auto &q = asked.question;
  const auto found = access_.find(q.service.name);
  const bool any = found != access_.end() && !found->second.empty();
  if (any) {
    const auto &lists = found->second;
    const route::AccessClient client{q.client.trusted, q.client.authenticated()};
    bool is_new = !memory.client;
    if (is_new) memory.client = co_await lists.client(asked.search, client, q.client.name, q.client.address);
    if (!apply_remembered(asked, memory.client, is_new)) co_return false;
    is_new = !memory.helo;
    if (is_new && q.helo.empty()) memory.helo.emplace();
    if (is_new && !q.helo.empty()) {
      std::string name{q.helo};
      memory.helo = co_await lists.helo(asked.search, client, std::move(name));
    }
    if (!apply_remembered(asked, memory.helo, is_new)) co_return false;
    is_new = !memory.sender;
    if (is_new) {
      std::string sender{q.sender};
      memory.sender = co_await lists.sender(asked.search, client, std::move(sender));
    }
    if (!apply_remembered(asked, memory.sender, is_new)) co_return false;
  }
  const bool admissible = co_await admitted(asked);
  if (!admissible || !any) co_return admissible;
  const route::AccessClient client{q.client.trusted, q.client.authenticated()};
  const auto said = co_await found->second.recipient(asked.search, client, asked.given);
  log_notes(asked, said);
  asked.effects.add(said.effects);
  co_return apply(asked, said);
}

// Is it for us to take at all?
Task<bool> TablePolicy::admitted(Asked &asked) const {
  const auto place = relay_.place_of(asked.given);
  const auto of_domain = co_await domains_.class_of(asked.search, place.domain);
  if (!of_domain) co_return later(asked, of_domain.error().text);
  asked.decision = relay_.admit(asked.question.client.may_relay(), asked.given, place, *of_domain);
  asked.address = asked.decision.address;
  if (asked.decision.verdict == route::RelayVerdict::Accept) co_return true;
  asked.verdict.refusal = Reply{asked.decision.code, asked.decision.enhanced, asked.decision.text};
  co_return false;
}

Task<bool> TablePolicy::rewritten_as(Asked &asked, route::AddressClass what, std::string &address) const {
  auto mapped = co_await canonical_.find(asked.search, what, address);
  if (mapped.later) co_return later(asked, mapped.text);
  if (!mapped.addresses.empty()) address = std::move(mapped.addresses.front());
  co_return true;
}

Task<bool> TablePolicy::rewritten(Asked &asked) const {
  if (!asked.maps && !asked.known_only) co_return true;
  bool ok = co_await rewritten_as(asked, route::AddressClass::EnvelopeRecipient, asked.address);
  if (ok && asked.maps && asked.question.first)
    ok = co_await rewritten_as(asked, route::AddressClass::EnvelopeSender, asked.sender);
  co_return ok;
}

// An address that the tables put another in the place of exists by that, also where it is to stay as it is.
Task<bool> TablePolicy::expanded(Asked &asked) const {
  if (!asked.maps && !asked.known_only) {
    asked.recipients.push_back(asked.decision.address);
    co_return true;
  }
  auto expansion = co_await aliases_.expand(asked.search, asked.address);
  if (expansion.later) co_return later(asked, expansion.text);
  asked.recipients = std::move(expansion.addresses);
  if (!asked.maps) asked.recipients.assign(1, asked.decision.address);
  const bool mapped = expansion.alias || asked.address != asked.decision.address;
  if (mapped || asked.decision.final || !asked.known_only) co_return true;
  const bool known = co_await exists(asked, asked.address);
  if (known) co_return true;
  if (!asked.decision.to_postmaster || asked.verdict.refusal->code == 451) co_return false;
  // Mail for postmaster is always taken, so it must not end at a user whom nobody knows.
  asked.verdict.refusal.reset();
  auto postmaster = relay_.postmaster().address;
  if (!asked.maps) {
    asked.recipients.assign(1, postmaster);
    co_return true;
  }
  expansion = co_await aliases_.expand(asked.search, std::move(postmaster));
  if (expansion.later) co_return later(asked, expansion.text);
  asked.recipients = std::move(expansion.addresses);
  co_return true;
}

Task<bool> TablePolicy::exists(Asked &asked, const std::string &address) const {
  const bool local = asked.decision.domain == route::DomainClass::Destination;
  const auto &smtpd = asked.question.service.smtpd;
  if (asked.decision.domain == route::DomainClass::VirtualAlias)
    co_return unknown(asked, smtpd.unknown_virtual_alias_reject_code);
  if (!local && asked.decision.domain != route::DomainClass::Relay) co_return true;
  if (!local && asked.decision.to_postmaster) co_return true;  // of another host, which has to take it
  const auto &map = local ? local_recipients_ : relay_recipients_;
  const bool listed = local && relay_.lists_users();
  if (map.empty() && !listed) co_return true;
  if (listed) {
    const auto parts = split_address(address);
    const auto user = route::split_extension(parts.local, settings_.recipient_delimiter).user;
    const auto domain = route::canonical_domain(parts.domain);
    if (relay_.lists(parts.local, domain) || relay_.lists(user, domain)) co_return true;
  }
  const auto found = co_await map.raw(asked.search, address);
  if (found.later()) co_return later(asked, found.text);
  if (found.found()) co_return true;
  co_return unknown(asked,
                    local ? smtpd.unknown_local_recipient_reject_code : smtpd.unknown_relay_recipient_reject_code);
}

Task<bool> TablePolicy::routed(Asked &asked) const {
  auto &verdict = asked.verdict;
  // It has no way but by its aliases, which are for another listener to look up.
  if (!asked.maps && asked.decision.domain == route::DomainClass::VirtualAlias) {
    for (auto &address : asked.recipients) verdict.targets.push_back({std::move(address), {}});
    co_return true;
  }
  for (auto &address : asked.recipients) {
    auto way = co_await finder_.route(asked.search, asked.sender, address);
    auto &decision = way.decision;
    if (!way.trouble.empty()) log_.warn("no route", {{"to", address}, {"reason", way.trouble}});
    // Where recipients need not exist, one that is refused for good is taken without a way, and returned by the router.
    const bool taken = !asked.known_only && decision.refusal && decision.refusal->code >= 500;
    // One of several that cannot be reached does not keep the others from their mail, but what a table cannot say now
    // it may say when the client comes again.
    if (decision.refusal && ((asked.recipients.size() == 1 && !taken) || !way.trouble.empty())) {
      verdict.refusal = reply_of(*decision.refusal);
      co_return false;
    }
    Target target{decision.address.empty() ? std::move(address) : std::move(decision.address), {}};
    if (!decision.refusal) target.route = std::move(decision.route);
    verdict.targets.push_back(std::move(target));
  }
  co_return true;
}

Task<bool> TablePolicy::with_copies(Asked &asked) const {
  auto &verdict = asked.verdict;
  verdict.effects.discard = asked.effects.discard;
  verdict.effects.hold = asked.effects.hold;
  verdict.effects.prepend = asked.effects.prepend;
  verdict.effects.filter = asked.effects.filter;
  bool ok = true;
  if (asked.maps) ok = co_await copied_by(asked, recipient_bcc_, asked.address);
  if (ok && asked.maps && asked.question.first) ok = co_await copied_by(asked, sender_bcc_, asked.sender);
  if (ok && asked.maps && asked.question.first && !settings_.always_bcc.empty()) {
    auto always = settings_.always_bcc;
    if (!split_address(always).has_domain) always += '@' + settings_.myhostname;
    ok = co_await copied(asked, std::move(always));
  }
  for (std::size_t i = 0; ok && i < asked.effects.bcc.size(); ++i) ok = co_await copied(asked, asked.effects.bcc[i]);
  if (!ok || asked.effects.redirect.empty()) co_return ok;
  auto way = co_await finder_.route(asked.search, asked.sender, asked.effects.redirect);
  if (!way.trouble.empty()) co_return later(asked, way.trouble);
  verdict.effects.redirect = Target{asked.effects.redirect, {}};
  if (!way.decision.refusal) verdict.effects.redirect->route = std::move(way.decision.route);
  co_return true;
}

Task<bool> TablePolicy::copied_by(Asked &asked, const route::AddressMap &map, std::string address) const {
  if (map.empty()) co_return true;
  const auto mapped = co_await map.find(asked.search, std::move(address));
  if (mapped.later) co_return later(asked, mapped.text);
  for (const auto &to : mapped.addresses) {
    const bool ok = co_await copied(asked, to);
    if (!ok) co_return false;
  }
  co_return true;
}

// A copy that cannot be delivered is no reason to refuse the message, and nobody is told of it but the log.
Task<bool> TablePolicy::copied(Asked &asked, std::string to) const {
  route::Expansion expansion;
  if (asked.maps)
    expansion = co_await aliases_.expand(asked.search, std::move(to));
  else
    expansion.addresses.push_back(std::move(to));
  if (expansion.later) co_return later(asked, expansion.text);
  for (const auto &address : expansion.addresses) {
    auto way = co_await finder_.route(asked.search, asked.sender, address);
    if (!way.trouble.empty()) co_return later(asked, way.trouble);
    if (way.decision.refusal)
      log_.warn("no route for a copy", {{"to", address}, {"reason", way.decision.refusal->text}});
    else
      asked.verdict.copies.push_back({address, std::move(way.decision.route)});
  }
  co_return true;
}

Task<Result<std::string>> TablePolicy::header(std::string section) const {
  route::Search search{loop_, clock_, tables_};
  auto rewritten = co_await route::rewrite_header(search, canonical_, std::move(section));
  counters_.questions += search.asked();
  co_return rewritten;
}

}  // namespace mansio::ingress
