// FilterSession: what the filters and policies of a listener see of one session, and what they make of it. Everyone is
// asked in order; the first that does not let a stage pass decides. It knows their failures from their verdicts, keeps
// the metadata of session and message, and remembers who has to hear that a message came to nothing. A version of a
// message is a message of its own to those who have not seen it yet, and what they say of it is said of nothing else.
//
// While a plugin thinks, the session's coroutine waits, and nothing else.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kernel/base/id.hpp"
#include "kernel/base/log.hpp"
#include "kernel/ingress/filters.hpp"
#include "kernel/ingress/reply.hpp"
#include "kernel/io/asio.hpp"
#include "kernel/mail/envelope.hpp"

namespace mansio::ingress {

class FilteredMessage;
class Recording;

class FilterSession {
 public:
  FilterSession(asio::io_context &loop, const Clock &clock, Logger &log, std::shared_ptr<const FilterChain> chain,
                std::string_view number);
  ~FilterSession();
  FilterSession(const FilterSession &) = delete;
  FilterSession &operator=(const FilterSession &) = delete;

  void session_begins() { begun_ = true; }  // before anything is asked; with it, its end is told
  // There is somebody to ask().
  bool hears(std::uint32_t stage) const;
  // A stage that is a command; `facts` has stage, id, arguments and macros. A reply: somebody refuses.
  Task<std::optional<Reply>> ask(wire::StageCall facts);
  void message_begins();
  // Nothing more is asked about it. `taken`: it is in the queue; else those who saw some of it hear that it is not.
  void message_over(MessageId id, bool taken);
  void disconnect(wire::StageCall facts);  // nobody waits for the answers

  // What was said before in clear may have been said by somebody else.
  void secured() { session_meta_.clear(); }

  // The content, one of size() after the other, each seeing what the ones before it made of the message.
  std::size_t size() const { return seats_.size(); }
  bool wants_content(std::size_t i) const;
  struct Outcome {
    std::optional<Reply> refusal;
    wire::StageResult last;  // its word on the whole message
  };
  // The arguments of `facts` are those of the message's end: its recipients.
  Task<Outcome> content(std::size_t i, const FilteredMessage &message, wire::StageCall facts);
  // Its edits were applied, a new recipient for all among them: the rest of its last word counts, too.
  void heed(std::size_t i, wire::StageResult &&last) {
    std::erase_if(last.edits, [](const Edit &e) { return e.kind == EditKind::Redirect; });
    heed(seats_[i], std::move(last));
  }
  // Its edits could not be applied: nothing of its last word counts.
  std::optional<Reply> failed(std::size_t i, const std::string &why, MessageId id);
  // Who is to be the only recipient, once it is to be done: what was said of it is forgotten.
  struct Redirection {
    std::size_t by = 0;  // who says so, of size()
    std::string to;
  };
  std::optional<Redirection> take_redirection() { return std::exchange(word_.redirection, std::nullopt); }

  // Null: the session is not recorded.
  Recording *recording() { return recording_.get(); }

  // What filters have said of the message so far, or of a version of it. What one says of a command that another
  // refuses does not count.
  struct Word {
    std::string hold, discard;  // why; empty: it is not
    std::optional<Redirection> redirection;
    wire::NamedValues message_meta;
  };
  const Word &word() const { return word_; }
  // Why it is held; empty: it is not.
  const std::string &hold(const Word &word) const { return word.hold.empty() ? unchecked_ : word.hold; }
  const std::string &discard() const { return word_.discard; }
  // What is shown from now on is that version, of which `word` has been said; `word` is then what was said of the one
  // before. No id: the message itself.
  void turn_to(MessageId version, Word &word) {
    version_ = version;
    std::swap(word_, word);
  }

  bool waiting() const { return waiting_ != nullptr; }
  void client_gone();  // ends the wait; what follows is of no interest to anybody
  bool gone() const { return gone_; }
  void abandon();  // the coroutine that waits is destroyed: there will be no answer

 private:
  struct Seat {
    const FilterLink *link;
    bool saw = false;                   // something of this message
    std::vector<MessageId> versions{};  // of it that it saw something of
    bool out = false;  // it failed: it is not asked about this message any more, and its on_failure stands
    std::uint32_t incarnation = 0;
  };
  struct Answer;
  bool shown(Seat &seat) const;
  void not_shown(Seat &seat) const;
  Task<Outcome> show(std::size_t i, const FilteredMessage &message, wire::StageCall facts);
  Task<Outcome> record(std::size_t i, const FilteredMessage &message, wire::StageCall facts);
  Task<wire::StageResult> call(Seat &seat, wire::StageCall request);  // without the message
  Task<wire::StageResult> call(Seat &seat, wire::StageCall request, std::shared_ptr<const host::FilterContent> content);
  std::optional<Reply> judge(Seat &seat, std::uint32_t stage, MessageId id, wire::StageResult &result);
  std::optional<Reply> failure(Seat &seat, std::uint32_t stage, MessageId id, const std::string &why);
  void heed(const Seat &seat, wire::StageResult &&result);
  bool too_much(const wire::StageResult &result) const;

  asio::io_context &loop_;
  Logger &log_;
  const std::shared_ptr<const FilterChain> chain_;
  const std::string id_;
  std::unique_ptr<Recording> recording_;
  std::vector<Seat> seats_;
  Word word_;
  MessageId version_;  // that is shown; none: the message itself
  wire::NamedValues session_meta_;
  // A filter whose on_failure is "hold" failed: why this message, or each of this session, is held.
  std::string unchecked_, session_unchecked_;
  std::shared_ptr<Answer> waiting_;
  bool begun_ = false, gone_ = false;
};

}  // namespace mansio::ingress
