// RCPT and header fields where tables have a say: the session waits for them, and reads nothing meanwhile.
#include <utility>

#include "kernel/ingress/session.hpp"
#include "kernel/ingress/table_policy.hpp"

namespace mansio::ingress {

Task<void> Session::rcpt_by_tables(const Command &command) {
  if (!permitted(command)) co_return;
  const auto recipient = read_rcpt(command);
  if (!recipient) co_return;
  const auto &e = transaction_->envelope;
  const TableQuestion question{service_, client_, helo_, e.sender, recipient->original, e.recipients.empty()};
  auto verdict = co_await env_.tables->recipient(question, screening_);
  if (!transaction_) co_return;  // the server is being taken down
  if (verdict.refusal) {
    refuse_recipient(*verdict.refusal, recipient->original);
    if (verdict.hang_up) open_ = false;
    co_return;
  }
  auto &t = *transaction_;
  t.envelope.sender = std::move(verdict.sender);
  t.effects.add(std::move(verdict.effects));
  add_recipients(t.envelope, *recipient, std::move(verdict.targets), std::move(verdict.copies));
  accept(Reply{250, {2, 1, 5}, "Ok"});
}

void Session::hold_header() {
  if (client_.may_relay() && env_.tables->rewrites_headers() && !smtpd_.overrides("no_address_mappings"))
    transaction_->header = std::make_unique<HeldHeader>();
}

Task<void> Session::store_header(std::string_view canonical) {
  auto &header = *transaction_->header;
  header.feed(canonical);
  // One that is too large is refused once it is stored.
  if (header.complete() || header.size() > smtpd_.header_size_limit) co_await rewrite_header();
}

Task<void> Session::rewrite_header() {
  const auto held = std::exchange(transaction_->header, nullptr);
  auto section = held->section();
  if (section.size() <= smtpd_.header_size_limit) {
    auto rewritten = co_await env_.tables->header(std::move(section));
    if (!transaction_) co_return;  // the server is being taken down
    if (!rewritten) {
      env_.log.warn("table asked in vain", {{"client", client_.address}, {"reason", rewritten.error().text}});
      transaction_->refusal = Reply{451, {4, 3, 0}, "Temporary lookup failure"};
      transaction_->draft.reset();
      co_return;
    }
    section = std::move(*rewritten);
  }
  section += held->rest();
  co_await store(section);
}

}  // namespace mansio::ingress
