#include "plugins/transport-smtp/client/resolve.hpp"

#include <algorithm>
#include <optional>
#include <random>

#include "plugins/transport-smtp/client/text.hpp"

namespace mansio::smtp {
namespace {

// A domain may publish absurdly many exchangers; the best of them are enough to ask for.
constexpr std::size_t kMxHosts = 50;

struct MailHost {
  std::string name;
  std::uint16_t preference = 0;
};

struct Addresses {
  std::vector<Target> targets;
  bool temporary = false;  // some lookup may do better later
  std::string why;
};

// Of the hosts of `domain`, or of itself.
Task<Addresses> addresses_of(const Context &context, const std::string &domain, std::vector<MailHost> hosts,
                             std::uint16_t port, Cancel &cancel) {
  Addresses found;
  std::vector<plugin::Question> questions;
  std::vector<std::size_t> host_of;
  for (std::size_t i = 0; i < hosts.size(); ++i) {
    if (hosts[i].name == "localhost") {  // RFC 6761 section 6.3: never a question for a resolver
      if (context.options.ipv4) found.targets.push_back({"localhost", "127.0.0.1", port, hosts[i].preference});
      if (context.options.ipv6) found.targets.push_back({"localhost", "::1", port, hosts[i].preference});
      continue;
    }
    for (const auto &[wanted, type] :
         {std::pair{context.options.ipv6, MANSIO_DNS_AAAA}, std::pair{context.options.ipv4, MANSIO_DNS_A}}) {
      if (!wanted) continue;
      questions.push_back({hosts[i].name, static_cast<std::uint16_t>(type)});
      host_of.push_back(i);
    }
  }
  if (questions.empty()) co_return found;
  const auto answers = co_await plugin::Resolve{context.host, std::move(questions), &cancel};
  for (std::size_t i = 0; i < answers.size(); ++i) {
    const auto &host = hosts[host_of[i]];
    if (answers[i].status == MANSIO_OK) {
      for (const auto &record : answers[i].records) {
        if (auto ip = canonical_ip(record.data); !ip.empty())
          found.targets.push_back({host.name, std::move(ip), port, host.preference});
      }
    } else if (answers[i].status != MANSIO_NOT_FOUND && answers[i].status != MANSIO_FAIL) {
      found.temporary = true;
      if (!answers[i].text.empty()) found.why = (host.name == domain ? "" : host.name + ": ") + answers[i].text;
    }
  }
  co_return found;
}

plugin::Reply try_later(const std::string &name, const std::string &why) {
  auto reply = plugin::defer({4, 4, 3}, "DNS lookup for " + name + " failed" + (why.empty() ? "" : ": " + why));
  return reply.relay("none");
}
plugin::Reply no_better_server(const std::string &name, const std::string &why) {
  auto reply = plugin::defer({4, 4, 4}, "no address found for a better mail exchanger of " + name + " than this host" +
                                            (why.empty() ? "" : ": ") + why);
  return reply.relay("none");
}
plugin::Reply hopeless(plugin::Enhanced enhanced, std::string text) {
  auto reply = plugin::bounce(enhanced, std::move(text));
  return reply.relay("none");
}

}  // namespace

Task<Resolution> resolve(const Context &context, NextHop nexthop, Cancel &cancel) {
  const auto &options = context.options;
  Resolution result;
  if (nexthop.kind == NextHop::Kind::Unix) {
    result.targets.push_back({context.host.fact("myhostname"), nexthop.name, 0, 0, true});
    co_return result;
  }
  if (nexthop.kind == NextHop::Kind::Address) {
    result.targets.push_back({nexthop.name, nexthop.name, nexthop.port});
    co_return result;
  }

  std::vector<MailHost> hosts{{nexthop.name, 0}};
  const bool by_mx = nexthop.kind == NextHop::Kind::Domain && !context.personality.lmtp;
  if (by_mx) {
    std::vector<plugin::Question> question{{nexthop.name, MANSIO_DNS_MX}};
    const auto answers = co_await plugin::Resolve{context.host, std::move(question), &cancel};
    const auto &mx = answers.front();
    if (mx.status == MANSIO_OK) {
      hosts.clear();
      bool null_mx = false;
      for (const auto &record : mx.records) {
        if (record.data.empty() || record.data == ".") {
          null_mx = true;  // RFC 7505; beside other records it means nothing
        } else if (auto name = to_ascii_domain(record.data)) {
          hosts.push_back({std::move(*name), record.preference});
        }
      }
      if (hosts.empty()) {
        result.failure = null_mx ? hopeless({5, 1, 10}, nexthop.name + " does not accept mail (null MX)")
                                 : hopeless({5, 4, 4}, "no usable mail exchanger for " + nexthop.name);
        result.not_found = !null_mx;
        co_return result;
      }
      std::stable_sort(hosts.begin(), hosts.end(), [](auto &a, auto &b) { return a.preference < b.preference; });
      if (hosts.size() > kMxHosts) hosts.resize(kMxHosts);
    } else if (mx.status == MANSIO_FAIL) {
      result.failure =
          hopeless({5, 1, 2}, nexthop.name + " is no domain name" + (mx.text.empty() ? "" : ": ") + mx.text);
      co_return result;
    } else if (mx.status != MANSIO_NOT_FOUND) {
      result.failure = try_later(nexthop.name, mx.text);
      co_return result;
    }  // NOT_FOUND: implicit MX
  }

  auto found = co_await addresses_of(context, nexthop.name, hosts, nexthop.port, cancel);
  if (found.targets.empty()) {
    result.failure = found.temporary ? try_later(nexthop.name, found.why)
                                     : hopeless({5, 4, 4}, "no address found for " + nexthop.name);
    result.not_found = !found.temporary;
    co_return result;
  }
  const auto own = by_mx && nexthop.port == options.port ? prune_self(found.targets, options.self_addresses)
                                                         : std::optional<std::uint16_t>{};
  result.self = own.has_value();
  if (own && found.targets.empty()) {
    // A backup that cannot find the better servers now keeps their mail: that is what it is for.
    result.failure = hosts.front().preference >= *own
                         ? hopeless({5, 4, 6}, "mail for " + nexthop.name + " loops back to myself")
                         : no_better_server(nexthop.name, found.why);
    co_return result;
  }
  std::minstd_rand random{std::random_device{}()};
  const bool shuffle = options.randomize_addresses;
  order_targets(found.targets, options.mx_address_limit, [&](std::size_t n) { return shuffle ? random() % n : n - 1; });
  result.targets = std::move(found.targets);
  co_return result;
}

}  // namespace mansio::smtp
