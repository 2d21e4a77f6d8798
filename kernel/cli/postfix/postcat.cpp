// postcat(1): prints messages of the queue. It reads them from the spool itself, so that a message can be looked at
// while Mansio is down; while it runs it is asked which recipients are done.
#include <unistd.h>

#include <boost/json.hpp>
#include <cstdio>
#include <optional>
#include <set>

#include "kernel/base/id.hpp"
#include "kernel/cli/json_fields.hpp"
#include "kernel/cli/postfix/message_printer.hpp"
#include "kernel/cli/postfix/personality.hpp"
#include "kernel/cli/say.hpp"
#include "kernel/spool/inspect.hpp"

namespace mansio::cli::postfix {
namespace {

namespace json = boost::json;

constexpr std::string_view kPostcat = "postcat";
constexpr std::string_view kPostcatUsage =
    "usage: postcat [-b (body text)] [-c config_dir] [-d (decimal record type)] [-e (envelope records)] "
    "[-f (file names)] [-h (header text)] [-o (offsets)] [-q (access queue)] [-v] queue_id(s)...";

// What the running queue knows of a message.
struct Known {
  bool asked = false;  // it runs, and answered
  bool found = false;
  std::string queue;
  std::optional<std::uint32_t> segment;
  std::multiset<std::string> waits;
};

void take(Known &known, const json::object &o) {
  known.found = true;
  known.queue = text_of(o, "queue_name");
  if (const auto *place = object_of(o, "envelope_place"))
    known.segment = static_cast<std::uint32_t>(number_of(*place, "segment"));
  const auto *groups = o.if_contains("groups");
  if (!groups || !groups->is_array()) return;
  for (const auto &group : groups->get_array()) {
    const auto *recipients = group.is_object() ? group.get_object().if_contains("recipients") : nullptr;
    if (!recipients || !recipients->is_array()) continue;
    for (const auto &r : recipients->get_array())
      if (r.is_object()) known.waits.insert(text_of(r.get_object(), "address"));
  }
}

Result<Known> ask(const Where &where, const std::string &id) {
  auto control = ControlClient::connect(where);
  if (!control) return control.error();
  Known known;
  const json::object order{{"command", "queue"}, {"verb", "show"}, {"ids", json::array{id}}};
  const auto asked = control->ask(json::serialize(order), [&](std::string_view line) {
    boost::system::error_code e;
    const auto value = json::parse({line.data(), line.size()}, e);
    if (!e && value.is_object()) take(known, value.get_object());
  });
  if (!asked) return asked.error();
  known.asked = true;
  return known;
}

int print(const Where &where, const std::string &spool, const std::string &given, const PrintForm &form) {
  const auto name = given.substr(given.rfind('/') + 1);
  const auto id = parse_message_id(name);
  if (!id) return fatal(kPostcat, "bad mail queue ID: " + given, 1);
  auto known = ask(where, name);
  if (!known)
    warn(kPostcat, known.error().text + " -- reading the spool directly: a message shown may have been delivered");
  else if (!known->found)
    return fatal(kPostcat, "open queue file " + given + ": No such file or directory", 1);
  MessagePrinter printer{form, known ? known->queue + "/" + name : name, [](std::string_view text) { put(text); }};
  const auto files = io::system_files();
  const auto copied = spool::copy_message(
      *files, spool, *id, known ? known->segment : std::nullopt,
      [&](const spool::Committed &at, const Envelope &envelope) {
        printer.envelope(envelope, at.envelope.offset, known ? &known->waits : nullptr);
        printer.begin_content(at.body.offset);
      },
      [&](std::string_view bytes) { return printer.content(bytes), std::ferror(stdout) == 0; });
  if (!copied) {
    const bool absent = copied.error().status == Status::NotFound;
    return fatal(
        kPostcat,
        absent ? "open queue file " + given + ": No such file or directory" : given + ": " + copied.error().text, 1);
  }
  printer.end();
  return 0;
}

}  // namespace

int postcat_main(int argc, char **argv) {
  std::string config = mail_config();
  PrintForm form;
  for (int option; (option = ::getopt(argc, argv, "bc:defhoqrs:v")) >= 0;) {
    switch (option) {
      case 'b':
        form.body = true;
        break;
      case 'c':
        config = ::optarg;
        break;
      case 'd':
        form.types = true;
        break;
      case 'e':
        form.envelope = true;
        break;
      case 'f':
        form.names = true;
        break;
      case 'h':
        form.header = true;
        break;
      case 'o':
        form.offsets = true;
        break;
      case 'q':  // a name is always looked for in the queue: there are no files to name
      case 'r':  // nothing lies out of order
      case 'v':
        break;
      case 's':
        return fatal(kPostcat, "-s: an offset means nothing where a message is no file", 1);
      default:
        return fatal(kPostcat, kPostcatUsage, 1);
    }
  }
  if (::optind == argc) return fatal(kPostcat, kPostcatUsage, 1);
  if (!form.body && !form.envelope && !form.header) form.body = form.envelope = form.header = true;
  const auto where = instance_of(config);
  const auto spool = spool_of(where);
  if (!spool) return fatal(kPostcat, spool.error().text, 1);
  for (int i = ::optind; i < argc; ++i)
    if (const int status = print(where, *spool, argv[i], form); status != 0) return status;
  return 0;
}

}  // namespace mansio::cli::postfix
