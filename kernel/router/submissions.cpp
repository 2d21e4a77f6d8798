#include "kernel/router/submissions.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <string_view>
#include <utility>

#include "kernel/config/plan.hpp"
#include "kernel/host/large.hpp"
#include "kernel/mail/duplicates.hpp"
#include "kernel/mail/line_ends.hpp"
#include "kernel/mail/new_mail.hpp"
#include "kernel/mail/trace.hpp"
#include "kernel/mail/utf8.hpp"
#include "kernel/router/submission.hpp"

namespace mansio::router {
namespace {

constexpr std::uint64_t kSubmittedOctetsAtOnce = 64u << 20;  // or one message, however large
constexpr std::size_t kSubmittedPiece = 256 * 1024;
constexpr std::uint64_t kSubmittedTurn = 1024 * 1024;  // octets, after which others have theirs
constexpr std::size_t kLongestSaid = 1000;             // of a reason

Result<std::string> read_piece(const io::UniqueFd &fd, std::uint64_t at, std::uint64_t n) {
  std::string piece(n, '\0');
  ::ssize_t got = 0;
  do {
    got = ::pread(fd.get(), piece.data(), piece.size(), static_cast<off_t>(at));
  } while (got < 0 && errno == EINTR);
  if (got <= 0) return Error{Status::Defer, "the content cannot be read", {4, 3, 0}};
  piece.resize(static_cast<std::size_t>(got));
  return piece;
}

}  // namespace

void Submissions::attach(std::string process, std::shared_ptr<io::Channel> channel) {
  if (closed_) return channel->close();
  channels_.insert(channel);
  const std::weak_ptr weak{channel};
  channel->start([this, process = std::move(process), weak](io::Message &m) { receive(process, weak, m); },
                 [this, which = channel.get()](std::string_view) {
                   std::erase_if(channels_, [&](const auto &c) { return c.get() == which; });
                 });
}

void Submissions::close() {
  closed_ = true;
  for (const auto &channel : channels_) channel->flush_now();
  for (const auto &channel : std::exchange(channels_, {})) channel->close();
}

void Submissions::receive(const std::string &process, const std::weak_ptr<io::Channel> &from, io::Message &m) {
  if (m.type == wire::PermitsAsk::kType) {
    auto ask = decode<wire::PermitsAsk>(m.payload);
    if (!ask) return;
    const auto number = ask->number;
    return take_permits(std::move(*ask), [from, number](wire::PermitsGiven given) {
      given.number = number;
      if (const auto to = from.lock()) to->send(given);  // else they are lost, which earns nobody anything
    });
  }
  if (m.type == wire::Large::kType)
    if (const auto large = decode<wire::Large>(m.payload); !large || large->size > host::kLargestSubmitCall)
      return ground_.log.warn("a submission breaks the rules", {{"role", process}});
  const auto got = host::received(m);
  auto call = got && got->type == wire::SubmitCall::kType ? decode<wire::SubmitCall>(got->payload()) : std::nullopt;
  if (!call) return ground_.log.warn("unknown message from a plugin's process", {{"role", process}, {"type", m.type}});
  const auto answer = [this, from, process, number = call->number](wire::SubmitResult &&result) {
    result.number = number;
    const auto to = from.lock();
    if (to && to->send(result)) return;
    if (result.id)
      ground_.log.warn("a plugin does not hear that its message was taken", {{"role", process}, {"qid", result.id}});
  };
  if (m.fds.empty() || !m.fds.front()) return answer(host::not_submitted("the content's descriptor was lost"));
  struct stat seen {};
  // It may be written by a process that must not be believed, also of how long it is.
  if (::fstat(m.fds.front().get(), &seen) != 0 || !S_ISREG(seen.st_mode) ||
      static_cast<std::uint64_t>(seen.st_size) != call->length)
    return answer(host::not_submitted("the content is not what it is said to be"));
  submit(std::move(*call), std::move(m.fds.front()), answer);
}

void Submissions::submit(wire::SubmitCall call, io::UniqueFd content, Done done) {
  if (closed_) return done(host::not_submitted("the router process ends"));
  if (auto why = ground_.unwelcome(); !why.empty()) return done(host::not_submitted(std::move(why)));
  if (under_way_ >= config::kSubmissionsAtOnce ||
      (under_way_ > 0 && (call.length > kSubmittedOctetsAtOnce || octets_ > kSubmittedOctetsAtOnce - call.length)))
    return done(host::not_submitted("too much mail is being submitted"));
  ++under_way_;
  octets_ += call.length;
  ground_.in_hand(1);
  asio::co_spawn(ground_.loop,
                 take(std::move(call), std::make_shared<io::UniqueFd>(std::move(content)), std::move(done)),
                 asio::detached);
}

void Submissions::take_permits(wire::PermitsAsk ask, Given done) {
  if (closed_) return done(host::no_permits_now());
  ground_.take_permits(std::move(ask), std::move(done));
}

Task<> Submissions::take(wire::SubmitCall call, std::shared_ptr<io::UniqueFd> content, Done done) {
  const auto id = co_await commit(call, *content);
  content.reset();
  --under_way_;
  octets_ -= call.length;
  wire::SubmitResult result;
  if (id) {
    ++taken_;
    result.status = Status::Ok;
    result.id = *id;
  } else {
    ++refused_;
    result.status = id.error().status == Status::Fail ? Status::Fail : Status::Defer;
    result.text = printable(id.error().text, true).substr(0, kLongestSaid);
    ground_.log.warn(result.status == Status::Fail ? "submission refused" : "submission not taken now",
                     {{"plugin", printable(call.plugin, true)}, {"from", call.sender}, {"reason", result.text}});
  }
  done(std::move(result));
  ground_.in_hand(-1);  // may end the role
}

Task<Result<MessageId>> Submissions::commit(const wire::SubmitCall &call, const io::UniqueFd &content) {
  auto made = submission_envelope(call, ground_.settings, ground_.clock.wall());
  if (!made) co_return made.error();
  auto &envelope = *made;
  auto &writer = ground_.writer();
  auto draft = writer.begin();
  ContentScanner scanner;
  LineEnds lines;
  for (std::uint64_t at = 0; at < call.length;) {
    const auto piece = read_piece(content, at, std::min<std::uint64_t>(kSubmittedPiece, call.length - at));
    if (!piece) co_return piece.error();
    at += piece->size();
    const auto text = lines.feed(*piece);
    scanner.feed(text);
    const auto stored = co_await draft->append(text);
    if (!stored) co_return stored.error();
    if (at % kSubmittedTurn == 0) co_await asio::post(ground_.loop, asio::use_awaitable);
  }
  const auto last = lines.finish();
  scanner.feed(last);
  scanner.finish();
  if (!last.empty()) {
    const auto stored = co_await draft->append(last);
    if (!stored) co_return stored.error();
  }
  if (const auto fine = judge_submission(scanner, lines.longest_line(), ground_.settings); !fine)
    co_return fine.error();
  const auto routed = co_await route(envelope);
  if (!routed) co_return routed.error();
  const auto id = co_await writer.reserve_id();
  if (!id) co_return id.error();
  auto trace = put_before(scanner, received_header(envelope, ground_.settings.myhostname, *id), envelope);
  envelope.config_epoch = ground_.config_epoch;
  if (envelope.body.eight_bit) envelope.body_type = BodyType::EightBitMime;
  const auto committed = co_await ground_.commit(*id, std::move(trace), std::move(draft), envelope);
  if (!committed) co_return committed.error();
  ground_.log.info("submitted", {{"qid", *id},
                                 {"plugin", printable(call.plugin, true)},
                                 {"from", envelope.sender},
                                 {"size", scanner.size()},
                                 {"nrcpt", envelope.recipients.size()}});
  co_return *id;
}

Task<Result<void>> Submissions::route(Envelope &envelope) {
  auto asked = std::exchange(envelope.recipients, {});
  for (auto &recipient : asked) {
    auto ways = co_await ground_.find_all(envelope.sender, recipient.address);
    if (!ways) {
      auto error = ways.error();
      error.text = recipient.address + ": " + error.text;
      // Where there may be a way later the whole message may be submitted again.
      if (error.status == Status::Fail && error.enhanced.cls == 4) error.status = Status::Defer;
      co_return error;
    }
    for (auto &way : *ways) {
      Recipient to;
      to.original = recipient.address;
      to.address = std::move(way.address);
      if (!is_ascii(to.address)) envelope.smtputf8 = true;  // an alias may lead where only SMTPUTF8 does
      add_recipient(envelope, std::move(to), std::move(way.route));
    }
  }
  merge_duplicates(envelope.recipients);
  co_return Result<void>{};
}

}  // namespace mansio::router
