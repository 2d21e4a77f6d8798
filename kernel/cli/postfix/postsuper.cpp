// postsuper(1): deletes, holds, releases, requeues and expires mail. What else it does mends the files of Postfix's
// queue
// (-p, -s, -S) and has nothing to mend here.
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <cstdio>
#include <cstring>
#include <iostream>
#include <string>
#include <vector>

#include "kernel/base/id.hpp"
#include "kernel/cli/json_fields.hpp"
#include "kernel/cli/postfix/personality.hpp"
#include "kernel/cli/say.hpp"

namespace mansio::cli::postfix {
namespace {

namespace json = boost::json;

constexpr std::string_view kPostsuper = "postsuper";
constexpr std::string_view kPostsuperUsage =
    "usage: postsuper [-c config_dir] [-d queue_id (delete)] [-e queue_id (expire)] [-f queue_id (expire and/or "
    "un-hold)] "
    "[-h queue_id (hold)] [-H queue_id (un-hold)] [-p (purge temporary files)] [-r queue_id (requeue)] "
    "[-s (structure fix)] [-S (redundant structure fix)] [-v (verbose)] [queue...]";

struct Action {
  char option;
  std::string_view verb, done, total;
  std::string_view queues;  // that it looks at, unless told which
};
constexpr std::string_view kAny = "hold,incoming,active,deferred";
constexpr Action kActions[] = {
    {'e', "expire", "expired", "Force-expired", kAny},
    {'h', "hold", "placed on hold", "Placed on hold", "incoming,active,deferred"},
    {'H', "release", "released from hold", "Released from hold", "hold"},
    {'r', "requeue", "requeued", "Requeued", kAny},
    {'d', "delete", "removed", "Deleted", kAny},
};

void say(const std::string &text) { put(std::string{kPostsuper} + ": " + text + "\n", stderr); }

struct Wanted {
  bool all = false;
  std::vector<std::string> ids;
  bool any() const { return all || !ids.empty(); }
};

bool add_id(Wanted &to, const std::string &id) {
  if (id.empty()) return true;
  if (!parse_message_id(id)) {
    warn(kPostsuper, "invalid mail queue id: " + id);
    return false;
  }
  to.ids.push_back(id);
  return true;
}

void add(Wanted &to, const std::string &argument) {
  if (argument == "ALL") {
    to.all = true;
  } else if (argument == "-") {
    for (std::string line; std::getline(std::cin, line);) {
      while (!line.empty() && (line.back() == ' ' || line.back() == '\r' || line.back() == '\t')) line.pop_back();
      add_id(to, line);
    }
  } else {
    add_id(to, argument);
  }
}

// Only messages that were named have a line of their own.
Result<std::uint64_t> apply(ControlClient &control, const Action &action, const Wanted &wanted,
                            const std::string &queues) {
  json::object order{{"command", "queue"},
                     {"verb", action.verb},
                     {"match", json::object{{"state", queues.empty() ? std::string{action.queues} : queues}}}};
  if (wanted.all) {
    order["all"] = true;
    return control.ask(json::serialize(order), [](std::string_view) {});
  }
  order["report"] = true;
  std::uint64_t affected = 0;
  for (std::size_t from = 0; from < wanted.ids.size(); from += kIdsAtOnce) {
    json::array ids;
    for (auto i = from; i < std::min(from + kIdsAtOnce, wanted.ids.size()); ++i) ids.emplace_back(wanted.ids[i]);
    order["ids"] = std::move(ids);
    const auto asked = control.ask(json::serialize(order), [&](std::string_view line) {
      boost::system::error_code e;
      const auto value = json::parse({line.data(), line.size()}, e);
      if (!e && value.is_object()) say(text_of(value.get_object(), "queue_id") + ": " + std::string{action.done});
    });
    if (!asked) return asked.error();
    affected += *asked;
  }
  return affected;
}

bool known_queue(std::string_view name) {
  constexpr std::string_view names[] = {"maildrop", "incoming", "active", "deferred", "hold", "corrupt",
                                        "saved",    "bounce",   "defer",  "trace",    "flush"};
  return std::find(std::begin(names), std::end(names), name) != std::end(names);
}

}  // namespace

int postsuper_main(int argc, char **argv) {
  std::string config = mail_config();
  std::array<Wanted, std::size(kActions)> wanted;
  std::array<bool, std::size(kActions)> asked{};
  for (int option; (option = ::getopt(argc, argv, "c:d:e:f:h:H:pr:sSv")) >= 0;) {
    if (option == '?') return fatal(kPostsuper, kPostsuperUsage, 1);
    if (option == 'c') config = ::optarg;
    if (option == 'c' || ::optarg == nullptr || ::strchr("psSv", option) != nullptr) continue;
    Wanted these;
    add(these, ::optarg);
    for (std::size_t i = 0; i < std::size(kActions); ++i) {
      const bool both = option == 'f' && (kActions[i].option == 'e' || kActions[i].option == 'H');
      if (kActions[i].option != option && !both) continue;
      asked[i] = true;
      wanted[i].all |= these.all;
      wanted[i].ids.insert(wanted[i].ids.end(), these.ids.begin(), these.ids.end());
    }
  }
  std::string queues;
  for (int i = ::optind; i < argc; ++i) {
    if (!known_queue(argv[i])) return fatal(kPostsuper, "invalid directory name: " + std::string{argv[i]}, 1);
    queues += (queues.empty() ? "" : ",") + std::string{argv[i]};
  }
  if (std::none_of(asked.begin(), asked.end(), [](bool b) { return b; })) return 0;
  auto control = ControlClient::connect(instance_of(config));
  if (!control) return fatal(kPostsuper, control.error().text, 1);
  for (std::size_t i = 0; i < std::size(kActions); ++i) {
    if (!asked[i]) continue;
    std::uint64_t affected = 0;
    if (wanted[i].any()) {
      const auto done = apply(*control, kActions[i], wanted[i], queues);
      if (!done) return fatal(kPostsuper, done.error().text, 1);
      affected = *done;
    }
    say(std::string{kActions[i].total} + ": " + std::to_string(affected) + (affected == 1 ? " message" : " messages"));
  }
  return 0;
}

}  // namespace mansio::cli::postfix
