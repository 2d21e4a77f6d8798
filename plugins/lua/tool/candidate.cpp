#include "plugins/lua/tool/candidate.hpp"

#include <algorithm>
#include <chrono>
#include <stdexcept>
#include <utility>

#include "plugins/lua/tool/resolver.hpp"

namespace mansio::lua::tool {
namespace {

using mansio::testing::FakeDnsAnswer;
using mansio::testing::FakeHost;
using mansio::testing::FakeTableAnswer;

constexpr const char *kOff = "servers are off in a replay, but for --allow";

// "policy.script" is the policy "script".
FakeHost::Options facts_of(const CandidateOrder &order, std::int64_t clock) {
  const auto dot = order.name.find('.');
  return {{"instance", order.name.substr(dot + 1)},
          {"kind", order.name.substr(0, dot)},
          {"virtual_clock", std::to_string(clock)}};
}

const mansio_plugin *checked_entry(const CandidateOrder &order, const FakeHost::Options &options,
                                   const FakeHost::Options &facts) {
  auto problems = FakeHost::check(mansio_plugin_entry_1(), options, facts);
  while (!problems.empty() && problems.back() == '\n') problems.pop_back();
  if (!problems.empty()) throw std::runtime_error{order.name + ": " + problems};
  return mansio_plugin_entry_1();
}

}  // namespace

// Who asks for a connection is not told apart, so that of connect and redis either both are off or one is not there.
Candidate::OffServers::OffServers(const CandidateOrder &order) : options_(order.options) {
  auto &allow = options_["allow"];
  const auto has = [given = ',' + allow + ','](const std::string &library) {
    return given.find(',' + library + ',') != given.npos;
  };
  const auto add = [&](const char *library) { (allow += allow.empty() ? "" : ",") += library; };
  http_ = !has("http");
  connect_ = !has("connect") && !has("redis");
  if (http_) add("http");
  if (connect_) add("connect,redis");
}

bool Candidate::OffServers::http(const HttpRequest &, HttpResponse &response) const {
  if (http_) response.why = kOff;
  return http_;
}

bool Candidate::OffServers::connect(const std::string &, std::unique_ptr<Conversation> &, std::string &why) const {
  if (connect_) why = kOff;
  return connect_;
}

Candidate::Candidate(const CandidateOrder &order, const Answers &from, std::set<std::string> &missing, bool dns,
                     std::int64_t clock, std::shared_ptr<mansio::testing::FakeNumbers> numbers)
    : servers_(order),
      host_(checked_entry(order, servers_.options(), facts_of(order, clock)), servers_.options(),
            facts_of(order, clock), std::move(numbers)) {
  host_.other_services = [this](std::string_view iface) -> const void * {
    return iface == FakeServers::kService ? static_cast<const FakeServers *>(&servers_) : nullptr;
  };
  host_.other_dns = [this, &from, &missing, dns](const std::string &name, std::uint16_t type) {
    if (auto known = from.dns(name, type, host_.now())) return *std::move(known);
    if (dns) return ask_dns(name, type);
    missing.insert("dns " + name + ' ' + std::string{dns_type_name(type)});
    return FakeDnsAnswer{MANSIO_DEFER, {}, "the recordings have no answer for " + name};
  };
  host_.other_tables = [this, &from, &missing](const std::string &table, const std::string &key) {
    if (auto known = from.table(table, key, host_.now())) return *std::move(known);
    missing.insert("lookup " + table + ' ' + key);
    return FakeTableAnswer{MANSIO_DEFER, {}, "the recordings have no answer for \"" + key + '"'};
  };
}

void Candidate::go_to(std::int64_t at) {
  host_.advance(std::chrono::nanoseconds{std::max<std::int64_t>(at - host_.now(), 0)});
}

void Candidate::settle(std::uint64_t op) {
  host_.advance(std::chrono::nanoseconds{0});
  const auto waits_for_nobody = [&] { return host_.completed(op) || !host_.watches_descriptors(); };
  while (!waits_for_nobody())
    if (!host_.run_until(waits_for_nobody)) break;  // its time limit tells
}

const CandidateOrder *Candidates::order(std::string_view name) const {
  const auto found = std::find_if(orders_.begin(), orders_.end(), [&](const auto &o) { return o.name == name; });
  return found == orders_.end() ? nullptr : &*found;
}

Candidate &Candidates::at(const CandidateOrder &order, const std::string &process, std::int64_t now) {
  auto &candidate = running_[{order.name, process}];
  auto &numbers = numbers_[order.name];
  if (!numbers) numbers = std::make_shared<mansio::testing::FakeNumbers>();
  if (!candidate) candidate = std::make_unique<Candidate>(order, answers_, missing_, dns_, now, numbers);
  return *candidate;
}

}  // namespace mansio::lua::tool
