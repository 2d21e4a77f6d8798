// What filters and policies have to say of a session: they see commands that we would take and content that we would
// store, and their word comes before the client's answer. Edits of the envelope are applied here, those of the content
// in FilteredMessage.
#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "kernel/host/stage_rules.hpp"
#include "kernel/ingress/deposit.hpp"
#include "kernel/ingress/filtered_message.hpp"
#include "kernel/ingress/recording.hpp"
#include "kernel/ingress/session.hpp"
#include "kernel/ingress/table_policy.hpp"
#include "kernel/ingress/versions.hpp"
#include "kernel/mail/new_mail.hpp"
#include "kernel/mail/utf8.hpp"
#include "mansio/draft/filter.h"

namespace mansio::ingress {
namespace {

// As the session gave them: "SIZE=1000".
void add_parameters(std::vector<std::string> &to, const Command &command) {
  for (std::size_t i = 0; i < command.parameter_count; ++i) {
    const auto &p = command.parameters[i];
    to.push_back(p.has_value ? fmt::format("{}={}", p.keyword, p.value) : std::string{p.keyword});
  }
}

bool ends_session(const Reply &reply) { return reply.code == 421 || reply.code == 521; }

// The recipient as the client gave it, of those that `command` added.
std::string given(const Command &command, const std::vector<Recipient> &recipients, std::size_t before) {
  if (before >= recipients.size()) return std::string{command.path};  // nobody gets it
  const auto &first = recipients[before];
  return first.original.empty() ? first.address : first.original;
}

Error refused_recipient(const std::string &address, const Reply &why) {
  return {Status::Fail, fmt::format("<{}>, to whom it sends, is refused: {}", address, to_string(why))};
}

}  // namespace

void Session::remember() {
  before_ = {helo_, esmtp_, 0, {}, false, {}};
  if (!transaction_) return;
  const auto &e = transaction_->envelope;
  before_.recipients = e.recipients.size();
  before_.sender = e.sender;
  before_.smtputf8 = e.smtputf8;
  before_.effects = transaction_->effects;
}

void Session::accept(std::string text) {
  if (filters_)
    accepted_ = std::move(text);
  else
    out_ += text;
}

void Session::accept(const Reply &reply) {
  if (!filters_) return append(out_, reply);
  std::string text;
  append(text, reply);
  accept(std::move(text));
}

wire::StageCall Session::stage_facts(std::uint32_t stage) const {
  wire::StageCall facts;
  facts.stage = stage;
  facts.macros.reserve(16);
  const auto fact = [&](const char *name, std::string value) {
    if (!value.empty()) facts.macros.emplace_back(name, std::move(value));
  };
  fact("client_address", client_.address);
  fact("client_name", client_.name);
  if (client_.port != 0) fact("client_port", std::to_string(client_.port));
  if (client_.trusted) fact("client_trusted", "true");
  fact("helo_name", helo_);
  fact("protocol", protocol());
  fact("listener", service_.name);
  fact("myhostname", env_.settings.myhostname);
  fact("tls_version", connection_.tls_version());
  fact("tls_cipher", connection_.tls_cipher());
  fact("auth_user", client_.sasl_username);
  fact("tenant", smtpd_.tenant);
  if (service_.stressed) fact("stress", "true");
  if (transaction_) {
    facts.id = transaction_->id;
    facts.macros.emplace_back("sender", transaction_->envelope.sender);
    // Without the one that is asked about.
    fact("recipient_count",
         std::to_string(stage == MANSIO_STAGE_RCPT ? before_.recipients : transaction_->envelope.recipients.size()));
  }
  return facts;
}

Task<std::optional<Reply>> Session::ask_filters(std::uint32_t stage, std::vector<std::string> arguments) {
  if (!filters_->hears(stage)) co_return std::nullopt;
  auto facts = stage_facts(stage);
  facts.arguments = std::move(arguments);
  auto why = co_await filters_->ask(std::move(facts));
  if (filters_->gone()) why = client_lost();
  if (why && ends_session(*why)) open_ = false;
  co_return why;
}

// Not a coroutine: no temporary goes into one that is awaited, which gcc 12 destroys twice.
Task<std::optional<Reply>> Session::ask_filters(std::uint32_t stage) {
  std::vector<std::string> none;
  return ask_filters(stage, std::move(none));
}

Task<bool> Session::may_connect() {
  filters_->session_begins();
  std::vector<std::string> arguments{client_.address, client_.name, std::to_string(client_.port)};
  auto why = co_await ask_filters(MANSIO_STAGE_CONNECT, std::move(arguments));
  if (!why) co_return true;
  log_reject("CONNECT", *why);
  hang_up(*why);
  co_return false;
}

// The command has passed every check of ours, and `accepted_` is the answer that waits. A refusal undoes it.
Task<void> Session::judge(const Command &command) {
  const auto answer = std::move(*accepted_);
  accepted_.reset();
  std::vector<std::string> arguments;
  std::uint32_t stage = MANSIO_STAGE_HELO;
  std::string recipient;
  if (command.verb == Verb::Mail) {
    stage = MANSIO_STAGE_MAIL;
    filters_->message_begins();
    arguments.push_back(transaction_->envelope.sender);
    add_parameters(arguments, command);
  } else if (command.verb == Verb::Rcpt) {
    stage = MANSIO_STAGE_RCPT;
    recipient = given(command, transaction_->envelope.recipients, before_.recipients);
    arguments.push_back(recipient);
    add_parameters(arguments, command);
  } else {
    arguments.push_back(helo_);
  }
  const auto why = co_await ask_filters(stage, std::move(arguments));
  if (!why) {
    out_ += answer;
    co_return;
  }
  log_reject(name(command.verb), *why, recipient);
  if (stage == MANSIO_STAGE_RCPT) {
    ++service_.counters.rejected_recipients;
    auto &e = transaction_->envelope;
    e.recipients.resize(before_.recipients);
    e.sender = std::move(before_.sender);
    e.smtputf8 = before_.smtputf8;
    transaction_->effects = std::move(before_.effects);
  } else {
    auto origin = std::move(origin_);
    reset();
    if (command.verb == Verb::Mail) origin_ = std::move(origin);  // it may try another sender
    helo_ = std::move(before_.helo);
    esmtp_ = before_.esmtp;
  }
  if (why->code >= 500)
    refuse(*why);
  else
    reply(*why);
}

// A copy that only a recording wants takes nothing from the memory that mail may need.
bool Session::room_to_record() {
  const auto most = env_.settings.spool_settings.body_memory / 2;
  if (env_.writer.memory() + transaction_->draft->size() <= most) return true;
  filters_->recording()->content_left_out(transaction_->scanner.size(), stage_facts(MANSIO_STAGE_HEADER));
  return false;
}

// Between the end of the content and the commit.
Task<std::optional<Reply>> Session::filter_content() {
  // The client's patience with the commands before the content is shorter than ours with filters.
  if (!out_.empty() && filters_->size() != 0) {
    const bool told = co_await flush();
    if (!told) co_return client_lost();
  }
  auto &t = *transaction_;
  const auto reserved = co_await env_.writer.reserve_id();
  if (!reserved) co_return commit_refusal(reserved.error());
  t.id = *reserved;
  bool wanted = false;
  if (filters_->discard().empty()) {
    if (auto why = co_await redirect()) co_return why;
    if (!transaction_) co_return std::nullopt;  // the server is being taken down
    for (std::size_t i = 0; i < filters_->size(); ++i) wanted = wanted || filters_->wants_content(i);
  }
  auto *const recording = filters_->recording();
  if (!wanted && (recording == nullptr || !room_to_record())) co_return std::nullopt;

  const auto limit = [](std::uint64_t value) { return value == 0 ? UINT64_MAX : value; };
  FilteredMessage message{env_.loop,
                          env_.writer,
                          std::move(t.draft),
                          t.scanner,
                          {limit(smtpd_.message_size_limit), limit(smtpd_.line_length_limit)}};
  const auto opened = co_await message.open();
  if (!transaction_) co_return std::nullopt;  // the server is being taken down
  if (recording != nullptr) {
    if (opened)
      recording->content(message, stage_facts(MANSIO_STAGE_HEADER));
    else
      recording->content_left_out(t.scanner.size(), stage_facts(MANSIO_STAGE_HEADER));
  }
  if (!opened && wanted) {
    env_.log.warn("content not shown to filters", {{"qid", t.id}, {"error", opened.error().text}});
    co_return commit_refusal(opened.error());
  }
  if (auto why = co_await show_content(message, 0)) co_return why;
  if (!transaction_) co_return std::nullopt;
  if (!t.envelope.recipients.empty() || t.versions.empty()) {
    ContentScanner scanner = t.scanner;
    auto draft = co_await message.finish(scanner);
    if (!draft) co_return commit_refusal(draft.error());
    if (!transaction_) co_return std::nullopt;
    t.draft = std::move(*draft);
    t.scanner = scanner;
  }
  for (std::size_t k = 0; k < t.versions.size(); ++k) {  // one may bring forth others
    if (auto why = co_await show_version(k)) co_return why;
    if (!transaction_) co_return std::nullopt;
  }
  if (wanted && connection_.gone()) co_return client_lost();
  co_return std::nullopt;
}

// Until one refuses; each sees what the ones before it made of the message. (Nobody is asked about one that nobody gets
// because all have versions.)
Task<std::optional<Reply>> Session::show_content(FilteredMessage &message, std::size_t first) {
  auto &t = *transaction_;
  auto *const recording = filters_->recording();
  for (std::size_t i = first; i < filters_->size(); ++i) {
    if (!filters_->wants_content(i) || !filters_->discard().empty()) continue;
    if (t.envelope.recipients.empty() && !t.versions.empty()) break;
    auto facts = stage_facts(MANSIO_STAGE_HEADER);
    facts.arguments = given_names(t.envelope.recipients);
    auto outcome = co_await filters_->content(i, message, std::move(facts));
    if (filters_->gone()) co_return client_lost();
    if (outcome.refusal && ends_session(*outcome.refusal)) open_ = false;
    if (outcome.refusal) co_return outcome.refusal;
    if (auto why = co_await redirect()) co_return why;
    if (!transaction_) co_return std::nullopt;
    auto versions = co_await apply(message, outcome.last.edits);
    if (!transaction_) co_return std::nullopt;
    if (!versions) {
      if (versions.error().status == Status::Busy) co_return commit_refusal(versions.error());
      if (auto why = filters_->failed(i, versions.error().text, t.id)) co_return why;
      continue;
    }
    filters_->heed(i, std::move(outcome.last));
    if (recording != nullptr) recording->content(message, stage_facts(MANSIO_STAGE_HEADER));
    for (auto &version : *versions) {
      const auto id = co_await env_.writer.reserve_id();
      if (!transaction_) co_return std::nullopt;
      if (!id) co_return commit_refusal(id.error());
      version.id = *id;
      version.next = i + 1;
      version.word = filters_->word();
      t.versions.push_back(std::move(version));
    }
  }
  co_return std::nullopt;
}

// To the filters that have not seen it yet; then it has a draft of its own, unless all of its recipients have others.
Task<std::optional<Reply>> Session::show_version(std::size_t k) {
  auto &t = *transaction_;
  const auto known = t.versions.size();
  const auto content = std::move(t.versions[k].content);
  turn_to(k);
  if (auto *const recording = filters_->recording()) recording->content(*content, stage_facts(MANSIO_STAGE_HEADER));
  const auto why = co_await show_content(*content, t.versions[k].next);
  if (!transaction_) co_return std::nullopt;
  turn_to(k);
  if (why) co_return why;
  if (t.versions[k].envelope.recipients.empty() && t.versions.size() > known) co_return std::nullopt;
  ContentScanner scanner;
  auto draft = co_await content->finish(scanner);
  if (!draft) co_return commit_refusal(draft.error());
  if (!transaction_) co_return std::nullopt;
  t.versions[k].draft = std::move(*draft);
  t.versions[k].scanner = scanner;
  co_return std::nullopt;
}

void Session::turn_to(std::size_t k) {
  auto &t = *transaction_;
  auto &version = t.versions[k];
  std::swap(t.envelope, version.envelope);
  std::swap(t.id, version.id);
  t.shows_version = !t.shows_version;
  filters_->turn_to(t.shows_version ? t.id : MessageId{}, version.word);
}

// Whoever went away while we waited for plugins will come again: what it brought is not ours.
Reply Session::client_lost() {
  env_.log.info(
      "lost connection",
      {{"client", client_.address}, {"qid", transaction_ ? transaction_->id : MessageId{}}, {"in", "filters"}});
  open_ = false;
  return goodbye({4, 4, 2}, "Error: lost connection");
}

Task<std::optional<Reply>> Session::redirect() {
  const auto redirection = filters_->take_redirection();
  if (!redirection) co_return std::nullopt;
  std::vector<Edit> edits(1);
  edits.front().kind = EditKind::Redirect;
  edits.front().value = redirection->to;
  auto envelope = transaction_->envelope;
  const auto applied = co_await apply(envelope, edits);
  if (!transaction_) co_return std::nullopt;
  if (!applied) co_return filters_->failed(redirection->by, applied.error().text, transaction_->id);
  transaction_->envelope = std::move(envelope);
  co_return std::nullopt;
}

// As a whole or not at all: the envelope is changed in a copy, which counts once the content is changed, too. Returns
// the versions that it makes, yet without ids.
Task<Result<std::vector<Version>>> Session::apply(FilteredMessage &message, const std::vector<Edit> &edits) {
  std::vector<Version> versions;
  if (edits.empty()) co_return versions;
  auto envelope = transaction_->envelope;
  const auto addressed = co_await apply(envelope, edits);
  if (!addressed) co_return addressed.error();
  const auto lists = edits_by_version(edits);
  std::vector<Split> parts;  // none where an access table puts one recipient in the place of all
  if (!transaction_->effects.redirect) parts = split(envelope, edits, lists);
  if (transaction_->versions.size() + parts.size() > host::kMostVersions)
    co_return Error{Status::Fail, fmt::format("it makes more than {} versions of the message", host::kMostVersions)};
  for (auto &part : parts) {
    auto &version = versions.emplace_back();
    version.envelope = std::move(part.envelope);
    version.content = message.version();
    const auto edited = co_await version.content->apply(part.edits);
    if (!edited) co_return edited.error();
  }
  if (!envelope.recipients.empty() || versions.empty()) {
    const auto edited = co_await message.apply(lists.front());
    if (!edited) co_return edited.error();
  }
  if (transaction_) transaction_->envelope = std::move(envelope);
  co_return versions;
}

bool Session::gets_another(const std::string &address) const {
  return std::ranges::any_of(transaction_->versions, [&](const Version &version) {
    return std::ranges::any_of(version.envelope.recipients, [&](const Recipient &r) { return r.address == address; });
  });
}

Task<Result<void>> Session::apply(Envelope &envelope, const std::vector<Edit> &edits) {
  auto trusted = client_;
  trusted.trusted = true;  // whom a filter writes to is no relaying
  for (const auto &edit : edits) {
    if (edit.kind == EditKind::SetSender) {
      envelope.sender = edit.value;
    } else if (edit.kind == EditKind::DeleteRecipient) {
      std::erase_if(envelope.recipients, [&](const Recipient &r) { return names(r, edit.value); });
    } else if (edit.kind == EditKind::AddRecipient || edit.kind == EditKind::Redirect) {
      if (edit.kind == EditKind::Redirect) {
        envelope.recipients.clear();
        envelope.routes.clear();
      }
      if (std::ranges::any_of(envelope.recipients, [&](const Recipient &r) { return names(r, edit.value); })) continue;
      // Who gets one version gets no other, unless there is nobody else to have this one.
      const auto has_one = [&](const Target &target) {
        return edit.kind == EditKind::AddRecipient && gets_another(target.address);
      };
      Recipient recipient;
      recipient.original = edit.value;
      if (env_.tables != nullptr) {
        route::ScreeningMemory none;
        const TableQuestion question{service_, trusted, helo_, envelope.sender, edit.value, false};
        auto verdict = co_await env_.tables->recipient(question, none);
        if (!transaction_) co_return Error{Status::Cancelled, "the server is being taken down"};
        if (verdict.refusal) co_return refused_recipient(edit.value, *verdict.refusal);
        std::erase_if(verdict.targets, has_one);
        std::erase_if(verdict.copies, has_one);
        add_recipients(envelope, recipient, std::move(verdict.targets), std::move(verdict.copies));
        continue;
      }
      auto verdict = env_.policy.recipient(smtpd_, trusted, envelope.sender, edit.value);
      if (verdict.refusal) co_return refused_recipient(edit.value, *verdict.refusal);
      std::vector<Target> targets;
      targets.push_back({std::move(verdict.address), std::move(verdict.route)});
      std::erase_if(targets, has_one);
      add_recipients(envelope, recipient, std::move(targets), {});
    } else {
      continue;
    }
    if (!is_ascii(edit.value)) envelope.smtputf8 = true;
  }
  co_return Result<void>{};
}

// Before the commit: what was decided about a message, or version of it, that is not refused.
bool Session::set_aside(MessageId id, Envelope &e, const FilterSession::Word &word) {
  for (const auto &[key, value] : word.message_meta)
    if (!set_metadata(e, key, value))
      env_.log.warn("a priority that is none is ignored", {{"qid", id}, {"priority", value}});
  if (const auto &why = filters_->hold(word); !why.empty()) {
    e.hold_until = std::numeric_limits<Nanos>::max();
    e.metadata.emplace_back("mansio.hold_reason", why);
  }
  const auto why = !word.discard.empty()  ? word.discard
                   : e.recipients.empty() ? std::string{"a filter left no recipient"}
                                          : std::string{};
  if (why.empty()) return true;
  env_.log.info("discarded", {{"qid", id}, {"client", client_.address}, {"from", e.sender}, {"reason", why}});
  return false;
}

}  // namespace mansio::ingress
