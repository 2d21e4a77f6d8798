#include "plugins/filter-dspam/client.hpp"

#include <algorithm>
#include <utility>

namespace mansio::dspam {
namespace {

using plugin::Task;

constexpr std::size_t kMostIdle = 16;

}  // namespace

Task<Exchange> Client::send(const Request &request, std::int64_t deadline, plugin::Cancel &cancel) {
  Exchange exchange;
  for (auto old = take(); old; old = take()) {
    exchange = co_await old->send(request, deadline, cancel);
    if (exchange.failure.empty()) keep(std::move(old));
    // An old connection may have died of its age, at the first word.
    if (exchange.failure.empty() || !exchange.untouched || cancel.requested() || host_.now() >= deadline)
      co_return exchange;
  }
  const auto servers = co_await addresses(cancel);
  auto fresh = std::make_unique<Connection>(host_);
  const auto name = settings_.dlmtp ? settings_.ident : host_.fact("myhostname");
  const auto limit = std::min(deadline, host_.now() + settings_.connect_timeout);
  exchange = {};
  exchange.failure = co_await fresh->open(servers, name, settings_.dlmtp, limit, cancel);
  if (!exchange.failure.empty()) co_return exchange;
  exchange = co_await fresh->send(request, deadline, cancel);
  if (exchange.failure.empty()) keep(std::move(fresh));
  co_return exchange;
}

std::unique_ptr<Connection> Client::take() {
  const auto oldest = host_.now() - settings_.idle_interval;
  std::erase_if(idle_, [&](const Idle &i) { return i.since < oldest || i.connection->gone(); });
  if (idle_.empty()) return nullptr;
  auto newest = std::move(idle_.back().connection);
  idle_.pop_back();
  return newest;
}

void Client::keep(std::unique_ptr<Connection> connection) {
  if (!connection->usable() || settings_.idle_interval == 0 || idle_.size() >= kMostIdle) return;
  connection->rest();
  idle_.push_back({std::move(connection), host_.now()});
}

Task<std::vector<plugin::Endpoint>> Client::addresses(plugin::Cancel &cancel) const {
  const auto &server = settings_.server;
  std::vector<plugin::Endpoint> found;
  if (server.local()) {
    if (auto path = plugin::Endpoint::unix_path(server.path)) found.push_back(std::move(*path));
    co_return found;
  }
  std::vector<std::string> texts;
  if (server.host == "localhost") {
    texts = {"127.0.0.1", "::1"};
  } else if (plugin::Endpoint::ip(server.host, server.port)) {
    texts.push_back(server.host);
  } else {
    std::vector<plugin::Question> questions{{server.host, MANSIO_DNS_A}, {server.host, MANSIO_DNS_AAAA}};
    const auto answers = co_await plugin::Resolve{host_, std::move(questions), &cancel};
    for (const auto &answer : answers)
      for (const auto &record : answer.records) texts.push_back(record.data);
  }
  for (const auto &text : texts)
    if (auto endpoint = plugin::Endpoint::ip(text, server.port)) found.push_back(std::move(*endpoint));
  co_return found;
}

}  // namespace mansio::dspam
