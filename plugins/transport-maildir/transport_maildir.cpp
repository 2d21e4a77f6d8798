// transport-maildir: final delivery into Maildirs. Options and behaviour: README.md.
#include <cstring>
#include <memory>

#include "address.hpp"
#include "maildir.hpp"
#include "mansio/plugin.hpp"
#include "plugins/transport-common/header.hpp"
#include "pool.hpp"
#include "status.hpp"

namespace maildir {
namespace {

using mansio::plugin::BadConfig;
using mansio::plugin::Config;
using mansio::plugin::Delivery;
using mansio::plugin::Host;
using mansio::plugin::Recipient;
using mansio::plugin::Reply;
using mansio::plugin::Token;
using mansio::transport::header_safe;

mode_t parse_mode(const std::string &text) {
  const BadConfig bad{"mode", "is \"" + text +
                                  "\", expected an octal number from 0600 to 0777 such as \"0640\": the "
                                  "owner must be able to read and write"};
  mode_t mode = 0;
  for (const char c : text) {
    if (c < '0' || c > '7' || mode > 0777) throw bad;
    mode = mode * 8 + static_cast<mode_t>(c - '0');
  }
  if (mode > 0777 || (mode & 0600) != 0600) throw bad;
  return mode;
}

OverQuota parse_over_quota(const std::string &text) {
  if (text.empty()) return OverQuota::Default;
  if (text == "bounce") return OverQuota::Bounce;
  if (text == "defer") return OverQuota::Defer;
  throw BadConfig{"over_quota", "is \"" + text + "\", expected \"bounce\", \"defer\" or \"\""};
}

std::string parse_directory(std::string text) {
  if (const auto wrong = check_pattern(text); !wrong.empty())
    throw BadConfig{"directory",
                    "is \"" + text + "\", which " + wrong + "; expected a path such as \"/var/mail/{domain}/{local}\""};
  while (text.size() > 1 && text.ends_with('/')) text.pop_back();
  return text;
}

unsigned parse_threads(std::int64_t threads) {
  if (threads < 1 || threads > 256)
    throw BadConfig{"workers", "is " + std::to_string(threads) + ", expected an integer from 1 to 256"};
  return static_cast<unsigned>(threads);
}

struct Settings {
  std::string directory, delimiter;
  bool fold_case = true;
  OverQuota over_quota = OverQuota::Default;
  Folder folder;  // all but its path
  unsigned threads = 1;
};

Settings read_settings(const Config &config) {
  Settings s;
  mansio::plugin::Problems problems{config};
  problems.of([&] { s.directory = parse_directory(config.option("directory")); });
  s.delimiter = config.option("recipient_delimiter");
  s.fold_case = config.flag("fold_case");
  s.folder.create = config.flag("create");
  problems.of([&] { s.folder.quota = config.size("quota"); });
  problems.of([&] { s.folder.mode = parse_mode(config.option("mode")); });
  s.folder.host = config.fact("myhostname");
  problems.of([&] { s.over_quota = parse_over_quota(config.option("over_quota")); });
  problems.of([&] { s.threads = parse_threads(config.integer("workers")); });
  problems.end();
  return s;
}

class TransportMaildir {
 public:
  static constexpr mansio::plugin::Info info{"transport-maildir", "1.0", MANSIO_NEEDS_WRITE};
  static constexpr mansio_option options[] = {
      {"directory", MANSIO_OPT_TEXT, 0, "/var/mail/mansio/{domain}/{local}",
       "The recipient's Maildir, absolute; `{local}` is the local part, `{user}` the same without its extension, "
       "`{domain}` the domain in lower case."},
      {"recipient_delimiter", MANSIO_OPT_TEXT, 0, "",
       "Characters of which the first in a local part begins its extension; empty means that there are no extensions."},
      {"fold_case", MANSIO_OPT_BOOLEAN, 0, "true",
       "Local parts that differ in the case of ASCII letters are one user."},
      {"create", MANSIO_OPT_BOOLEAN, 0, "true",
       "A Maildir that does not exist is created, mode 0700; otherwise its recipient is unknown (5.1.1)."},
      {"quota", MANSIO_OPT_SIZE, 0, "0", "Limit of a Maildir with its subfolders, Trash left out; 0 means none."},
      {"over_quota", MANSIO_OPT_TEXT, 0, "",
       "What becomes of mail for a full mailbox: bounce (5.2.2) or defer (4.2.2); empty: beyond `quota` it bounces, "
       "beyond the file system's quota it is deferred."},
      {"mode", MANSIO_OPT_TEXT, 0, "0600", "Permissions of message files, octal."},
      {"workers", MANSIO_OPT_INTEGER, 0, "8", "Deliveries written and synced at once."},
      {}};

