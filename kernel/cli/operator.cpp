#include "kernel/cli/operator.hpp"

#include <fmt/format.h>

#include <boost/json.hpp>
#include <iostream>

#include "kernel/cli/json_fields.hpp"
#include "kernel/cli/queue_table.hpp"
#include "kernel/cli/say.hpp"

namespace mansio::cli {
namespace {

namespace json = boost::json;

std::string duration(std::int64_t seconds) {
  if (seconds < 120) return fmt::format("{}s", seconds);
  if (seconds < 7200) return fmt::format("{}m{:02}s", seconds / 60, seconds % 60);
  if (seconds < 172800) return fmt::format("{}h{:02}m", seconds / 3600, seconds / 60 % 60);
  return fmt::format("{}d{:02}h", seconds / 86400, seconds / 3600 % 24);
}

void print_status(const json::object &all) {
  if (const auto *v = all.if_contains("supervisor"); v && v->is_object()) {
    const auto &s = v->get_object();
    put(fmt::format("up {}, configuration epoch {}, {} connections\n", duration(number_of(s, "uptime_seconds")),
                    number_of(s, "epoch"), number_of(s, "connections")));
    if (const auto *l = s.if_contains("listeners"); l && l->is_array())
      for (const auto &one : l->get_array())
        if (one.is_object())
          put(fmt::format("listening on {} ({})\n", text_of(one.get_object(), "address"),
                          text_of(one.get_object(), "name")));
    put(fmt::format("\n{:<20} {:<9} {:>8} {:>6} {:>10} {:>8}\n", "process", "state", "pid", "epoch", "age", "crashes"));
    if (const auto *p = s.if_contains("processes"); p && p->is_array())
      for (const auto &one : p->get_array()) {
        if (!one.is_object()) continue;
        const auto &o = one.get_object();
        put(fmt::format("{:<20} {:<9} {:>8} {:>6} {:>10} {:>8}{}\n", text_of(o, "name"), text_of(o, "state"),
                        number_of(o, "pid"), number_of(o, "epoch"), duration(number_of(o, "age_seconds")),
                        number_of(o, "crashes"),
                        text_of(o, "last_end").empty() ? "" : "  last end: " + text_of(o, "last_end")));
      }
  }
  if (const auto *v = all.if_contains("queue"); v && v->is_object()) {
    const auto &q = v->get_object();
    put(fmt::format("\nqueue: {} messages, {} Kbytes:", number_of(q, "messages"), number_of(q, "bytes") / 1024));
    for (const auto *state : {"incoming", "active", "deferred", "hold", "corrupt"})
      put(fmt::format(" {} {}", state, number_of(q, state)));
    put("\n");
  } else {
    put("\nqueue: not running\n");
  }
}

std::string queue_request(const QueueOrder &order, std::size_t from, const json::object &match) {
  json::array ids;
  for (auto i = from; i < order.ids.size() && i < from + kIdsAtOnce; ++i) ids.emplace_back(order.ids[i]);
  return json::serialize(json::object{
      {"command", "queue"}, {"verb", order.verb}, {"ids", std::move(ids)}, {"all", order.all}, {"match", match}});
}

}  // namespace

int status_main(const Where &where, StatusForm form) {
  auto control = ControlClient::connect(where);
  if (!control) return complain(control.error().text);
  const auto asked = control->ask(form == StatusForm::Metrics ? R"({"command":"metrics"})" : R"({"command":"status"})",
                                  [&](std::string_view line) {
                                    if (form == StatusForm::Json) return put(std::string{line} + "\n");
                                    boost::system::error_code e;
                                    const auto value = json::parse({line.data(), line.size()}, e);
                                    if (e || !value.is_object()) return;
                                    if (form == StatusForm::Metrics) return put(text_of(value.get_object(), "metrics"));
                                    print_status(value.get_object());
                                  });
  return asked ? 0 : complain(asked.error().text);
}

int order_main(const Where &where, const std::string &command) {
  auto control = ControlClient::connect(where);
  if (!control) return complain(control.error().text);
  const auto asked = control->ask(json::serialize(json::object{{"command", command}}), [](std::string_view) {});
  return asked ? 0 : complain(asked.error().text);
}

int queue_main(const Where &where, QueueOrder order) {
  json::object match;
  for (const auto &m : order.match) {
    const auto equals = m.find('=');
    if (equals == std::string::npos || equals == 0) return complain("--match takes key=value, not \"" + m + "\"");
    match[m.substr(0, equals)] = m.substr(equals + 1);
  }
  for (const auto &[key, value] : {std::pair{"destination", &order.destination}, std::pair{"tenant", &order.tenant},
                                   std::pair{"campaign", &order.campaign}, std::pair{"sender", &order.sender}})
    if (!value->empty()) match[key] = *value;
  if (std::erase(order.ids, "-") != 0)
    for (std::string line; std::getline(std::cin, line);)
      if (!line.empty()) order.ids.push_back(line);
  const bool lists = order.verb == "list";
  if (!lists && order.ids.empty() && !order.all && match.empty())
    return complain("which messages? Name queue ids, or --match key=value, or --all");
  // What says which of a message's recipients are meant goes with ids.
  const bool of_recipients = order.verb == "reroute" || order.verb == "rebind";
  if (!order.ids.empty() && (order.all || !(of_recipients ? order.match.empty() : match.empty())))
    return complain("queue ids go with neither --all nor --match");
  for (const auto &[key, value] : {std::pair{"to_transport", &order.transport}, std::pair{"to_nexthop", &order.nexthop},
                                   std::pair{"to_pool", &order.pool}})
    if (!value->empty()) match[key] = *value;

  auto control = ControlClient::connect(where);
  if (!control) return complain(control.error().text);
  QueueTable table;
  std::uint64_t affected = 0, shown = 0;
  std::size_t from = 0;
  do {
    const auto asked = control->ask(queue_request(order, from, match), [&](std::string_view line) {
      ++shown;
      if (lists && !order.json) return put(table.row(line));
      put(std::string{line} + "\n");
    });
    if (!asked) return complain(asked.error().text);
    affected += *asked;
    from += kIdsAtOnce;
  } while (from < order.ids.size());
  if (lists && !order.json) put(table.trailer());
  if (lists) return 0;
  if (order.verb == "show") return shown != 0 || order.ids.empty() ? 0 : complain("no such message in the queue");
  put(fmt::format("{} message{}\n", affected, affected == 1 ? "" : "s"));
  return affected != 0 || order.ids.empty() ? 0 : complain("no such message in the queue, or nothing to change");
}

}  // namespace mansio::cli
