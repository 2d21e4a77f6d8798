#include "kernel/cli/spool.hpp"

#include <CLI/CLI.hpp>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <cstdio>
#include <string>

#include "kernel/cli/say.hpp"
#include "kernel/cli/spool_bench.hpp"
#include "kernel/cli/spool_restore.hpp"
#include "kernel/config/parse.hpp"
#include "kernel/spool/inspect.hpp"

namespace mansio::cli {
namespace {

namespace json = boost::json;

json::object to_json(const Envelope &e) {
  json::array recipients;
  for (const auto &r : e.recipients) {
    json::object o{{"address", r.address}};
    if (!r.orcpt.empty()) o["orcpt"] = r.orcpt;
    if (r.route < e.routes.size()) {
      o["transport"] = e.routes[r.route].transport;
      o["nexthop"] = e.routes[r.route].nexthop;
    }
    recipients.push_back(std::move(o));
  }
  return {{"sender", e.sender},
          {"recipients", std::move(recipients)},
          {"arrival", rfc3339(e.arrival)},
          {"size", e.body.size},
          {"client_address", e.client_address},
          {"client_name", e.client_name},
          {"helo", e.helo},
          {"protocol", e.protocol},
          {"listener", e.listener},
          {"config_epoch", e.config_epoch}};
}

json::object to_json(const spool::Place &p) {
  return {{"segment", spool::file_name(p.segment)}, {"epoch", p.epoch}, {"offset", p.offset}, {"length", p.length}};
}

void print(const spool::DumpedRecord &r) {
  const bool journal = r.file == spool::FileKind::Journal;
  json::object o{{"file", journal ? "journal" : "segment"},
                 {"number", spool::file_name(r.number)},
                 {"epoch", r.epoch},
                 {"offset", r.offset},
                 {"type", spool::name(r.header.type)},
                 {"length", r.header.length}};
  if (journal)
    o["sequence"] = r.header.id;
  else if (r.header.id != 0)
    o["queue_id"] = to_string(MessageId{r.header.id});
  if (r.envelope) o["envelope"] = to_json(*r.envelope);
  if (r.commit) {
    o["envelope_place"] = to_json(r.commit->envelope);
    o["body_place"] = to_json(r.commit->body);
    o["ordinal"] = r.commit->ordinal;
    o["synced"] = r.commit->synced;
  }
  const auto line = json::serialize(o);
  std::printf("%s\n", line.c_str());
}

int check(io::FileSystem &files, const std::string &directory) {
  const auto found =
      spool::inspect_spool(files, directory, [](const std::string &text) { std::printf("%s\n", text.c_str()); });
  if (!found) return refuse("spool", found.error().text);
  std::printf(
      "%llu segments, %llu of them free; %llu messages, %llu of them twice, %llu unfinished ones; %llu journal files, "
      "%llu records; %llu "
      "problems\n",
      static_cast<unsigned long long>(found->segments), static_cast<unsigned long long>(found->free_segments),
      static_cast<unsigned long long>(found->messages), static_cast<unsigned long long>(found->copies),
      static_cast<unsigned long long>(found->fragments), static_cast<unsigned long long>(found->journal_files),
      static_cast<unsigned long long>(found->journal_records), static_cast<unsigned long long>(found->problems));
  return found->problems == 0 ? 0 : 1;
}

int dump(io::FileSystem &files, const std::string &directory, const std::string &body) {
  if (body.empty()) {
    const auto r = spool::dump_spool(files, directory, print);
    return r ? 0 : refuse("spool", r.error().text);
  }
  const auto id = parse_message_id(body);
  if (!id) return refuse("spool", body + " is not a queue id");
  const auto r = spool::copy_body(files, directory, *id, [](std::string_view bytes) {
    return std::fwrite(bytes.data(), 1, bytes.size(), stdout) == bytes.size();
  });
  if (r) return 0;
  (void)refuse("spool", body + ": " + r.error().text);
  return 1;
}

int bench(io::FileSystem &files, const std::string &directory, const SpoolBench &how) {
  const auto r = bench_spool(files, directory, how, [](std::string_view line) {
    put(line);
    std::fflush(stdout);
  });
  return r ? 0 : refuse("spool", r.error().text);
}

}  // namespace

int spool_main(int argc, char **argv) {
  std::string config = "/etc/mansio/mansio.toml", directory, body;
  SpoolBench how;
  SpoolRestore restore;
  CLI::App app{"Look into a spool that no Mansio runs on, measure the disk under one, or fill one from a store",
               "mansio spool"};
  app.require_subcommand(1);
  auto *check_command = app.add_subcommand("check", "verify every record; exit status 1 if anything is damaged");
  auto *dump_command = app.add_subcommand("dump", "print records as JSON lines, or one message");
  auto *bench_command = app.add_subcommand("bench", "measure how long the spool's disk takes to sync");
  bench_command->add_option("--seconds", how.seconds, "for each line")
      ->capture_default_str()
      ->check(CLI::Range(0.01, 600.0));
  bench_command->add_option("--size", how.message_bytes, "bytes of a message")
      ->capture_default_str()
      ->check(CLI::Range(1, 16 << 20));
  auto *restore_command =
      app.add_subcommand("restore", "bring back mail from a store into the spool of a Mansio that runs");
  restore_command->add_option("--store", restore.store, "NAME of a [store.NAME]")->required();
  restore_command->add_option("--from", restore.from,
                              "the spool whose mail it was, or all; without: the only other one that it has mail of");
  restore_command->add_flag("--hold", restore.hold, "what comes back waits until it is released");
  restore_command->add_flag("--list", restore.list, "say of which spools the store has mail, and do nothing");
  for (auto *command : {check_command, dump_command, bench_command, restore_command}) {
    command->add_option("--config", config, "configuration file")->capture_default_str();
    command->add_option("--spool", directory, "spool directory, instead of the configured one");
  }
  dump_command->add_option("--body", body, "print the bytes of the message with this queue id");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError &e) {
    return app.exit(e);
  }
  if (restore_command->parsed()) return restore_main({config, directory}, restore);
  if (directory.empty()) {
    const auto access = config::direct_files();
    const auto parsed = config::parse_settings(config, *access);
    if (!parsed.problems.empty()) return refuse("spool", config::to_string(parsed.problems.front()));
    directory = parsed.settings.spool;
  }
  const auto files = io::system_files();
  if (bench_command->parsed()) return bench(*files, directory, how);
  return check_command->parsed() ? check(*files, directory) : dump(*files, directory, body);
}

}  // namespace mansio::cli