  explicit TransportMaildir(Host host)
      : host_(host), settings_(read_settings(host)), pool_(std::make_unique<Pool>(settings_.threads)) {}
  static void check(const Config &config) { read_settings(config); }

  void start(Token token, Delivery delivery) {
    auto job = std::make_shared<Job>(std::move(token), std::move(delivery));
    pool_->run([this, job] { deliver(job->token, job->mail); });
  }

 private:
  struct Job {
    Job(Token t, Delivery m) : token(std::move(t)), mail(std::move(m)) {}
    Token token;
    Delivery mail;
  };

  // On a thread of the pool.
  void deliver(Token &token, const Delivery &mail) noexcept {
    const auto op = token.op();
    try {
      for (std::size_t i = 0; i < mail.recipients.size(); ++i) {
        if (!token.alive())  // cancelled, or out of time
          return token.complete(mansio::plugin::defer({4, 4, 7}, "delivery was cancelled").relay("local"));
        const auto began = host_.now();
        auto reply = deliver(op, mail, mail.recipients[i]);
        token.rcpt(i, reply.relay("local").times(0, host_.now() - began));
      }
      token.complete(mansio::plugin::sent());
    } catch (const std::exception &e) {
      host_.error(e.what(), op);
      token.complete(Reply{MANSIO_INTERNAL});
    }
  }

  Reply deliver(mansio_op op, const Delivery &mail, const Recipient &recipient) {
    const auto mailbox = parse_mailbox(recipient.address, settings_.delimiter, settings_.fold_case);
    auto folder = settings_.folder;
    if (mailbox) folder.path = expand(settings_.directory, *mailbox);
    if (folder.path.empty()) return mansio::plugin::bounce({5, 1, 3}, "this address can name no mailbox");

    Message message;
    message.length = mail.length;
    message.read = [this, op](std::uint64_t offset, char *to, std::size_t n) { return host_.read(op, offset, to, n); };
    if (mansio::transport::delivered_before(message.read, recipient.address))
      return mansio::plugin::bounce({5, 4, 6}, "mail forwarding loop for " + recipient.address);
    message.headers =
        "Return-Path: <" + header_safe(mail.sender) + ">\nDelivered-To: " + header_safe(recipient.address) +
        "\nX-Original-To: " + header_safe(recipient.original.empty() ? recipient.address : recipient.original) + "\n";
    return reply(op, maildir::deliver(folder, message, directories_), recipient);
  }

  Reply reply(mansio_op op, const Result &result, const Recipient &recipient) const {
    // Paths are for the log, not for whoever gets the bounce.
    if (result.outcome == Outcome::SystemError) host_.warn(result.what + ": " + std::strerror(result.error), op);
    return reply_for(result, recipient.address, settings_.over_quota);
  }

  Host host_;
  Settings settings_;
  Directories directories_;
  std::unique_ptr<Pool> pool_;  // last: its threads use the rest
};

}  // namespace
}  // namespace maildir

MANSIO_TRANSPORT_PLUGIN(maildir::TransportMaildir)
