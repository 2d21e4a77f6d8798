// Operators' orders about where mail goes: a rebind gives it another transport, next hop or source pool, a reroute asks
// the router again. The message stays what it is: its time stamp, its hold, how often it was tried, and what was said
// of its other recipients.
//
// What is being delivered, or may be since before a restart, is left alone, for whoever has it may deliver it yet.
// Recipients that go elsewhere make new groups, as after the router's answer; they are tried at once. A rebind that
// names the transport has the last word on mail that waits for the router, too: that may be all that helps mail whose
// transport is gone.
#include <algorithm>
#include <utility>

#include "kernel/config/syntax.hpp"
#include "kernel/mail/address.hpp"
#include "kernel/mail/utf8.hpp"
#include "kernel/queue/command_words.hpp"
#include "kernel/queue/core.hpp"

namespace mansio::queue {

std::string QueueCore::problem_of_rebind(const wire::QueueCommand &c) const {
  bool any = false;
  for (const auto &[key, value] : c.match) {
    if (!is_target(c, key)) continue;
    any = true;
    auto text = value;
    if (value.empty()) return key.substr(3) + " has no name";
    if (key == "to_transport") {
      if (!settings_->transport(value)) return "there is no [transport." + value + "]";
    } else if (key == "to_nexthop") {
      if (!config::kNexthop.canonical(text)) return "not a next hop: " + value;
    } else if (key == "to_pool") {
      if (!config::kLine.canonical(text)) return "not a source pool: " + value;
    } else {
      return "rebind does not understand " + key + "=" + value;
    }
  }
  return any ? "" : "where to? give a transport, a next hop or a source pool";
}

// Is that recipient, of a group of a message that matches, one of those the order is about? One about a destination is
// not about the message's others.
bool QueueCore::meant(const Command &command, GroupSlot group, const Recipient &recipient) const {
  for (const auto &[key, value] : command.request.match) {
    const auto domain = split_address(recipient.address).domain;
    if (key == "transport" && transport_of(group).name != value) return false;
    if (key == "destination" && !equals_nocase(scheduler_->nexthop_of(scheduler_->destination_of(group)), value) &&
        !equals_nocase(site_of(group), value) && !names_domain(value, domain))
      return false;
    if (key == "domain" && !equals_nocase(domain, value)) return false;
    if (key == "recipient" && !equals_nocase(recipient.address, value) && !equals_nocase(recipient.original, value))
      return false;
  }
  return true;
}

// True: something of it goes elsewhere from now on.
bool QueueCore::do_rebind(const Command &command, MessageSlot slot) {
  auto &m = index_.message(slot);
  const bool reroute = command.request.verb == "reroute";
  const auto transport = match_of(command, "to_transport"), pool = match_of(command, "to_pool");
  std::string nexthop{match_of(command, "to_nexthop")};
  if (!nexthop.empty()) (void)config::kNexthop.canonical(nexthop);  // it is one: problem_of_rebind()
  bool any = false;
  bool chosen = false;  // a pool of a group, which is given up
  if (!pool.empty()) index_.each_group(slot, [&](GroupSlot g) { chosen |= !scheduler_->chosen_pool(g).empty(); });
  if (!pool.empty() && (chosen || m.more().pool != pool)) {  // of the next deliveries of all its recipients
    m.more().pool = pool;
    journal(m, entry::pool(m.id, pool));
    index_.each_group(slot, [&](GroupSlot g) {
      if (scheduler_->transport_of(g) == route_transport_) return;
      scheduler_->set_flow(g, scheduler_->with_source_pool(scheduler_->flow_of(g), pool), clock_.mono());
    });
    any = true;
  }
  if (m.corrupt || (!reroute && transport.empty() && nexthop.empty())) return any;
  const auto stored = peek(slot);
  if (!stored) return any;
  const auto &envelope = stored->envelope;
  const std::string named{transport};
  if (!named.empty() && !known_transport(named)) {  // its mail was routed again, and it has come back since
    transports_[transport_named(named, true)].orphan = false;
    refresh_capacities();
  }

  std::vector<GroupSlot> groups, emptied;
  index_.each_group(slot, [&](GroupSlot g) { groups.push_back(g); });
  Recipients moved;
  std::vector<std::pair<std::uint32_t, Route>> routes;
  std::uint16_t attempts = 0;  // the most of any
  for (const auto g : groups) {
    const auto state = index_.group(g).state;
    if (state != GroupState::Scheduled && (state != GroupState::Held || !may_schedule(g))) continue;
    const bool routing = scheduler_->transport_of(g) == route_transport_;
    if (routing && (reroute || named.empty())) continue;  // the router will say
    auto &recipients = index_.group(g).recipients;
    Recipients here;
    for (const auto &p : recipients)
      if (meant(command, g, envelope.recipients[p.index])) here.push_back(p.index);
    const auto before = moved.size();
    for (const auto i : here) {
      const auto &now = route_of(m, envelope, i);
      Route to;  // of a reroute: none
      if (!reroute) {
        to.transport = named.empty() ? now.transport : named;
        to.nexthop = nexthop.empty() && named.empty() ? now.nexthop : nexthop;
        if (to == now && !routing) continue;
        if (!known_transport(to.transport)) continue;  // it is gone: the router is about to be asked
      }
      auto *p = recipients.find(i);
      reasons_.drop(p->reason);
      recipients.erase(p);
      moved.push_back(i);
      routes.emplace_back(i, std::move(to));
    }
    if (moved.size() == before) continue;
    attempts = std::max(attempts, index_.group(g).attempts);
    if (recipients.empty()) emptied.push_back(g);
  }
  if (moved.empty()) return any;

  for (const auto &[recipient, route] : routes) {
    m.more().routes[recipient] = route;
    if (!route.transport.empty()) tell_routed(m.id, envelope.recipients[recipient], route);
  }
  journal(m, entry::routes(m.id, routes));
  // On the disk it may wait for longer. Said behind the routes: a start that knows of the one knows of the others, and
  // nothing goes the new way before both are there.
  if (!m.held) wake(m);
  // The new groups first: while they are there the message does not look finished.
  place_recipients(slot, envelope, moved, nullptr, times(), attempts, true);
  for (const auto g : emptied) {
    scheduler_->remove(g);
    index_.erase_group(g, reasons_);
  }
  return true;
}

}  // namespace mansio::queue
