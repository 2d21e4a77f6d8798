#include "kernel/ingress/versions.hpp"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "kernel/mail/new_mail.hpp"
#include "kernel/mail/utf8.hpp"

namespace mansio::ingress {
namespace {

bool same(const EditList &a, const EditList &b) {
  return std::ranges::equal(a, b, [](const Edit *x, const Edit *y) {
    return x == y || (x->kind == y->kind && x->number == y->number && x->name == y->name && x->value == y->value);
  });
}

// For each version the first one with the same edits.
std::vector<std::uint32_t> distinct(const std::vector<EditList> &lists) {
  std::vector<std::uint32_t> first(lists.size());
  for (std::uint32_t k = 0; k < lists.size(); ++k)
    while (!same(lists[first[k]], lists[k])) ++first[k];
  return first;
}

void move_to(Envelope &to, const Envelope &from, Recipient &&recipient) {
  auto route = from.routes.at(recipient.route);
  add_recipient(to, std::move(recipient), std::move(route));
}

}  // namespace

bool names(const Recipient &recipient, std::string_view name) {
  return equals_nocase(recipient.address, name) || equals_nocase(recipient.original, name);
}

std::vector<std::string> given_names(const std::vector<Recipient> &recipients) {
  std::vector<std::string> all;
  std::unordered_set<std::string_view> seen;
  for (const auto &recipient : recipients) {
    const auto &name = recipient.original.empty() ? recipient.address : recipient.original;
    if (seen.insert(name).second) all.push_back(name);
  }
  return all;
}

std::vector<Split> split(Envelope &envelope, const std::vector<Edit> &edits, const std::vector<EditList> &lists) {
  if (lists.size() < 2) return {};
  const auto first = distinct(lists);
  const auto n = envelope.recipients.size();
  std::vector<std::uint32_t> version(n);  // of each recipient
  for (const auto &edit : edits) {
    if (edit.kind != EditKind::Version || edit.number >= lists.size()) continue;
    for (std::size_t i = 0; i < n; ++i)
      if (version[i] == 0 && names(envelope.recipients[i], edit.value)) version[i] = first[edit.number];
  }
  std::unordered_map<std::string, std::uint32_t> by_address;
  for (std::size_t i = 0; i < n; ++i)
    if (version[i] != 0) by_address.try_emplace(envelope.recipients[i].address, version[i]);
  if (by_address.empty()) return {};

  Envelope rest = std::move(envelope);
  auto recipients = std::exchange(rest.recipients, {});
  envelope = rest;
  envelope.routes.clear();
  std::vector<Split> all(lists.size());
  for (auto &recipient : recipients) {
    const auto found = by_address.find(recipient.address);
    if (found == by_address.end()) {
      move_to(envelope, rest, std::move(recipient));
      continue;
    }
    auto &its = all[found->second].envelope;
    if (its.recipients.empty()) {
      its = rest;
      its.routes.clear();
    }
    move_to(its, rest, std::move(recipient));
  }
  std::vector<Split> versions;
  for (std::size_t k = 1; k < all.size(); ++k) {
    if (all[k].envelope.recipients.empty()) continue;
    all[k].edits = lists[k];
    versions.push_back(std::move(all[k]));
  }
  return versions;
}

}  // namespace mansio::ingress
