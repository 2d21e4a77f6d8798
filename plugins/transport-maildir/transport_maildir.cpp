// transport-maildir: final delivery into Maildirs. Options and behaviour: README.md.
#include <algorithm>
#include <cstring>
#include <memory>

#include "address.hpp"
#include "maildir.hpp"
#include "mansio/plugin.hpp"
#include "pool.hpp"
#include "status.hpp"

namespace maildir {
namespace {

using mansio::plugin::BadConfig;
using mansio::plugin::Delivery;
using mansio::plugin::Host;
using mansio::plugin::Recipient;
using mansio::plugin::Reply;

// Addresses go into header lines: nothing in them may end one.
std::string header_safe(std::string_view text) {
  std::string out{text};
  std::replace_if(
      out.begin(), out.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }, '?');
  return out;
}

mode_t parse_mode(const std::string &text) {
  mode_t mode = 0;
  for (const char c : text) {
    if (c < '0' || c > '7' || mode > 0777) throw BadConfig{"mode: expected an octal number such as 0600, not " + text};
    mode = mode * 8 + static_cast<mode_t>(c - '0');
  }
  if (mode > 0777 || (mode & 0600) != 0600)
    throw BadConfig{"mode: the owner must be able to read and write, not " + text};
  return mode;
}

OverQuota parse_over_quota(const std::string &text) {
  if (text.empty()) return OverQuota::Default;
  if (text == "bounce") return OverQuota::Bounce;
  if (text == "defer") return OverQuota::Defer;
  throw BadConfig{"over_quota: expected bounce or defer, not " + text};
}

class TransportMaildir {
 public:
  static constexpr mansio::plugin::Info info{"transport-maildir", "1.0", MANSIO_NEEDS_WRITE};
  static constexpr mansio_option options[] = {
      {"directory", MANSIO_OPT_TEXT, 0, "/var/mail/mansio/{domain}/{local}",
       "The recipient's Maildir; {local} is the local part, {user} the same without its extension, {domain} the "
       "domain."},
      {"recipient_delimiter", MANSIO_OPT_TEXT, 0, "",
       "Characters of which the first in a local part begins its extension; empty means that there are no extensions."},
      {"fold_case", MANSIO_OPT_BOOLEAN, 0, "true",
       "Local parts that differ in the case of ASCII letters are one user."},
      {"create", MANSIO_OPT_BOOLEAN, 0, "true",
       "A Maildir that does not exist is created, mode 0700; otherwise its recipient is unknown."},
      {"quota", MANSIO_OPT_SIZE, 0, "0", "Limit of a Maildir with its subfolders; 0 means none."},
      {"over_quota", MANSIO_OPT_TEXT, 0, "",
       "What becomes of mail for a full mailbox: bounce (5.2.2) or defer (4.2.2); empty: beyond `quota` it bounces, "
       "beyond the file system's quota it is deferred."},
      {"mode", MANSIO_OPT_TEXT, 0, "0600", "Permissions of message files, octal."},
      {"threads", MANSIO_OPT_INTEGER, 0, "8", "Deliveries written and synced at once."},
      {}};

  explicit TransportMaildir(Host host)
      : host_(host),
        directory_(host.option("directory")),
        delimiter_(host.option("recipient_delimiter")),
        fold_case_(host.flag("fold_case")) {
    if (const auto wrong = check_pattern(directory_); !wrong.empty())
      throw BadConfig{"directory: " + directory_ + " " + wrong};
    while (directory_.size() > 1 && directory_.ends_with('/')) directory_.pop_back();
    folder_.create = host.flag("create");
    folder_.quota = host.size("quota");
    folder_.mode = parse_mode(host.option("mode"));
    folder_.host = host.fact("myhostname");
    over_quota_ = parse_over_quota(host.option("over_quota"));
    const auto threads = host.integer("threads");
    if (threads < 1 || threads > 256) throw BadConfig{"threads: expected 1 to 256"};
    pool_ = std::make_unique<Pool>(static_cast<unsigned>(threads));
  }

  void start(mansio_op op, Delivery delivery) {
    pool_->run([this, op, mail = std::make_shared<const Delivery>(std::move(delivery))] { deliver(op, *mail); });
  }

 private:
  // On a thread of the pool.
  void deliver(mansio_op op, const Delivery &mail) noexcept {
    try {
      for (std::size_t i = 0; i < mail.recipients.size(); ++i) {
        if (!host_.alive(op))  // cancelled, or out of time
          return host_.complete(op, mansio::plugin::defer({4, 4, 7}, "delivery was cancelled").relay("local"));
        const auto began = host_.now();
        auto reply = deliver(op, mail, mail.recipients[i]);
        host_.rcpt(op, i, reply.relay("local").times(0, host_.now() - began));
      }
      host_.complete(op, mansio::plugin::sent());
    } catch (const std::exception &e) {
      host_.error(e.what(), op);
      host_.complete(op, Reply{MANSIO_INTERNAL});
    }
  }

  Reply deliver(mansio_op op, const Delivery &mail, const Recipient &recipient) const {
    const auto mailbox = parse_mailbox(recipient.address, delimiter_, fold_case_);
    auto folder = folder_;
    if (mailbox) folder.path = expand(directory_, *mailbox);
    if (folder.path.empty()) return mansio::plugin::bounce({5, 1, 3}, "this address can name no mailbox");

    Message message;
    message.length = mail.length;
    message.read = [this, op](std::uint64_t offset, char *to, std::size_t n) { return host_.read(op, offset, to, n); };
    if (delivered_before(message, recipient.address))
      return mansio::plugin::bounce({5, 4, 6}, "mail forwarding loop for " + recipient.address);
    message.headers =
        "Return-Path: <" + header_safe(mail.sender) + ">\nDelivered-To: " + header_safe(recipient.address) +
        "\nX-Original-To: " + header_safe(recipient.original.empty() ? recipient.address : recipient.original) + "\n";
    return reply(op, maildir::deliver(folder, message), recipient);
  }

  Reply reply(mansio_op op, const Result &result, const Recipient &recipient) const {
    // Paths are for the log, not for whoever gets the bounce.
    if (result.outcome == Outcome::SystemError) host_.warn(result.what + ": " + std::strerror(result.error), op);
    return reply_for(result, recipient.address, over_quota_);
  }

  Host host_;
  std::string directory_, delimiter_;
  bool fold_case_;
  OverQuota over_quota_ = OverQuota::Default;
  Folder folder_;               // all but its path
  std::unique_ptr<Pool> pool_;  // last: its threads use the rest
};

}  // namespace
}  // namespace maildir

MANSIO_TRANSPORT_PLUGIN(maildir::TransportMaildir)
