#include "kernel/config/settings.hpp"

#include <algorithm>

namespace mansio::config {
namespace {

template <class T>
const T *by_name(const std::vector<T> &all, std::string_view name) {
  const auto found = std::find_if(all.begin(), all.end(), [&](const T &each) { return each.name == name; });
  return found == all.end() ? nullptr : &*found;
}

std::string in_domain(const std::string &mailbox, const std::string &domain) {
  return mailbox.find('@') == mailbox.npos ? mailbox + '@' + domain : mailbox;
}

}  // namespace

bool Smtpd::overrides(std::string_view what) const {
  return std::find(receive_override_options.begin(), receive_override_options.end(), what) !=
         receive_override_options.end();
}

std::string Settings::postmaster_address() const { return in_domain(postmaster, myhostname); }
std::string Settings::double_bounce_address() const { return in_domain(double_bounce_sender, myhostname); }

bool Transport::asks_exchangers() const {
  return destination_key == DestinationKey::Site ||
         std::any_of(destinations.begin(), destinations.end(), [](const auto &rule) { return !rule.mx.empty(); });
}

bool Settings::asks_exchangers() const {
  return std::any_of(transports.begin(), transports.end(), [](const auto &t) { return t.asks_exchangers(); });
}

bool Settings::records() const {
  return std::any_of(listeners.begin(), listeners.end(), [](const auto &l) { return l.smtpd.record; });
}

const Transport *Settings::transport(std::string_view name) const { return by_name(transports, name); }
const Lookup *Settings::lookup(std::string_view name) const { return by_name(lookups, name); }
const Filter *Settings::filter(std::string_view name) const { return by_name(filters, name); }
const Filter *Settings::policy(std::string_view name) const { return by_name(policies, name); }
const Event *Settings::event(std::string_view name) const { return by_name(events, name); }
const Rate *Settings::rate(std::string_view name) const { return by_name(rates, name); }
const Auth *Settings::auth(std::string_view name) const { return by_name(auths, name); }
const Store *Settings::store(std::string_view name) const { return by_name(stores, name); }
const Listener *Settings::listener(std::string_view name) const { return by_name(listeners, name); }

}  // namespace mansio::config
