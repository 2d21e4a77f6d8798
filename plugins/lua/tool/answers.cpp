#include "plugins/lua/tool/answers.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

#include "plugins/lua/told.hpp"

namespace mansio::lua::tool {
namespace {

using mansio::testing::FakeDnsAnswer;
using mansio::testing::FakeTableAnswer;

std::string question_of(std::string_view kind, std::string_view of, std::string_view what) {
  std::string question;
  for (const auto part : {kind, of, what}) append_told(question, part);
  return question;
}

std::optional<mansio_status> status_of(std::string_view end) {
  if (end == kToldOk) return MANSIO_OK;
  if (end == kToldNotFound) return MANSIO_NOT_FOUND;
  if (end == kToldDefer) return MANSIO_DEFER;
  if (end == kToldFail) return MANSIO_FAIL;
  return std::nullopt;
}

std::string reason(const std::vector<std::string> &values) { return values.empty() ? std::string{} : values.front(); }

}  // namespace

std::string_view dns_type_name(std::uint16_t type) {
  switch (type) {
    case MANSIO_DNS_A:
      return "A";
    case MANSIO_DNS_AAAA:
      return "AAAA";
    case MANSIO_DNS_MX:
      return "MX";
    case MANSIO_DNS_TXT:
      return "TXT";
    case MANSIO_DNS_PTR:
      return "PTR";
    default:
      return {};
  }
}

void Answers::add(std::int64_t at, std::string_view told) {
  auto fields = told_fields(told);
  if (fields.size() < 4) return;
  const auto status = status_of(fields[3]);
  if (!status) return;
  auto &answers = answers_[question_of(fields[0], fields[1], fields[2])];
  answers.push_back(
      {at, *status, {std::make_move_iterator(fields.begin() + 4), std::make_move_iterator(fields.end())}});
}

void Answers::sort() {
  for (auto &[question, answers] : answers_)
    std::stable_sort(answers.begin(), answers.end(), [](const auto &a, const auto &b) { return a.at < b.at; });
}

const Answers::Answer *Answers::nearest(const std::string &question, std::int64_t at) const {
  const auto found = answers_.find(question);
  if (found == answers_.end()) return nullptr;
  const auto &all = found->second;
  const auto after = std::lower_bound(all.begin(), all.end(), at, [](const Answer &a, auto t) { return a.at < t; });
  if (after == all.end()) return &all.back();
  if (after == all.begin() || after->at - at <= at - std::prev(after)->at) return &*after;
  return &*std::prev(after);
}

std::optional<FakeTableAnswer> Answers::table(std::string_view table, std::string_view key, std::int64_t at) const {
  const auto *const answer = nearest(question_of(kToldLookup, table, key), at);
  if (answer == nullptr) return std::nullopt;
  if (answer->status == MANSIO_OK) return FakeTableAnswer{MANSIO_OK, answer->values, ""};
  return FakeTableAnswer{answer->status, {}, reason(answer->values)};
}

std::optional<FakeDnsAnswer> Answers::dns(std::string_view name, std::uint16_t type, std::int64_t at) const {
  const auto type_name = dns_type_name(type);
  const auto *const answer = nearest(question_of(kToldDns, name, type_name), at);
  if (answer == nullptr) return std::nullopt;
  FakeDnsAnswer out{answer->status, {}, ""};
  if (answer->status != MANSIO_OK) {
    out.text = reason(answer->values);
    return out;
  }
  for (const auto &value : answer->values) {
    plugin::DnsRecord record;
    std::string_view data{value};
    if (type_name == kToldPreferences) {
      const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), record.preference);
      if (error != std::errc{} || end == value.data() + value.size() || *end != ' ') continue;
      data.remove_prefix(static_cast<std::size_t>(end - value.data()) + 1);
    }
    record.data = data;
    out.records.push_back(std::move(record));
  }
  return out;
}

}  // namespace mansio::lua::tool
