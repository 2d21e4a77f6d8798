// mansio: one binary with subcommands, and with other names (kernel/cli/postfix). `--role NAME` is how the supervisor
// starts its children, and not for people.
#include <fcntl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <string_view>

#include "kernel/cli/check.hpp"
#include "kernel/cli/load/sink.hpp"
#include "kernel/cli/load/source.hpp"
#include "kernel/cli/lookup.hpp"
#include "kernel/cli/lua.hpp"
#include "kernel/cli/map.hpp"
#include "kernel/cli/operator.hpp"
#include "kernel/cli/plugin.hpp"
#include "kernel/cli/plugin_call.hpp"
#include "kernel/cli/plugin_check.hpp"
#include "kernel/cli/plugin_new.hpp"
#include "kernel/cli/postfix/personality.hpp"
#include "kernel/cli/qshape.hpp"
#include "kernel/cli/queue_why.hpp"
#include "kernel/cli/replay.hpp"
#include "kernel/cli/roles.hpp"
#include "kernel/cli/simulate/simulate.hpp"
#include "kernel/cli/spool.hpp"
#include "kernel/supervisor/supervisor.hpp"

namespace {

using namespace mansio;

// These read their own arguments.
struct Tool {
  const char *name, *what;
  int (*main)(int, char **);
};
constexpr Tool kTools[] = {
    {"source", "SMTP, LMTP and QMQP load generator", mansio::cli::source_main},
    {"sink", "SMTP, LMTP and QMQP sink", mansio::cli::sink_main},
    {"map", "make tables for lookup-lmdb, and look into one", mansio::cli::map_main},
    {"simulate", "run the scheduler on a scenario under a virtual clock", mansio::cli::simulate_main},
    {"spool", "check a spool, dump its records, fill it from a store, or measure its disk", mansio::cli::spool_main},
};

// Libraries write messages to these numbers; a file that is opened later, such as a segment, must not get one.
void keep_standard_streams() {
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
    if (::fcntl(fd, F_GETFD) < 0) ::open("/dev/null", O_RDWR);  // takes the lowest number that is free: this one
}

int child_main(const char *role) {
  // The supervisor alone answers signals, also those that a terminal or a service manager sends to all.
  for (const int s : {SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGPIPE}) ::signal(s, SIG_IGN);
  // What a plugin starts must not have it too: that it is closed is how the supervisor knows of our death.
  ::fcntl(supervisor::kChannelFd, F_SETFD, FD_CLOEXEC);
  return cli::role_main(supervisor::kind_of(role), io::UniqueFd{supervisor::kChannelFd});
}

void add_where(CLI::App &command, cli::Where &where) {
  command.add_option("--config", where.config, "configuration file")->capture_default_str();
  command.add_option("--spool", where.spool, "spool directory, instead of the configured one");
}

// `run` is given the status that the program ends with.
void add_why(CLI::App &queue, cli::Where &where, cli::WhyOrder &order, int &status) {
  const auto add = [&](const char *verb, const char *what) {
    auto *command = queue.add_subcommand(verb, what);
    add_where(*command, where);
    command->callback([&where, &order, &status, verb] {
      order.verb = verb;
      status = cli::why_main(where, order);
    });
    return command;
  };
  auto *why = add("why", "why mail does not move: the limit that binds, who else waits for it, and until when");
  why->add_option("ids", order.ids, "queue ids");
  why->add_option("--destination", order.destination, "of a domain or next hop")->excludes("ids");
  why->add_flag("--json", order.json, "JSON lines");
  for (auto *command : {add("suspend", "do not try some mail for a while; the time does not count for its age"),
                        add("resume", "end a suspension")}) {
    auto *one = command->add_option_group("of", "one of, or a pool and a destination");
    auto *to =
        one->add_option("--destination", order.destination, "a domain or next hop; .example.com: its subdomains");
    auto *tenant = one->add_option("--tenant", order.tenant, "a tenant's mail");
    auto *campaign = one->add_option("--campaign", order.campaign, "a campaign's mail");
    auto *sender = one->add_option("--sender", order.sender, "mail from this address; @example.com: from a domain");
    auto *pool = one->add_option("--pool", order.pool, "mail that leaves from this source pool");
    one->require_option(1, 2);
    for (auto *alone : {tenant, campaign, sender})
      for (auto *other : {to, tenant, campaign, sender, pool})
        if (alone != other) alone->excludes(other);
    if (command->get_name() == "resume") continue;
    command->add_option("--for", order.time, "so long (30, 15m, 2h, 5d); without: until it is resumed");
    command->add_option("--reason", order.reason, "what others are told who ask");
  }
  add("suspensions", "what is suspended")->add_flag("--json", order.json, "JSON lines");
  add("responses",
      "which destinations' replies slowed them down, lowered their concurrency or took another source pool")
      ->add_flag("--json", order.json, "JSON lines");
  add("unthrottle", "end what a destination's replies have done, but for suspensions")
      ->add_option("--destination", order.destination, "a domain, next hop or site")
      ->required();
}

void add_queue(CLI::App &app, cli::Where &where, cli::QueueOrder &order, cli::WhyOrder &why, int &status) {
  auto *queue = app.add_subcommand("queue", "see and change what waits")->require_subcommand(1);
  const auto add = [&](const char *verb, const char *what) {
    auto *command = queue->add_subcommand(verb, what);
    add_where(*command, where);
    command->add_option("ids", order.ids, "queue ids; - reads them from standard input");
    command->add_flag("--all", order.all, "every message");
    command->add_option("--match", order.match,
                        "messages by key=value: sender, recipient, domain, destination, state, transport, tenant, "
                        "campaign, source_pool, older (15m, 2h, 5d)");
    command->callback([&where, &order, &status, verb] {
      order.verb = verb;
      status = cli::queue_main(where, order);
    });
    return command;
  };
  add("list", "what waits, as postqueue -p prints it")->add_flag("--json", order.json, "JSON lines, as postqueue -j");
  add("show", "everything known of a message, and why it does not move");
  add("hold", "keep from delivery until released");
  add("release", "end a hold");
  add("requeue", "route again, as if it had just come");
  for (auto *command : {add("reroute", "ask again where it goes; its time stamp stays"),
                        add("rebind", "send it another way: by another transport, next hop or source pool")}) {
    command->add_option("--destination", order.destination,
                        "what goes to this domain, \"@\" and a domain, or next hop");
    command->add_option("--tenant", order.tenant, "a tenant's mail");
    command->add_option("--campaign", order.campaign, "a campaign's mail");
    command->add_option("--sender", order.sender,
                        "mail from this address; @example.com: from a domain; <>: notifications");
    if (command->get_name() == "reroute") continue;
    command->add_option("--transport", order.transport, "NAME of a [transport.NAME]");
    command->add_option("--nexthop", order.nexthop,
                        "as in a [[route]]; without: the recipient's domain if a transport is given, else as it was");
    command->add_option("--pool", order.pool, "a source pool, of all its recipients");
  }
  add("delete", "remove without notice to the sender");
  add("expire", "return to the sender as undeliverable");
  add("flush", "try now")
      ->add_option("--destination", order.destination, "what goes to this domain, \"@\" and a domain, or next hop");
  add_why(*queue, where, why, status);
}

void add_qshape(CLI::App &app, cli::Where &where, cli::ShapeOrder &order, int &status) {
  auto *command = app.add_subcommand("qshape", "whose mail waits, by age, as Postfix's qshape prints it");
  add_where(*command, where);
  cli::add_shape_options(*command, order);
  command->callback([&] { status = cli::qshape_main(where, order); });
}

void add_lookup(CLI::App &app, cli::LookupOrder &order, int &status) {
  auto *command = app.add_subcommand("lookup", "ask a configured table");
  order.config = cli::Where{}.config;
  command->add_option("--config", order.config, "configuration file")->capture_default_str();
  command->add_option("table", order.table, "NAME of a [lookup.NAME]")->required();
  command->add_option("keys", order.keys, "what to look for; - reads keys from standard input, one a line")->required();
  command->callback([&] { status = cli::lookup_main(order); });
}

struct PluginOrder {
  std::string config = cli::Where{}.config, directory;
  cli::PluginCheck check;
  std::vector<std::string> options;
  cli::NewPlugin made;
  cli::Where where;
  cli::PluginCallOrder call;
};

void add_plugin(CLI::App &app, PluginOrder &order, int &status) {
  auto *plugin = app.add_subcommand("plugin", "see, check and begin plugins")->require_subcommand(1);
  auto *list = plugin->add_subcommand("list", "every plugin of the plugin directory");
  list->add_option("--config", order.config, "configuration file")->capture_default_str();
  list->add_option("directory", order.directory, "instead of the configured plugin_dir");
  list->callback([&] { status = cli::plugin_list_main(order.config, order.directory); });

  auto *check = plugin->add_subcommand("check", "does a plugin keep the rules? Tried in a process of its own");
  check->add_option("file", order.check.file, "FILE.so")->required();
  check->add_option("--option", order.options, "NAME=VALUE, as it would be configured");
  check->callback([&] {
    for (const auto &option : order.options) {
      const auto equals = option.find('=');
      if (equals == option.npos) throw CLI::ValidationError{"--option", "expected NAME=VALUE, not " + option};
      order.check.options.insert_or_assign(option.substr(0, equals), option.substr(equals + 1));
    }
    status = cli::plugin_check_main(order.check);
  });

  auto *call = plugin->add_subcommand("call", "a command of a plugin instance, in every process that has it");
  add_where(*call, order.where);
  call->add_option("instance", order.call.instance, "named as its table, such as filter.quarantine")->required();
  call->add_option("command", order.call.command, "one that the plugin has; another one: those are listed")->required();
  call->add_option("arguments", order.call.arguments,
                   "what the command gets; all of it after --, where one begins with a dash");
  call->callback([&] { status = cli::plugin_call_main(order.where, order.call); });

  auto *made = plugin->add_subcommand("new", "a project for a plugin, which builds and has a test");
  made->add_option("--kind", order.made.kind, "lookup, transport, filter, policy, event, rate, auth or store")
      ->required()
      ->check(CLI::IsMember({"lookup", "transport", "filter", "policy", "event", "rate", "auth", "store"}));
  made->add_option("--name", order.made.name, "its name, with or without the kind before it")->required();
  made->add_option("--lang", order.made.language, "c++ or c")
      ->capture_default_str()
      ->check(CLI::IsMember({"c", "c++"}));
  made->add_option("directory", order.made.directory, "where; otherwise a directory of the plugin's name, here");
  made->callback([&] { status = cli::plugin_new_main(order.made); });
}

struct LuaOrder {
  cli::LuaCheck check;
  std::vector<std::string> tests, allow, settings;
  std::string only;
  bool update = false, dns = false;
};

CLI::Option *add_settings(CLI::App &command, std::vector<std::string> &settings) {
  return command.add_option("--setting", settings, "NAME=VALUE, that the script sees as mansio.config.NAME")
      ->allow_extra_args(false);
}

void add_lua_tools(CLI::App &lua, LuaOrder &order, int &status) {
  auto *test = lua.add_subcommand("test", "run the tests of scripts: the files *_test.lua");
  test->add_option("--only", order.only, "the cases with this in their names");
  test->add_flag("--update", order.update, "write the golden files that the tests compare with");
  test->add_option("paths", order.tests, "directories, searched at any depth, or FILE.lua")->required();
  test->callback([&] {
    std::vector<std::string> words{"test"};
    if (order.update) words.push_back("--update");
    if (!order.only.empty()) words.insert(words.end(), {"--only", order.only});
    words.insert(words.end(), order.tests.begin(), order.tests.end());
    status = cli::lua_tool_main(words);
  });
  auto *repl = lua.add_subcommand("repl", "type Lua, and see what it returns; in the sandbox of scripts");
  repl->add_flag("--dns", order.dns, "let mansio.dns ask the real one");
  repl->add_option("--allow", order.allow, "a library that reaches the system, as it would be configured")
      ->allow_extra_args(false);
  add_settings(*repl, order.settings);
  repl->callback([&] {
    std::vector<std::string> words{"repl"};
    for (const auto &setting : order.settings) words.insert(words.end(), {"--setting", setting});
    if (order.dns) words.push_back("--dns");
    for (const auto &library : order.allow) words.insert(words.end(), {"--allow", library});
    status = cli::lua_tool_main(words);
  });
}

void add_lua(CLI::App &app, LuaOrder &orders, int &status) {
  auto &order = orders.check;
  auto *lua = app.add_subcommand("lua", "check, test and try scripts")->require_subcommand(1);
  auto *check = lua->add_subcommand("check", "is a script a good one? It is loaded, and nothing is started");
  order.config = cli::Where{}.config;
  check->add_option("--config", order.config, "configuration file, for its plugin_dir")->capture_default_str();
  check->add_option("--allow", order.allow, "a library that reaches the system, as it would be configured")
      ->allow_extra_args(false);
  add_settings(*check, order.settings);
  check->add_option("files", order.scripts, "FILE.lua")->required();
  check->callback([&] { status = cli::lua_check_main(order); });
  add_lua_tools(*lua, orders, status);
}

void add_replay(CLI::App &app, cli::ReplayCommand &order, int &status) {
  auto *command = app.add_subcommand("replay", "show recorded sessions to scripts, and say what they decide otherwise");
  order.config = cli::Where{}.config;
  auto *config = command->add_option("--config", order.config, "configuration file, whose scripts are tried");
  config->capture_default_str();
  auto *script = command->add_option("--script", order.script, "FILE.lua, tried instead")->excludes(config);
  command->add_option("--as", order.as, "whose place it takes: policy.NAME or filter.NAME")->needs(script);
  command->add_option("--option", order.options, "NAME=VALUE, of the script, as it would be configured")
      ->needs(script)
      ->allow_extra_args(false);
  add_settings(*command, order.settings)->needs(script);
  command
      ->add_option("--allow", order.allow,
                   "a library that reaches the system or a server; off unless given, whatever the configuration says")
      ->allow_extra_args(false);
  command->add_option("--session", order.sessions, "the session with this id alone")->allow_extra_args(false);
  command->add_flag("--dns", order.dns, "ask the real DNS what the recordings have no answer to");
  command->add_flag("--json", order.json, "JSON lines");
  command->add_option("recordings", order.recordings, "files, or directories of them")->required();
  command->callback([&] { status = cli::replay_main(order); });
}

}  // namespace

