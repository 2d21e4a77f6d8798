// transport-pipe: hands each delivery to a command, as Postfix's pipe(8) does. Options and behaviour: README.md.
#include <algorithm>
#include <csignal>
#include <ctime>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "mansio/plugin.hpp"
#include "plugins/common/ascii.hpp"
#include "plugins/pipe-common/account.hpp"
#include "plugins/transport-common/header.hpp"
#include "plugins/transport-pipe/options.hpp"
#include "plugins/transport-pipe/run.hpp"
#include "plugins/transport-pipe/status.hpp"

namespace mansio::pipe {
namespace {

using plugin::Delivery;
using plugin::Host;
using plugin::Recipient;
using plugin::Reply;
using plugin::Token;
using transport::header_safe;

// Who brought the message, as pipe(8) has it: our client, or the one that a content filter has told of (XFORWARD).
plugin::Origin client_of(const Delivery &mail) {
  auto client = mail.origin;
  const bool local = client.address.empty() && (mail.client_address.empty() || mail.client_address == "unix");
  const bool ours = (local || client.address == mail.client_address) && client.helo == mail.client_helo;
  if (client.source == MANSIO_ORIGIN_UNKNOWN || ours) {
    client.address = mail.client_address;
    client.name = mail.client_name;
    client.helo = mail.client_helo;
  } else if (client.name.empty() && !client.address.empty()) {
    client.name = "unknown";
  }
  return client;
}

// What a notification can name as a remote MTA.
bool is_host_name(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-';
  });
}

// Of the route; where that names none, the domain that all recipients share.
std::string nexthop_of(const Delivery &mail) {
  if (!mail.nexthop.empty() || mail.recipients.empty()) return mail.nexthop;
  return parse_address(mail.recipients.front().address).domain;
}

const std::string &original_of(const Recipient &recipient) {
  return recipient.original.empty() ? recipient.address : recipient.original;
}

class TransportPipe {
 public:
  // Network: a program may need it, and cannot ask for it.
  static constexpr plugin::Info info{"transport-pipe", "1.0",
                                     MANSIO_NEEDS_EXEC | MANSIO_NEEDS_WRITE | MANSIO_NEEDS_NETWORK};
  static constexpr const mansio_option *options = kOptions;

  explicit TransportPipe(const Host &host)
      : host_(host), settings_(read_settings(host)), account_(account_to_become(settings_.user)) {
    judge_chroot(settings_.root);
    std::signal(SIGPIPE, SIG_IGN);  // a command that reads no further is no reason to end
  }
  static void check(const plugin::Config &config) { read_settings(config); }

  void start(Token token, const Delivery &mail) {
    if (const auto refusal = refuse(token.op(), mail)) return token.complete(shown(*refusal));
    auto values = message_values(mail);
    if (const auto wrong = settings_.command->refuses_message(values); !wrong.empty())
      return token.complete(
          shown(plugin::bounce({5, 1, 7}, "the sender, the next hop or what the client said " + wrong)));
    auto job = std::make_unique<Job>(Job{std::move(token), {}, {}, nullptr, true, {}});
    if (!settings_.final_delivery && is_host_name(mail.nexthop)) job->relayed_to = mail.nexthop;
    std::vector<Values> recipients;
    for (std::size_t i = 0; i < mail.recipients.size(); ++i) {
      auto each = recipient_values(values, mail.recipients[i]);
      if (const auto wrong = settings_.command->refuses_recipient(each); !wrong.empty()) {
        job->token.rcpt(i, shown(plugin::bounce({5, 1, 3}, "the address " + wrong)));
      } else {
        job->recipients.push_back(i);
        recipients.push_back(std::move(each));
      }
    }
    if (recipients.empty()) return job->token.complete(shown(plugin::bounce({5, 1, 3}, "no address is left")));
    launch(std::move(job), mail, settings_.command->expand(values, recipients));
  }

  // The command is stopped, and may have done its work before.
  void cancel(mansio_op op) {
    const auto found = jobs_.find(op.id);
    if (found == jobs_.end() || !found->second->wanted) return;
    auto &job = *found->second;
    job.wanted = false;
    job.run->stop();
    answer(job, plugin::uncertain({4, 3, 0}, "the command was stopped at the time limit of the delivery"));
  }

 private:
  struct Job {
    Token token;
    std::vector<std::size_t> recipients;  // those that the command is for
    std::int64_t began = 0;
    std::unique_ptr<Run> run;
    bool wanted;  // its result is still asked for
    std::string relayed_to;
  };

  Reply shown(Reply reply) const { return std::move(reply.relay(host_.fact("instance"))); }

  std::optional<Reply> refuse(mansio_op op, const Delivery &mail) const {
    if (settings_.size_limit != 0 && mail.length > settings_.size_limit)
      return plugin::bounce({5, 3, 4}, "the message is larger than " + std::to_string(settings_.size_limit) + " bytes");
    const auto &headers = settings_.headers;
    if ((headers.delivered_to || headers.original_to) && mail.recipients.size() > 1) {
      host_.warn("flags D and O are for one recipient at a time: set destination_recipient_limit = 1", op);
      return plugin::defer({4, 3, 5}, "flags D and O need destination_recipient_limit = 1");
    }
    if (headers.delivered_to &&
        transport::delivered_before([&](auto offset, auto *to, auto n) { return host_.read(op, offset, to, n); },
                                    mail.recipients.front().address))
      return plugin::bounce({5, 4, 6}, "mail forwarding loop for " + mail.recipients.front().address);
    return std::nullopt;
  }

