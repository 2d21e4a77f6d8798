#include "plugins/transport-pipe/options.hpp"

#include "plugins/pipe-common/account.hpp"
#include "plugins/pipe-common/surroundings.hpp"

namespace mansio::pipe {
namespace {

using plugin::BadConfig;

void read_flags(Settings &s, const std::string &flags) {
  for (const char flag : flags) {
    switch (flag) {
      case 'B':
        s.content_form.blank_line_after = true;
        break;
      case 'D':
        s.headers.delivered_to = true;
        break;
      case 'F':
        s.headers.from = true;
        break;
      case 'O':
        s.headers.original_to = true;
        break;
      case 'R':
        s.headers.return_path = true;
        break;
      case 'X':
        s.final_delivery = true;
        break;
      case 'h':
        s.address_form.fold_domain = true;
        break;
      case 'q':
        s.address_form.quote = true;
        break;
      case 'u':
        s.address_form.fold_local = true;
        break;
      case '.':
        s.content_form.quote_dot = true;
        break;
      case '>':
        s.content_form.quote_from = true;
        break;
      default:
        throw BadConfig{"flags", "is \"" + flags + "\", expected letters out of BDFORXhqu.>"};
    }
  }
}

}  // namespace

const mansio_option kOptions[] = {
    {"argv", MANSIO_OPT_TEXT, MANSIO_OPT_REQUIRED, nullptr,
     "The command with its arguments, divided by blanks; `{` and `}` stand around an argument with blanks. The program "
     "is an absolute path."},
    {"user", MANSIO_OPT_TEXT, 0, "", "Whom the command runs as, `user` or `user:group`; see below."},
    {"flags", MANSIO_OPT_TEXT, 0, "", "Letters that change the message or the arguments; see below."},
    {"directory", MANSIO_OPT_PATH, 0, "/", "Working directory of the command, below `chroot`."},
    {"chroot", MANSIO_OPT_PATH, 0, "", "Directory that is to be the root of what the command sees; see below."},
    {"environment", MANSIO_OPT_LIST, 0, "PATH=/usr/bin:/bin",
     "The whole environment of the command: NAME=VALUE, or NAME for the value that Mansio itself was started with. "
     "PATH is always set."},
    {"null_sender", MANSIO_OPT_TEXT, 0, "MAILER-DAEMON", "What stands for the null sender; may be empty."},
    {"eol", MANSIO_OPT_TEXT, 0, "\\n", "Line end of what the command reads, with C-style escapes."},
    {"recipient_delimiter", MANSIO_OPT_TEXT, 0, "",
     "Characters of which the first in a local part begins its extension; empty means that there are no extensions."},
    {"size", MANSIO_OPT_SIZE, 0, "0", "Messages larger than this bounce; 0 means no limit."},
    {"command_time_limit", MANSIO_OPT_DURATION, 0, "1000s",
     "How long a command may take; then it and the processes of its group are killed, and the mail is tried again."},
    {}};

Settings read_settings(const plugin::Config &config) {
  Settings s;
  plugin::Problems problems{config};
  problems.of([&] {
    s.root = config.option("chroot");
    if (!s.root.empty()) must_be_there("chroot", s.root);
  });
  problems.of([&] {
    s.command.emplace(config.option("argv"));
    must_be_there("argv", s.command->program(), s.root);
  });
  s.user = config.option("user");
  problems.of([&] { parse_account(s.user); });
  problems.of([&] { read_flags(s, config.option("flags")); });
  problems.of([&] { s.directory = read_directory(config.option("directory"), s.root); });
  problems.of([&] { s.environment = read_environment(config.list("environment")); });
  s.null_sender = config.option("null_sender");
  s.recipient_delimiter = config.option("recipient_delimiter");
  problems.of([&] { s.content_form.eol = parse_eol(config.option("eol")); });
  problems.of([&] { s.size_limit = config.size("size"); });
  problems.of([&] {
    s.time_limit = config.duration("command_time_limit");
    if (s.time_limit <= 0) throw BadConfig{"command_time_limit", "is 0, expected a time such as \"1000s\""};
  });
  problems.end();
  return s;
}

}  // namespace mansio::pipe
