// postqueue(1) and mailq(1): lists the queue, or asks for deliveries now.
#include <unistd.h>

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "kernel/base/id.hpp"
#include "kernel/cli/postfix/personality.hpp"
#include "kernel/cli/queue_table.hpp"
#include "kernel/cli/say.hpp"

namespace mansio::cli::postfix {
namespace {

namespace json = boost::json;

constexpr std::string_view kPostqueueUsage =
    "usage: postqueue -f | postqueue -i queueid | postqueue -j | postqueue -p | postqueue -s site";

json::object request(std::string_view verb) { return {{"command", "queue"}, {"verb", verb}}; }

// The reason is a warning of its own, before the line that scripts look for.
int unavailable(std::string_view tool, const Error &error, std::string_view what) {
  warn(tool, error.text);
  return fatal(tool, what, kUnavailable);
}

int list(std::string_view tool, const Where &where, bool as_json) {
  constexpr std::string_view what = "Queue report unavailable - mail system is down";
  auto control = ControlClient::connect(where);
  if (!control) return unavailable(tool, control.error(), what);
  QueueTable table;
  auto all = request("list");
  all["all"] = true;
  const auto asked = control->ask(json::serialize(all), [&](std::string_view line) {
    if (!as_json) return put(table.row(line));
    put(line);
    put("\n");
  });
  if (!asked) return unavailable(tool, asked.error(), what);
  if (!as_json) put(table.trailer());
  return 0;
}

int flush(std::string_view tool, const Where &where, const json::object &order) {
  constexpr std::string_view what = "Cannot flush mail queue - mail system is down";
  auto control = ControlClient::connect(where);
  if (!control) return unavailable(tool, control.error(), what);
  const auto asked = control->ask(json::serialize(order), [](std::string_view) {});
  return asked ? 0 : unavailable(tool, asked.error(), what);
}

}  // namespace

int postqueue_main(int argc, char **argv) {
  constexpr std::string_view tool = "postqueue";
  std::string config = mail_config(), argument;
  char action = 0;
  for (int option; (option = ::getopt(argc, argv, "c:fi:jps:v")) >= 0;) {
    if (option == 'c') {
      config = ::optarg;
    } else if (option != 'v') {
      if (option == '?' || action != 0) return fatal(tool, kPostqueueUsage, kUnavailable);
      action = static_cast<char>(option);
      if (::optarg != nullptr && (option == 'i' || option == 's')) argument = ::optarg;
    }
  }
  if (::optind < argc || action == 0) return fatal(tool, kPostqueueUsage, kUnavailable);
  const auto where = instance_of(config);
  if (action == 'p' || action == 'j') return list(tool, where, action == 'j');
  auto order = request("flush");
  if (action == 'f') order["all"] = true;
  if (action == 'i') {
    if (!parse_message_id(argument))
      return fatal(tool, "Cannot flush queue ID - invalid name: \"" + argument + "\"", kUnavailable);
    order["ids"] = json::array{argument};
  }
  if (action == 's') {
    if (argument.empty() || argument.find_first_of(" \t<>\"") != std::string::npos)
      return fatal(tool, "Cannot flush mail queue - invalid destination: \"" + argument + "\"", kUnavailable);
    order["match"] = json::object{{"destination", argument}};
  }
  return flush(tool, where, order);
}

int mailq_main(int argc, char **argv) {
  constexpr std::string_view tool = "mailq";
  std::string config = mail_config();
  for (int option; (option = ::getopt(argc, argv, "C:c:v")) >= 0;) {
    if (option == '?') return fatal(tool, "usage: mailq [-v] [-C config_dir]", 64);
    if (option != 'v') config = ::optarg;
  }
  return list(tool, instance_of(config), false);
}

}  // namespace mansio::cli::postfix
