#include "plugins/transport-smtp/client/transaction.hpp"

#include <algorithm>

#include "plugins/transport-smtp/client/content.hpp"
#include "plugins/transport-smtp/client/mime.hpp"
#include "plugins/transport-smtp/client/xforward.hpp"

namespace mansio::smtp {
namespace {

constexpr std::size_t kInlineLimit = 64u << 10;  // content up to here is read and written in one piece
constexpr std::size_t kBatchLimit = 16u << 10;   // content up to here goes with the envelope; also bounds a batch
constexpr std::size_t kBlock = 64u << 10;        // of streamed content

const char *name_of(int kind) {
  static constexpr const char *kNames[] = {"RSET", "XFORWARD", "MAIL FROM", "RCPT TO", "DATA", "BDAT"};
  return kNames[kind];
}

}  // namespace

std::int64_t Transaction::timeout_of(Step::Kind kind) const {
  const auto &o = context_.options;
  switch (kind) {
    case Step::Rset:
      return o.rset_timeout;
    case Step::Forward:
      return o.xforward_timeout;
    case Step::Mail:
      return o.mail_timeout;
    case Step::Rcpt:
      return o.rcpt_timeout;
    case Step::Data:
      return o.data_init_timeout;
    case Step::Bdat:
      break;
  }
  return o.data_done_timeout;
}

plugin::Reply Transaction::about(plugin::Reply reply) const {
  const auto now = context_.host.now();
  reply.remote_mta(connection_.target.host)
      .relay(connection_.relay)
      .tls(connection_.tls)
      .times(reused_ ? 0 : connection_.connect_ns, now - started_)
      .connection_use(connection_.uses);
  return reply;
}

void Transaction::settle_all(const plugin::Reply &reply) {
  for (const auto i : todo_) ledger_.settle(i, about(reply));
}

void Transaction::refuse(std::uint32_t recipient, const Reply &reply, const char *command) {
  auto failure = about(remote_failure(connection_, reply, command));
  if (failure.status() == MANSIO_FAIL) {
    ledger_.settle(recipient, failure);
  } else {
    ledger_.soften(recipient, failure);
  }
  std::erase(todo_, recipient);
}

void Transaction::refuse_all(const Reply &reply, const char *command) {
  const auto all = todo_;
  for (const auto i : all) refuse(i, reply, command);
  accepted_.clear();
}

// ---- before anything is sent ---------------------------------------------------------------------------------------

bool Transaction::load_content() {
  const auto &caps = connection_.caps;
  const bool convert = delivery_.has(MANSIO_MSG_EIGHT_BIT) && !caps.eight_bit_mime;
  length_ = delivery_.length;
  eight_bit_ = (delivery_.has(MANSIO_MSG_EIGHT_BIT) && !convert) || delivery_.has(MANSIO_MSG_BODY_8BITMIME);
  stuff_ = delivery_.has(MANSIO_MSG_LEADING_DOTS);
  const auto &host = context_.host;
  const auto unreadable = [&] {
    settle_all(plugin::defer({4, 3, 0}, "the message cannot be read"));
    return false;
  };

  if (convert && length_ > context_.options.conversion_size_limit) {
    settle_all(plugin::bounce({5, 6, 3}, "the server does not offer 8BITMIME and the message is too large to convert"));
    return false;
  }
  in_memory_ = convert || length_ <= kInlineLimit;
  if (!in_memory_) {
    char end[2];
    if (host.read(op_, length_ - 2, end, 2) != 2) return unreadable();
    missing_end_ = end[0] != '\r' || end[1] != '\n';
    if (missing_end_) length_ += 2;
    return true;
  }
  bytes_.resize(length_);
  for (std::size_t at = 0; at < bytes_.size();) {
    const auto got = host.read(op_, at, bytes_.data() + at, bytes_.size() - at);
    if (got <= 0) return unreadable();
    at += static_cast<std::size_t>(got);
  }
  if (!is_canonical(bytes_)) {
    std::string mended;
    ContentFilter filter{false};
    filter.add(bytes_, mended);
    filter.finish(mended);
    bytes_ = std::move(mended);
    stuff_ = true;  // a mended line may begin with a dot
  }
  if (convert) {
    auto converted = convert_to_seven_bit(bytes_);
    if (!converted.ok) {
      settle_all(plugin::bounce(
          {5, 6, 3}, "the server does not offer 8BITMIME and the message cannot be converted: " + converted.why));
      return false;
    }
    bytes_ = std::move(converted.message);
    eight_bit_ = false;
    stuff_ = true;
  }
  length_ = bytes_.size();
  return true;
}

bool Transaction::plan() {
  const auto &caps = connection_.caps;
  envelope_ = plan_envelope(delivery_, caps, length_, eight_bit_);
  if (envelope_.impossible) {
    settle_all(plugin::bounce({5, 6, 7}, "the message needs SMTPUTF8, which the server does not offer"));
    return false;
  }
  if (envelope_.bad_sender) {
    settle_all(plugin::bounce({5, 1, 7}, "the sender address cannot be sent"));
    return false;
  }
  if (caps.size_limit && length_ > caps.size_limit) {
    settle_all(plugin::bounce({5, 3, 4}, "message size " + std::to_string(length_) + " exceeds the server's limit of " +
                                             std::to_string(caps.size_limit)));
    return false;
  }
  if (context_.options.send_xforward) xforward_ = xforward_commands(delivery_, caps.xforward);
  rcpts_.clear();
  rcpt_range_.resize(delivery_.recipients.size());
  const auto all = todo_;
  for (const auto i : all) {
    const auto &recipient = delivery_.recipients[i];
    rcpt_range_[i].first = rcpts_.size();
    if (append_rcpt(rcpts_, recipient, caps, envelope_.smtputf8)) {
      rcpt_range_[i].second = rcpts_.size() - rcpt_range_[i].first;
      continue;
    }
    const bool utf8 = !envelope_.smtputf8 && wire_address(recipient.address, true);
    ledger_.settle(i,
                   about(utf8 ? plugin::bounce({5, 6, 7}, "the address needs SMTPUTF8, which the server does not offer")
                              : plugin::bounce({5, 1, 3}, "the address cannot be sent")));
    std::erase(todo_, i);
  }
  return !todo_.empty();
}

// ---- the conversation ----------------------------------------------------------------------------------------------

Task<Transaction::End> Transaction::run(std::vector<std::uint32_t> recipients) {
  todo_ = std::move(recipients);
  reused_ = connection_.uses++ > 0;
  started_ = context_.host.now();
  if (!load_content() || !plan()) co_return End::Done;
  for (;;) {
    const auto end = co_await round();
    if (end != End::Done || next_round_.empty()) co_return end;
    todo_ = std::exchange(next_round_, {});
    if (!connection_.usable) co_return End::Lost;
  }
}

Task<Transaction::End> Transaction::round() {
  const bool chunking = connection_.caps.chunking && context_.options.use_chunking;
  steps_.clear();
  if (connection_.needs_rset) steps_.push_back({Step::Rset});
  for (std::uint32_t i = 0; i < xforward_.size(); ++i) steps_.push_back({Step::Forward, i});
  steps_.push_back({Step::Mail});
  for (const auto i : todo_) steps_.push_back({Step::Rcpt, i});
  steps_.push_back({chunking ? Step::Bdat : Step::Data});
  connection_.needs_rset = false;
  sent_ = replied_ = 0;
  mail_failed_ = mail_ok_ = content_sent_ = go_ahead_ = false;
  accepted_.clear();

  while (replied_ < steps_.size()) {
    if (mail_failed_ && sent_ == replied_) break;
    if (sent_ == replied_ && sent_ + 1 == steps_.size() && accepted_.empty()) break;  // nobody to send content to
    const auto io = co_await write_batch();
    if (!io && io.status != IoStatus::Error) co_return lost(io, "sending the envelope");
    if (read_error_) {
      connection_.usable = false;
      const auto left = todo_;
      for (const auto i : left) ledger_.settle(i, about(plugin::defer({4, 3, 0}, "the message cannot be read")));
      co_return End::Lost;
    }
    // After a write error the server may still have told why; its replies are read all the same.
    while (replied_ < sent_) {
      const auto step = steps_[replied_];
      const bool content_step = step.kind == Step::Bdat;
      if (content_step && accepted_.empty() && context_.personality.lmtp) {
        connection_.usable = false;  // how many replies come now is not defined
        co_return End::Done;
      }
      const auto answer = co_await connection_.read_reply(timeout_of(step.kind));
      if (!answer)
        co_return lost(answer.io, content_step ? "waiting for the reply to the content" : name_of(step.kind));
      ++replied_;
      if (content_step) co_return co_await final_replies(&answer.reply);
      if (on_reply(step, answer.reply) == Verdict::Stop) co_return reused_ && !any_reply_ ? End::Stale : End::Lost;
      any_reply_ = true;
      if (go_ahead_) co_return co_await finish_data();
    }
    if (!io) co_return lost(io, "sending the envelope");
  }
  if (mail_ok_) connection_.needs_rset = true;
  co_return End::Done;
}

// Sends as many of the next steps as one batch may hold.
Task<IoResult> Transaction::write_batch() {
  auto &out = connection_.out;
  out.clear();
  bool content = false;
  const bool pipelining = connection_.caps.pipelining;
  while (sent_ < steps_.size() && out.size() < kBatchLimit && (out.empty() || pipelining)) {
    const auto &step = steps_[sent_];
    if (step.kind == Step::Rset) out += "RSET\r\n";
    if (step.kind == Step::Forward) out += xforward_[step.recipient];
    if (step.kind == Step::Mail) out += envelope_.mail;
    if (step.kind == Step::Rcpt) {
      const auto &[at, n] = rcpt_range_[step.recipient];
      out.append(rcpts_, at, n);
    }
    if (step.kind == Step::Data) out += "DATA\r\n";
    if (step.kind == Step::Bdat) {
      if (!out.empty() && !(in_memory_ && bytes_.size() <= kBatchLimit)) break;
      out += "BDAT " + std::to_string(length_) + " LAST\r\n";
      content = true;
    }
    ++sent_;
  }
  if (!content) {
    const std::string_view piece = out;
    co_return co_await connection_.stream->write({&piece, 1}, timeout_of(Step::Mail));
  }
  const auto io = co_await write_content(out, {});
  content_sent_ = static_cast<bool>(io);
  co_return io;
}

// `before`, the content unchanged, `after`.
Task<IoResult> Transaction::write_content(std::string_view before, std::string_view after) {
  const auto timeout = context_.options.data_xfer_timeout;
  if (in_memory_) {
    const std::string_view pieces[] = {before, bytes_, after};
    co_return co_await connection_.stream->write(pieces, timeout);
  }
  auto io = IoResult{};
  if (!before.empty()) io = co_await connection_.stream->write({&before, 1}, timeout);
  auto left = delivery_.length;
  const auto slices = context_.host.slices(op_);
  for (const auto &slice : slices) {
    if (!io || !left) break;
    const auto n = std::min(left, slice.length);
    io = co_await connection_.stream->send_file(slice.fd, slice.offset, n, timeout);
    left -= n;
  }
  if (io && left) {
    read_error_ = true;
    co_return IoResult{IoStatus::Error, 0, EIO};
  }
  if (io && missing_end_) {
    const std::string_view end = "\r\n";
    io = co_await connection_.stream->write({&end, 1}, timeout);
  }
  if (io && !after.empty()) io = co_await connection_.stream->write({&after, 1}, timeout);
  co_return io;
}

// The final dot and its CRLF in a packet of their own, after all before them has long arrived.
Task<IoResult> Transaction::write_late_dot() {
  const auto &options = context_.options;
  // It wakes up early, and without a sign, when the delivery is cancelled; the write sees that then.
  (void)co_await plugin::Sleep{context_.host, options.pix_workaround_delay_time, &cancel_};
  const std::string_view dot = ".\r\n";
  co_return co_await connection_.stream->write({&dot, 1}, options.data_xfer_timeout);
}

// DATA content with its dots doubled, and `end`.
Task<IoResult> Transaction::write_stuffed(std::string_view end) {
  const auto timeout = context_.options.data_xfer_timeout;
  ContentFilter filter{true};
  auto &out = connection_.out;
  out.clear();
  if (in_memory_) {
    filter.add(bytes_, out);
  } else {
    std::string block(kBlock, '\0');
    for (std::uint64_t at = 0; at < delivery_.length;) {
      const auto got = context_.host.read(op_, at, block.data(), block.size());
      if (got <= 0) {
        read_error_ = true;
        co_return IoResult{IoStatus::Error, 0, EIO};
      }
      at += static_cast<std::uint64_t>(got);
      filter.add({block.data(), static_cast<std::size_t>(got)}, out);
      if (out.size() < kBlock) continue;
      const std::string_view piece = out;
      const auto io = co_await connection_.stream->write({&piece, 1}, timeout);
      if (!io) co_return io;
      out.clear();
    }
  }
  filter.finish(out);
  out += end;
  const std::string_view piece = out;
  co_return co_await connection_.stream->write({&piece, 1}, timeout);
}

Transaction::Verdict Transaction::on_reply(const Step &step, const Reply &reply) {
  if (reply.code == 421 && (!reused_ || any_reply_)) {
    refuse_all(reply, name_of(step.kind));
    next_round_.clear();  // they keep their place in the ledger
    return Verdict::Stop;
  }
  if (reply.code == 421) return Verdict::Stop;
  switch (step.kind) {
    case Step::Rset:
      if (reply.positive()) break;
      connection_.usable = false;
      if (!reused_ || any_reply_) refuse_all(reply, "RSET");
      return Verdict::Stop;
    case Step::Forward:  // a server that offers it and does not want it gets the mail all the same
      if (!reply.positive())
        context_.host.warn(connection_.relay + " refuses XFORWARD: " + std::to_string(reply.code) + ' ' + reply.text,
                           op_);
      break;
    case Step::Mail:
      answered_ = true;
      mail_ok_ = reply.positive();
      mail_failed_ = !mail_ok_;
      if (mail_failed_) refuse_all(reply, name_of(step.kind));
      break;
    case Step::Rcpt:
      if (!mail_failed_) on_rcpt(step.recipient, reply);
      break;
    case Step::Data:
      if (reply.code == 354) {
        go_ahead_ = true;
      } else {
        // The transaction is still open there, whatever the reason.
        connection_.needs_rset = true;
        refuse_all(reply, name_of(step.kind));
      }
      break;
    case Step::Bdat:
      break;
  }
  return Verdict::GoOn;
}

void Transaction::on_rcpt(std::uint32_t recipient, const Reply &reply) {
  if (reply.positive()) {
    accepted_.push_back(recipient);
    return;
  }
  // "Too many recipients" (RFC 5321 section 4.5.3.1.10); 552 is its old form. They get a transaction of their own; as
  // each must accept somebody before it may put anybody off, this ends.
  const bool too_many =
      reply.code == 452 ||
      (reply.code == 552 && (reply.enhanced.cls == 0 || (reply.enhanced.subject == 5 && reply.enhanced.detail == 3)));
  if (too_many && !accepted_.empty()) {
    next_round_.push_back(recipient);
    std::erase(todo_, recipient);
    return;
  }
  refuse(recipient, reply, name_of(Step::Rcpt));
}

// After 354.
Task<Transaction::End> Transaction::finish_data() {
  if (accepted_.empty()) {
    // RFC 2920 section 3.1: an empty message to nobody, and the reply to it means nothing.
    const std::string_view nothing = ".\r\n";
    const auto io = co_await connection_.stream->write({&nothing, 1}, context_.options.data_xfer_timeout);
    if (!io || context_.personality.lmtp) {
      connection_.usable = false;
      co_return End::Done;
    }
    co_await connection_.read_reply(context_.options.data_done_timeout);
    connection_.needs_rset = true;
    co_return End::Done;
  }
  const bool pause = connection_.worked_around && context_.options.pix_delay_dotcrlf;
  const std::string_view dot = ".\r\n";
  IoResult io;  // (no ?: here: gcc 12 awaits both sides of one)
  if (stuff_) {
    io = co_await write_stuffed(pause ? std::string_view{} : dot);
  } else {
    io = co_await write_content({}, pause ? std::string_view{} : dot);
  }
  if (io && pause) io = co_await write_late_dot();
  if (read_error_) {
    connection_.usable = false;
    const auto left = todo_;
    for (const auto i : left) ledger_.settle(i, about(plugin::defer({4, 3, 0}, "the message cannot be read")));
    co_return End::Lost;
  }
  content_sent_ = static_cast<bool>(io);
  if (!io && io.status != IoStatus::Error) co_return lost(io, "sending the content");
  co_return co_await final_replies(nullptr);
}

// One reply, or with LMTP one for each recipient taken. `first` was read already.
Task<Transaction::End> Transaction::final_replies(const Reply *first) {
  const auto takers = accepted_;
  bool failed = false;
  Reply reply;
  if (first) reply = *first;
  for (std::size_t i = 0; i < std::max<std::size_t>(takers.size(), 1); ++i) {
    if (i > 0 ? context_.personality.lmtp : !first) {
      auto answer = co_await connection_.read_reply(context_.options.data_done_timeout);
      if (!answer) co_return lost(answer.io, "waiting for the reply to the content");
      reply = std::move(answer.reply);
    }
    any_reply_ = true;
    if (takers.empty()) {
      connection_.needs_rset = mail_ok_;
      co_return End::Done;
    }
    if (!content_sent_ && reply.code < 400) co_return lost({IoStatus::Error, 0, EPIPE}, "sending the content");
    if (reply.positive()) {
      auto done = about(plugin::sent(reply.text, reply.status()).code(reply.code));
      if (connection_.caps.dsn) done.flag(MANSIO_REPLY_DSN_RELAYED);
      ledger_.settle(takers[i], done);
      std::erase(todo_, takers[i]);
    } else {
      failed = true;
      refuse(takers[i], reply, "end of content");
    }
  }
  if (failed && steps_.back().kind == Step::Bdat) connection_.needs_rset = true;  // RFC 3030 section 4.2
  if (!content_sent_) connection_.usable = false;
  co_return End::Done;
}

Transaction::End Transaction::lost(const IoResult &io, const char *doing) {
  connection_.usable = false;
  if (reused_ && !any_reply_ && !content_sent_ &&
      (io.status == IoStatus::Eof || (io.status == IoStatus::Error && io.error != 0)))
    return End::Stale;
  auto failure = about(io_failure(connection_, io, doing));
  // 4.4.2 either way; after the last byte the message may have been delivered.
  if (content_sent_) {
    failure = about(plugin::uncertain({4, 4, 2}, failure.text() + ": the message may have been delivered"));
    for (const auto i : todo_) ledger_.settle(i, failure);
  } else {
    for (const auto i : todo_) ledger_.soften(i, failure);
  }
  for (const auto i : next_round_) ledger_.soften(i, failure);
  todo_.clear();
  return End::Lost;
}

}  // namespace mansio::smtp