  std::string sender(const Delivery &mail, const AddressForm &form) const {
    const auto &address = mail.sender.empty() ? settings_.null_sender : mail.sender;
    return to_string(parse_address(address), {form.quote, false, false});
  }

  Values message_values(const Delivery &mail) const {
    Values v;
    const auto client = client_of(mail);
    at(v, Macro::ClientAddress) = client.address;
    at(v, Macro::ClientHelo) = client.helo;
    at(v, Macro::ClientHostname) = client.name;
    if (client.port != 0) at(v, Macro::ClientPort) = std::to_string(client.port);
    at(v, Macro::ClientProtocol) = client.protocol;
    const auto nexthop = nexthop_of(mail);
    at(v, Macro::Nexthop) = settings_.address_form.fold_domain ? ascii::lower(nexthop) : nexthop;
    at(v, Macro::QueueId) = mail.queue_id;
    at(v, Macro::SaslMethod) = mail.sasl.method;
    at(v, Macro::SaslSender) = mail.sasl.sender;
    at(v, Macro::SaslUsername) = mail.sasl.username;
    at(v, Macro::Sender) = sender(mail, settings_.address_form);
    at(v, Macro::Size) = std::to_string(mail.length);
    return v;
  }

  Values recipient_values(const Values &message, const Recipient &recipient) const {
    const auto &form = settings_.address_form;
    const auto address = parse_address(recipient.address);
    const auto split = split_local(address.local, settings_.recipient_delimiter);
    const auto folded = [&](bool fold, std::string_view text) { return fold ? ascii::lower(text) : std::string{text}; };
    Values v = message;
    at(v, Macro::Domain) = folded(form.fold_domain, address.domain);
    at(v, Macro::Extension) = folded(form.fold_local, split.extension);
    at(v, Macro::Mailbox) = folded(form.fold_local, address.local);
    at(v, Macro::OriginalRecipient) = to_string(parse_address(original_of(recipient)), form);
    at(v, Macro::Recipient) = to_string(address, form);
    at(v, Macro::User) = folded(form.fold_local, split.user);
    return v;
  }

  // What flags put before the message: the lines of mbox and of final delivery, in the order of pipe(8).
  std::string head(const Delivery &mail) const {
    const auto &headers = settings_.headers;
    const auto &eol = settings_.content_form.eol;
    const auto from = header_safe(mail.sender.empty() ? settings_.null_sender : mail.sender);
    std::string out;
    if (headers.from) {
      const std::time_t now = std::time(nullptr);
      std::tm local{};
      ::localtime_r(&now, &local);
      char date[64];
      std::strftime(date, sizeof date, "%a %b %e %H:%M:%S %Y", &local);
      out += "From " + (from.empty() ? std::string{"MAILER-DAEMON"} : from) + "  " + date + eol;
    }
    if (headers.return_path) out += "Return-Path: <" + from + '>' + eol;
    if (headers.original_to) out += "X-Original-To: " + header_safe(original_of(mail.recipients.front())) + eol;
    if (headers.delivered_to) out += "Delivered-To: " + header_safe(mail.recipients.front().address) + eol;
    return out;
  }

  void launch(std::unique_ptr<Job> job, const Delivery &mail, std::vector<std::string> argv) {
    const auto op = job->token.op();
    std::string why;
    auto process =
        pipe::start({std::move(argv), settings_.environment, settings_.root, settings_.directory, account_}, why);
    if (!process) {
      host_.warn(why, op);
      return job->token.complete(shown(plugin::defer({4, 3, 5}, std::move(why))));
    }
    job->began = host_.now();
    Content content{settings_.content_form, head(mail),
                    [this, op](auto offset, auto *to, auto n) { return host_.read(op, offset, to, n); }, mail.length};
    job->run = std::make_unique<Run>(host_, std::move(*process), std::move(content), settings_.time_limit,
                                     [this, op](Ended ended) { over(op, ended); });
    jobs_.emplace(op.id, std::move(job));
  }

  void over(mansio_op op, const Ended &ended) {
    const auto node = jobs_.extract(op.id);  // the Run that calls goes with it
    auto &job = *node.mapped();
    if (!job.wanted) return;
    switch (ended.how) {
      case Ended::How::ByItself:
        return answer(job, reply_for(ended.wait_status, ended.output));
      case Ended::How::Unreadable:
        return answer(job, plugin::defer({4, 3, 0}, "the message could not be read"));
      case Ended::How::TimeLimit:
      case Ended::How::Stopped:
        break;
    }
    host_.warn("the command was killed at its time limit", op);
    answer(job, plugin::uncertain({4, 3, 0}, "the command was killed at its time limit"));
  }

  void answer(Job &job, Reply reply) const {
    const bool sent = reply.status() == MANSIO_OK;
    auto whole = shown(std::move(reply)).times(0, host_.now() - job.began);
    if (sent) whole.remote_mta(job.relayed_to);
    for (const auto index : job.recipients) job.token.rcpt(index, whole);
    job.token.complete(whole);
  }

  Host host_;
  Settings settings_;
  std::optional<Account> account_;
  std::map<std::uint64_t, std::unique_ptr<Job>> jobs_;  // by operation
};

}  // namespace
}  // namespace mansio::pipe

MANSIO_TRANSPORT_PLUGIN(mansio::pipe::TransportPipe)