int main(int argc, char **argv) {
  keep_standard_streams();
  if (const auto tool = argc > 0 ? cli::postfix::personality(argv[0]) : nullptr) return tool(argc, argv);
  if (argc == 3 && std::strcmp(argv[1], supervisor::kRoleFlag) == 0) return child_main(argv[2]);
  for (const auto &tool : kTools)
    if (argc > 1 && tool.main != nullptr && std::strcmp(argv[1], tool.name) == 0) return tool.main(argc - 1, argv + 1);

  CLI::App app{"Mansio, a mail transfer agent", "mansio"};
  app.require_subcommand(1);
  cli::Where where;
  cli::QueueOrder order;
  int status = 0;

  bool single = false;
  auto *run = app.add_subcommand("run", "run Mansio in the foreground");
  add_where(*run, where);
  run->add_flag("--single", single, "all roles as threads of one process, without sandbox: for debugging");
  run->callback([&] { status = supervisor::run_main({where.config, where.spool}, single, cli::role_main); });

  auto *check = app.add_subcommand("check", "check a configuration and say everything that is wrong with it");
  add_where(*check, where);
  bool system = false;
  check->add_flag("--system", system, "look at the machine too: limits, sysctls, the spool's file system and its disk");
  check->callback([&] { status = cli::check_main(where, system); });

  bool json = false, metrics = false;
  auto *show = app.add_subcommand("status", "processes and queue of a running Mansio");
  add_where(*show, where);
  show->add_flag("--json", json, "as JSON");
  show->add_flag("--metrics", metrics, "all counters in Prometheus text format")->excludes("--json");
  show->callback([&] {
    status = cli::status_main(where, metrics ? cli::StatusForm::Metrics
                                     : json  ? cli::StatusForm::Json
                                             : cli::StatusForm::Human);
  });
  cli::WhyOrder why;
  add_queue(app, where, order, why, status);
  cli::ShapeOrder shape;
  add_qshape(app, where, shape, status);
  cli::LookupOrder lookup;
  add_lookup(app, lookup, status);
  PluginOrder plugin;
  add_plugin(app, plugin, status);
  LuaOrder lua;
  add_lua(app, lua, status);
  cli::ReplayCommand replay;
  add_replay(app, replay, status);
  for (const auto &[name, what] : {std::pair{"reload", "take over a changed configuration, as SIGHUP does"},
                                   std::pair{"stop", "stop, as SIGTERM does"},
                                   std::pair{"reopen-log", "open the log file anew, as SIGUSR1 does"}}) {
    auto *command = app.add_subcommand(name, what);
    add_where(*command, where);
    command->callback(
        [&where, &status, order_name = std::string{name}] { status = cli::order_main(where, order_name); });
  }
  for (const auto &tool : kTools)
    if (tool.main != nullptr) app.add_subcommand(tool.name, tool.what);

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError &e) {
    const int code = app.exit(e);
    return code == 0 ? 0 : 64;  // EX_USAGE
  }
  std::fflush(stdout);
  return status;
}
