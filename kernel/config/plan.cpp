#include "kernel/config/plan.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <thread>

#include "kernel/config/syntax.hpp"

namespace mansio::config {
namespace {

std::vector<PlanAddress> resolve(const Listener &listener) {
  std::vector<PlanAddress> out;
  for (const auto &text : listener.listen) {
    const auto address = parse_host_port(text);
    if (!address) continue;  // refused when the configuration was parsed
    if (address->host == "*") {
      out.push_back({"0.0.0.0", address->port});
      out.push_back({"::", address->port});
    } else {
      out.push_back({address->host, address->port});
    }
  }
  return out;
}

std::uint64_t threads_of(const Budget &budget) { return budget.threads > 0 ? budget.threads : kThreadsOfAPlugin; }

// Of one generation, without queue and control.
std::uint64_t threads_of(const Settings &settings, const Plan &plan) {
  std::uint64_t hosts = 0, transports = 0, in_ingress = 0, in_router = 0;
  const auto each = [&](const auto &instances, std::initializer_list<std::uint64_t *> inside) {
    for (const auto &instance : instances) {
      if (instance.budget.isolation == Isolation::Process)
        hosts += kThreadsOfAProcess + threads_of(instance.budget);
      else
        for (auto *sum : inside) *sum += threads_of(instance.budget);
    }
  };
  each(settings.transports, {&transports});
  each(settings.lookups, {&in_ingress, &in_router});
  each(settings.filters, {&in_ingress});
  each(settings.policies, {&in_ingress});
  each(settings.auths, {&in_ingress});
  each(settings.events, {});
  each(settings.rates, {});
  return plan.ingress_processes * (kThreadsOfAProcess + in_ingress) + kThreadsOfAProcess + in_router +
         settings.transports.size() * kThreadsOfAProcess + transports + hosts;
}

std::vector<PlanGuest> guests_of(const Settings &settings) {
  std::vector<PlanGuest> guests;
  const auto each = [&](const char *label, const auto &instances) {
    for (const auto &instance : instances) {
      const auto &budget = instance.budget;
      if (instance.plugin.empty() || budget.isolation != Isolation::InProcess) continue;
      guests.push_back({fmt::format("{} {}", label, instance.name), budget.breaker_deaths, budget.breaker_window,
                        budget.breaker_time});
    }
  };
  each("lookup", settings.lookups);
  each("filter", settings.filters);
  each("policy", settings.policies);
  each("auth", settings.auths);
  return guests;
}

}  // namespace

std::string to_string(const PlanAddress &address) {
  const bool v6 = address.host.find(':') != std::string::npos;
  return v6 ? fmt::format("[{}]:{}", address.host, address.port) : fmt::format("{}:{}", address.host, address.port);
}

Plan make_plan(const Settings &settings) {
  Plan plan;
  plan.user = settings.user;
  plan.spool = settings.spool;
  plan.plugin_dir = settings.plugin_dir;
  plan.stop_timeout = settings.stop_timeout;
  plan.drain_timeout = settings.drain_timeout;
  plan.sandbox = settings.sandbox;
  plan.ingress_processes = settings.ingress_processes ? settings.ingress_processes
                                                      : std::clamp(std::thread::hardware_concurrency() / 2, 1u, 4u);
  plan.log_target = settings.log.target;
  plan.log_level = settings.log.level;
  plan.syslog_name = settings.log.syslog_name;

  std::uint64_t sockets = 0;
  const auto file = [&](const std::string &path) {
    if (!path.empty()) plan.files.push_back(path);
  };
  for (const auto &listener : settings.listeners) {
    plan.listeners.push_back({listener.name, resolve(listener)});
    sockets += plan.listeners.back().addresses.size();
    plan.connection_limit = std::max(plan.connection_limit, listener.smtpd.connection_limit);
    file(listener.smtpd.tls_cert_file);
    file(listener.smtpd.tls_key_file);
  }
  file(settings.queue.bounce_template_file);
  std::sort(plan.files.begin(), plan.files.end());
  plan.files.erase(std::unique(plan.files.begin(), plan.files.end()), plan.files.end());

  for (const auto &transport : settings.transports) {
    const std::uint64_t of_a_delivery = transport.smtp_generic_maps.empty() ? 4 : 5;
    plan.transports.push_back({transport.name, transport.plugin,
                               kDescriptorsOfAProcess + of_a_delivery * transport.process_limit,
                               transport.process_limit});
  }
  const auto host = [&](const Budget &budget) -> PlanHost * {
    if (budget.isolation != Isolation::Process) return nullptr;
    auto &h = plan.hosts.emplace_back();
    h.breaker_deaths = budget.breaker_deaths;
    h.breaker_window = budget.breaker_window;
    h.breaker_time = budget.breaker_time;
    h.descriptors = kDescriptorsOfAProcess;
    return &h;
  };
  for (const auto &transport : settings.transports) {
    if (auto *h = host(transport.budget)) {
      h->name = "host.transport." + transport.name;
      h->transport = transport.name;
      h->descriptors += 4 * std::uint64_t{transport.process_limit};
    }
  }
  for (const auto &lookup : settings.lookups) {
    if (auto *h = host(lookup.budget)) {
      h->name = "host.lookup." + lookup.name;
      h->lookup = lookup.name;
    }
  }
  for (const auto &filter : settings.filters) {
    if (auto *h = host(filter.budget)) {
      h->name = "host.filter." + filter.name;
      h->filter = filter.name;
      h->descriptors += filter.budget.in_flight_limit;
    }
  }
  for (const auto &policy : settings.policies) {
    if (auto *h = host(policy.budget)) {
      h->name = "host.policy." + policy.name;
      h->policy = policy.name;
      h->for_queue = std::ranges::find(settings.queue.policies, policy.name) != settings.queue.policies.end();
      h->descriptors += policy.budget.in_flight_limit;
    }
  }
  for (const auto &event : settings.events) {
    if (auto *h = host(event.budget)) {
      h->name = "host.event." + event.name;
      h->event = event.name;
    }
  }
  for (const auto &rate : settings.rates) {
    if (auto *h = host(rate.budget)) {
      h->name = "host.rate." + rate.name;
      h->rate = rate.name;
    }
  }
  for (const auto &auth : settings.auths) {
    if (auto *h = host(auth.budget)) {
      h->name = "host.auth." + auth.name;
      h->auth = auth.name;
      h->descriptors += auth.budget.in_flight_limit;
    }
  }
  for (const auto &store : settings.stores) {
    if (auto *h = host(store.budget)) {
      h->name = "host.store." + store.name;
      h->store = store.name;
      h->descriptors += store.budget.in_flight_limit;
    }
  }
  plan.guests = guests_of(settings);
  const auto processes =
      2 * (plan.ingress_processes + plan.transports.size() + plan.hosts.size() + 1) + 2;  // router; queue and control
  std::uint64_t watched = 0;
  for (const auto *all : {&settings.filters, &settings.policies})
    for (const auto &filter : *all) watched += filter.budget.in_flight_limit;
  std::uint64_t copied = 0;
  for (const auto &store : settings.stores) copied += store.budget.in_flight_limit;
  plan.ingress_descriptors = kDescriptorsOfAProcess + sockets + 2 * std::uint64_t{plan.connection_limit} +
                             4 * std::min<std::uint64_t>(watched, plan.connection_limit) +
                             2 * std::min<std::uint64_t>(copied, plan.connection_limit);
  plan.queue_descriptors = kDescriptorsOfAProcess + 4 * kSegmentAllowance;
  plan.supervisor_descriptors = kDescriptorsOfAProcess + sockets + 4 * processes;
  plan.other_descriptors = kDescriptorsOfAProcess + kSubmissionsAtOnce;  // the router
  plan.processes = processes + 1;
  plan.threads = 2 * threads_of(settings, plan) + 3 * kThreadsOfAProcess;
  return plan;
}

std::uint64_t Plan::descriptors() const {
  auto most = std::max({ingress_descriptors, queue_descriptors, supervisor_descriptors, other_descriptors});
  for (const auto &transport : transports) most = std::max(most, transport.descriptors);
  for (const auto &host : hosts) most = std::max(most, host.descriptors);
  return most;
}

std::string Plan::largest() const {
  const auto most = descriptors();
  for (const auto &transport : transports) {
    if (transport.descriptors == most) {
      return fmt::format("egress of transport.{} (process_limit = {})", transport.name, transport.process_limit);
    }
  }
  if (ingress_descriptors == most) return fmt::format("ingress (connection_limit = {})", connection_limit);
  return queue_descriptors == most ? "queue" : "supervisor";
}

}  // namespace mansio::config
