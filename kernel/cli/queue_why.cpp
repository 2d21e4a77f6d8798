#include "kernel/cli/queue_why.hpp"

#include <fmt/format.h>

#include <boost/json.hpp>

#include "kernel/base/without_controls.hpp"
#include "kernel/cli/json_fields.hpp"
#include "kernel/cli/say.hpp"

namespace mansio::cli {
namespace {

namespace json = boost::json;

// Names and replies come from outside.
std::string shown(const json::object &o, const char *key) { return without_controls(std::string{text_of(o, key)}); }

// Of a destination itself its own numbers say what is ready and under way.
std::string found_text(const json::object &o) {
  const auto *found = object_of(o, "found");
  if (!found) return "";
  const bool part = o.contains("for");
  std::string out;
  for (const auto &[key, word] : {std::pair{"ready", "ready"}, std::pair{"deferred", "deferred"},
                                  std::pair{"held", "held"}, std::pair{"under_way", "under way"}}) {
    const auto n = number_of(*found, key);
    const bool told = !part && (std::string_view{key} == "ready" || std::string_view{key} == "under_way");
    if (n > 0 && !told) out += fmt::format("{}{} {}", out.empty() ? "" : ", ", n, word);
  }
  if (out.empty()) return "";
  return part ? fmt::format("; for {} {}", shown(o, "for"), out) : "; " + out;
}

// Whose they are, where they are not all like the one asked about.
std::string waiting_text(const json::object &o) {
  const auto *waiting = object_of(o, "waiting");
  if (!waiting) return "";
  std::string out;
  for (const auto &[key, word] :
       {std::pair{"tenant", "of tenants"}, std::pair{"sender_domain", "from"}, std::pair{"destination", "for"}}) {
    const auto *named = waiting->if_contains(key);
    if (!named || !named->is_array()) continue;
    std::string list;
    for (const auto &one : named->get_array()) {
      if (!one.is_object()) continue;
      const auto name = shown(one.get_object(), "name");
      list += fmt::format("{}{} ({})", list.empty() ? "" : ", ", name.empty() ? "none" : name,
                          number_of(one.get_object(), "groups"));
    }
    if (!list.empty()) out += fmt::format("{}{} {}", out.empty() ? "" : "; ", word, list);
  }
  if (out.empty()) return "";
  if (const auto looked = number_of(*waiting, "looked_at"); looked > 0)
    out += fmt::format("; the first {} of them", looked);
  return ": " + out;
}

}  // namespace

std::string why_text(std::string_view line) {
  boost::system::error_code e;
  const auto value = json::parse({line.data(), line.size()}, e);
  if (e || !value.is_object()) return "";
  const auto &o = value.get_object();
  std::string out;
  if (o.contains("key")) {
    out = fmt::format("{} {}", shown(o, "key"), shown(o, "name"));
    if (o.contains("destination")) out += " for " + shown(o, "destination");
    out += ": since " + shown(o, "since");
    out += o.contains("until") ? ", until " + shown(o, "until") : std::string{", until resumed"};
    return out + (shown(o, "reason").empty() ? "" : " (" + shown(o, "reason") + ")") + "\n";
  }
  if (o.contains("response")) {
    out = fmt::format("{}{}{}: ", shown(o, "transport"), o.contains("transport") ? " " : "", shown(o, "destination"));
    if (o.contains("rate")) return out + fmt::format("slowed down to {:.3g}/s\n", real_of(o, "rate"));
    if (o.contains("concurrency")) return out + fmt::format("concurrency lowered to {}\n", number_of(o, "concurrency"));
    return out + fmt::format("source pool {} until {}\n", shown(o, "source_pool"), shown(o, "until"));
  }
  if (o.contains("queue_id")) out = shown(o, "queue_id") + " ";
  out += fmt::format("{} {}", shown(o, "transport"), shown(o, "destination"));
  if (o.contains("site")) out += " (site " + shown(o, "site") + ")";
  if (o.contains("source_pool")) out += " from " + shown(o, "source_pool");
  if (o.contains("members")) out += fmt::format(", shared by {}", number_of(o, "members"));
  if (o.contains("concurrency"))
    out += fmt::format(", {} of {} deliveries at once, {} ready, {} in all", number_of(o, "deliveries"),
                       number_of(o, "concurrency"), number_of(o, "ready"), number_of(o, "groups"));
  out += found_text(o);
  if (number_of(o, "concurrency") < number_of(o, "concurrency_limit"))
    out += fmt::format("; may grow to {} at once", number_of(o, "concurrency_limit"));
  if (o.contains("adaptive_rate")) out += fmt::format("; slowed down to {:.3g}/s", real_of(o, "adaptive_rate"));
  if (o.contains("dead_until")) out += "; dead until " + shown(o, "dead_until");
  if (o.contains("recipients"))
    out += fmt::format(", {} recipient{}", number_of(o, "recipients"), number_of(o, "recipients") == 1 ? "" : "s");
  out += "\n  " + shown(o, "why");
  if (!shown(o, "detail").empty()) out += ": " + shown(o, "detail");
  if (number_of(o, "others") > 0)
    out += fmt::format("; {} others wait for it", number_of(o, "others")) + waiting_text(o);
  if (o.contains("eligible")) out += "; next at " + shown(o, "eligible");
  return out + "\n";
}

int why_main(const Where &where, const WhyOrder &order) {
  json::object match;
  for (const auto &[key, value] :
       {std::pair{"destination", &order.destination}, std::pair{"tenant", &order.tenant},
        std::pair{"campaign", &order.campaign}, std::pair{"sender", &order.sender},
        std::pair{"source_pool", &order.pool}, std::pair{"for", &order.time}, std::pair{"reason", &order.reason}})
    if (!value->empty()) match[key] = *value;
  json::array ids;
  for (const auto &id : order.ids) ids.emplace_back(id);
  if (order.verb == "why" && ids.empty() && order.destination.empty())
    return complain("why what? give queue ids or --destination");
  auto control = ControlClient::connect(where);
  if (!control) return complain(control.error().text);
  std::size_t shown = 0;
  const auto asked = control->ask(json::serialize(json::object{{"command", "queue"},
                                                               {"verb", order.verb},
                                                               {"ids", std::move(ids)},
                                                               {"all", false},
                                                               {"match", std::move(match)}}),
                                  [&](std::string_view line) {
                                    ++shown;
                                    put(order.json ? std::string{line} + "\n" : why_text(line));
                                  });
  if (!asked) return complain(asked.error().text);
  if (order.verb == "why") return shown != 0 ? 0 : complain("nothing of that is in the queue");
  if (order.verb == "unthrottle" && *asked == 0) return complain("its replies have done nothing that is in force");
  if (order.verb == "resume" && *asked == 0) return complain("there is no suspension of that name");
  return 0;
}

}  // namespace mansio::cli
