#include "kernel/queue/domains.hpp"

#include <algorithm>

#include "kernel/mail/utf8.hpp"

namespace mansio::queue {

namespace {

std::string_view shape_domain(std::string_view address) {
  auto domain = address.substr(address.rfind('@') + 1);
  if (domain.size() > 1 && domain.front() == '.') domain.remove_prefix(1);
  if (domain.size() > 1 && domain.back() == '.') domain.remove_suffix(1);
  return domain;
}

}  // namespace

std::string shape_name(std::string_view address) {
  const auto domain = shape_domain(address);
  return domain.empty() ? "MAILER-DAEMON" : lower(domain);
}

bool has_shape_name(std::string_view address, std::string_view name) {
  const auto domain = shape_domain(address);
  if (domain.empty()) return name == "MAILER-DAEMON";
  return std::ranges::equal(domain, name, {}, [](char c) { return lower(c); });
}

DomainId Domains::take(std::string name) {
  if (free_.empty() && entries_.size() == kInEnvelope && !by_name_.contains(name)) return kInEnvelope;
  const auto [at, fresh] = by_name_.try_emplace(std::move(name), kNoDomain);
  if (fresh) {
    if (free_.empty()) {
      at->second = static_cast<DomainId>(entries_.size());
      entries_.emplace_back();
    } else {
      at->second = free_.back();
      free_.pop_back();
    }
    entries_[at->second] = {&at->first, 0};
  }
  ++entries_[at->second].references;
  return at->second;
}

void Domains::drop(DomainId id) {
  if (id == kNoDomain || id == kInEnvelope || --entries_[id].references > 0) return;
  by_name_.erase(by_name_.find(*entries_[id].name));
  entries_[id] = {};
  free_.push_back(id);
}

}  // namespace mansio::queue
