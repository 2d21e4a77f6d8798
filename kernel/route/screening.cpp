#include "kernel/route/screening.hpp"

#include <algorithm>
#include <utility>

#include "kernel/route/content_filter.hpp"

namespace mansio::route {
namespace {

std::string_view refused_part(AccessSubject subject) {
  switch (subject) {
    case AccessSubject::Client:
      return "Client host rejected";
    case AccessSubject::Helo:
      return "Helo command rejected";
    case AccessSubject::Sender:
      return "Sender address rejected";
    case AccessSubject::Recipient:
      break;
  }
  return "Recipient address rejected";
}

// The client hears what was refused, and the operator's words or, without any, that access is denied.
Refusal about(Refusal refusal, AccessSubject subject, const std::string &who) {
  refusal.enhanced = fitting(refusal.enhanced, subject);
  if (refusal.text.empty())
    refusal.text = refusal.code < 500 ? "Access denied for now, try again later" : "Access denied";
  refusal.text = "<" + who + ">: " + std::string{refused_part(subject)} + ": " + refusal.text;
  return refusal;
}

// True: no further table of this use is asked.
bool apply(Screened &out, AccessAction action, AccessSubject subject, const std::string &who,
           const std::string &table) {
  switch (action.kind) {
    case AccessKind::Ok:
      return true;
    case AccessKind::Dunno:
      return false;
    case AccessKind::Refuse:
      out.hang_up = action.refusal.code == 421 || action.refusal.code == 521;
      out.refusal = about(std::move(action.refusal), subject, who);
      return true;
    case AccessKind::DeferIfPermit:
      if (!out.defer_if_permit) out.defer_if_permit = about(std::move(action.refusal), subject, who);
      return false;
    case AccessKind::DeferIfReject:
      if (!out.defer_if_reject) out.defer_if_reject = about(std::move(action.refusal), subject, who);
      return false;
    case AccessKind::Discard:
      out.effects.discard = true;
      break;
    case AccessKind::Hold:
      out.effects.hold = true;
      break;
    case AccessKind::Redirect:
      out.effects.redirect = std::move(action.text);
      return false;
    case AccessKind::Bcc:
      out.effects.bcc.push_back(std::move(action.text));
      return false;
    case AccessKind::Prepend:
      out.effects.prepend += action.text + "\r\n";
      return false;
    case AccessKind::Filter:
      out.effects.filter = std::move(action.text);
      return false;
    case AccessKind::Restrict:  // decided before
      return false;
    case AccessKind::Info:
    case AccessKind::Warn:
      break;
  }
  out.notes.push_back({action.kind == AccessKind::Warn, table, std::move(action.text)});
  return false;
}

}  // namespace

void AccessEffects::add(const AccessEffects &more) {
  discard = discard || more.discard;
  hold = hold || more.hold;
  if (!more.redirect.empty()) redirect = more.redirect;
  bcc.insert(bcc.end(), more.bcc.begin(), more.bcc.end());
  prepend += more.prepend;
  if (!more.filter.empty()) filter = more.filter;
}

AccessLists::AccessLists(const config::Settings &settings, const config::Smtpd &smtpd)
    : client_(settings, smtpd.client_access_maps),
      helo_(settings, smtpd.helo_access_maps),
      sender_(settings, smtpd.sender_access_maps),
      recipient_(settings, smtpd.recipient_access_maps),
      settings_(&settings),
      codes_{static_cast<std::uint16_t>(smtpd.access_map_reject_code),
             static_cast<std::uint16_t>(smtpd.access_map_defer_code)},
      delimiters_(settings.recipient_delimiter),
      null_key_(smtpd.null_access_lookup_key),
      plain_parents_(std::ranges::find(settings.parent_domain_matches_subdomains, "access_maps") !=
                     settings.parent_domain_matches_subdomains.end()) {}

Task<Screened> AccessLists::screen(Search &search, AccessClient client, const MapList &maps, Keys keys,
                                   AccessSubject subject, std::string who) const {
  Screened out;
  for (const auto &table : maps.tables()) {
    const auto found = co_await search.in_table(table, keys);
    if (found.later()) {
      out.later = true;
      out.refusal = Refusal{451, {4, 3, 0}, "Temporary lookup failure"};
      out.notes.push_back({true, table.name, found.text});
      break;
    }
    if (!found.found()) continue;
    auto action = parse_access(found.values.front(), codes_);
    if (action && action->kind == AccessKind::Filter && !settings_->transport(filter_route(action->text).transport))
      action = Error{Status::BadConfig, "\"FILTER " + action->text + "\" names no [transport.NAME] that there is"};
    if (!action) {
      out.later = true;
      out.refusal = Refusal{451, {4, 3, 5}, "Server configuration error"};
      out.notes.push_back({true, table.name, action.error().text});
      break;
    }
    const bool over = apply(out, decided(std::move(*action), client, codes_), subject, who, table.name);
    if (over) break;
  }
  co_return out;
}

Task<Screened> AccessLists::client(Search &search, AccessClient client, std::string name, std::string address) const {
  auto keys = host_keys(name, plain_parents_);
  for (auto &key : network_keys(address)) keys.push_back(std::move(key));
  return screen(search, client, client_, std::move(keys), AccessSubject::Client, name + "[" + address + "]");
}

Task<Screened> AccessLists::helo(Search &search, AccessClient client, std::string name) const {
  return screen(search, client, helo_, host_keys(name, plain_parents_), AccessSubject::Helo, name);
}

Task<Screened> AccessLists::sender(Search &search, AccessClient client, std::string address) const {
  return screen(search, client, sender_, address_access_keys(address, delimiters_, plain_parents_, null_key_),
                AccessSubject::Sender, address);
}

Task<Screened> AccessLists::recipient(Search &search, AccessClient client, std::string address) const {
  return screen(search, client, recipient_, address_access_keys(address, delimiters_, plain_parents_, null_key_),
                AccessSubject::Recipient, address);
}

}  // namespace mansio::route
