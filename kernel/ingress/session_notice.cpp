// Notices to the postmaster about a session, by `notify_classes`: the transcript as a message of our own, written
// once the session is over. From the double bounce sender, so that a notice that cannot be delivered ends there.
#include <fmt/format.h>

#include <algorithm>

#include "kernel/ingress/deposit.hpp"
#include "kernel/ingress/session.hpp"
#include "kernel/ingress/table_policy.hpp"
#include "kernel/mail/address.hpp"
#include "kernel/mail/trace.hpp"
#include "kernel/mail/utf8.hpp"

namespace mansio::ingress {
namespace {

// A full disk or a broken file troubles every session alike: one notice in so long a time tells of it.
constexpr Nanos kOwnTroubleInterval = 60 * kSecond;
constexpr auto kOwnTrouble = config::kNotifyData | config::kNotifyResource | config::kNotifySoftware;

std::string_view sentence(bool timed_out, bool slow) {
  if (slow) return "Session aborted, reason: data rate too low\r\n";
  if (timed_out) return "Session aborted, reason: timeout\r\n";
  return {};
}

}  // namespace

bool Session::worth_a_notice() {
  const auto wanted = troubles_ & notify_;
  if (wanted == 0) return false;
  if ((wanted & ~kOwnTrouble) == 0) {
    const auto now = env_.clock.mono();
    if (service_.notice_at != 0 && now < service_.notice_at + kOwnTroubleInterval) {
      ++service_.notices_left_out;
      return false;
    }
    service_.notice_at = std::max<Nanos>(now, 1);  // 0: never
  }
  return true;
}

std::string Session::notice_text(const std::string &to) const {
  const auto now = env_.clock.wall();
  const auto host = env_.settings.myhostname;
  std::string out = fmt::format(
      "Date: {}\r\nFrom: MAILER-DAEMON@{} (Mail Delivery System)\r\nTo: <{}>\r\n"
      "Subject: Mansio SMTP server: errors from {}[{}]\r\nMessage-ID: <{}.{}.notice@{}>\r\n"
      "Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n"
      "Transcript of session follows.\r\n\r\n",
      rfc5322_date(now), host, printable(to, false), printable(client_.name, false), client_.address, now, client_.port,
      host);
  out += transcript_.text();
  out += "\r\n";
  out += sentence(stop_ == Stop::Timeout || stop_ == Stop::TransactionTimeout, stop_ == Stop::TooSlow);
  if (service_.notices_left_out != 0)
    out += fmt::format("Notices left out since the last one of this kind: {}\r\n", service_.notices_left_out);
  out += fmt::format("For other details, see the log (client {}, listener {}).\r\n", client_.address, service_.name);
  return out;
}

Task<void> Session::notify_postmaster() {
  const auto failed = [&](std::string_view why) {
    env_.log.warn("notice to the postmaster not written", {{"client", client_.address}, {"reason", why}});
  };
  const auto sender = env_.settings.double_bounce_address();
  TableVerdict verdict;
  if (env_.tables != nullptr) {
    verdict = co_await env_.tables->postmaster(service_, sender);
  } else {
    Client us;
    us.trusted = true;
    auto plain = env_.policy.recipient(config::Smtpd{}, us, sender, "postmaster");
    verdict.refusal = std::move(plain.refusal);
    verdict.targets.push_back({std::move(plain.address), std::move(plain.route)});
  }
  if (verdict.refusal) {
    failed(to_string(*verdict.refusal));
    co_return;
  }
  const auto text = notice_text(verdict.targets.front().address);
  if ((troubles_ & notify_ & ~kOwnTrouble) == 0) service_.notices_left_out = 0;

  auto &t = transaction_.emplace();  // which is where a draft may be when the spool goes away
  auto &e = t.envelope;
  e.sender = sender;
  Recipient to;
  to.notify = kNotifyNever;
  add_recipients(e, to, std::move(verdict.targets), {});
  e.config_epoch = env_.config_epoch;
  e.arrival = env_.clock.wall();
  e.protocol = "internal";
  t.draft = env_.writer.begin();
  const auto stored = co_await t.draft->append(text);
  if (!stored) {
    failed(stored.error().text);
    co_return;
  }
  const auto id = co_await env_.writer.reserve_id();
  if (!id) {
    failed(id.error().text);
    co_return;
  }
  auto trace = received_header(e, env_.settings.myhostname, *id);
  t.scanner.feed(text);
  t.scanner.finish();
  e.body = t.scanner.info();
  e.body.size += trace.size();
  e.body.hops = 0;
  std::vector<spool::NewMessage> notice(1);
  notice.front() = {*id, std::move(trace), std::move(t.draft), &e};
  const auto committed = co_await commit_everywhere(env_, std::move(notice), smtpd_.durability);
  if (!committed) {
    failed(committed.error().text);
    co_return;
  }
  env_.log.info("notice to the postmaster",
                {{"qid", *id}, {"client", client_.address}, {"to", e.recipients[0].address}});
}

}  // namespace mansio::ingress
