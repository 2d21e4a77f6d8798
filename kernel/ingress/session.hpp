// Session: one client's SMTP conversation (RFC 5321), from greeting to close, as one coroutine. session.cpp is the
// life of the connection, session_commands.cpp the commands that need no waiting, session_tables.cpp RCPT where it
// waits for tables, session_etrn.cpp the one that waits for the queue, session_auth.cpp the one that waits for an auth
// plugin, session_content.cpp DATA, BDAT and the way into the spool, session_filters.cpp what filters and policies have
// to say, session_notice.cpp what the postmaster is told of it.
//
// Replies to pipelined commands gather in one buffer and leave with one write, when nothing more can be answered
// without reading. There is no timer a read: a session states what it waits for and until when, and the server's
// sweep (a few times a second over all sessions) ends those that are late.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kernel/ingress/client_fields.hpp"
#include "kernel/ingress/client_session.hpp"
#include "kernel/ingress/command.hpp"
#include "kernel/ingress/connection.hpp"
#include "kernel/ingress/data.hpp"
#include "kernel/ingress/environment.hpp"
#include "kernel/ingress/filter_session.hpp"
#include "kernel/ingress/held_header.hpp"
#include "kernel/ingress/message_effects.hpp"
#include "kernel/ingress/transcript.hpp"
#include "kernel/ingress/versions.hpp"
#include "kernel/mail/headers.hpp"
#include "kernel/route/screening.hpp"

namespace mansio::ingress {

// From MAIL to the end of the content.
struct Transaction {
  Envelope envelope;
  MessageId id;  // once it is chosen
  std::unique_ptr<spool::Draft> draft;
  std::optional<ContentDecoder> decoder;  // content has begun
  ContentScanner scanner;
  std::unique_ptr<HeldHeader> header;  // to be rewritten, and until then not in the draft
  ClientFields fields;
  bool has_priority = false;  // the client said one, to MAIL
  MessageEffects effects;
  std::optional<Reply> refusal;   // of the content; the rest of it is read and dropped
  std::uint32_t overshoot = 0;    // RCPTs beyond the limit
  std::vector<Version> versions;  // besides the message itself, whose recipients are not theirs
  bool shows_version = false;     // one of them is in the message's place, and the message in its
  bool rcpt_seen = false;
  bool chunked = false;  // by BDAT
};

class Session final : public ClientSession {
 public:
  Session(Environment &environment, Service &service, io::UniqueFd socket, int family, Client client);

  Task<void> run() override;

  void sweep(Nanos now) override;
  void drain() override;  // 421 as soon as no content is under way
  void cut() override;    // 421 in the middle of content, too (RFC 5321 section 3.8)
  void abandon() override;
  const Client &client() const override { return client_; }
  Service &service() override { return service_; }

 private:
  enum class Waiting : std::uint8_t { Nothing, Command, Content, Write, Handshake, LastWords };
  enum class Stop : std::uint8_t { None, Timeout, TransactionTimeout, TooSlow, Drain };

  struct Counts {
    std::uint32_t commands = 0, helo = 0, mail = 0, rcpt = 0, data = 0, bdat = 0, rset = 0, starttls = 0, auth = 0,
                  unknown = 0, messages = 0;
  };

  // session.cpp
  Task<bool> greet();
  Task<void> converse();
  Task<void> dispatch(const Command &command);
  Task<void> say_why_stopped();
  struct Line {
    std::string_view text;  // without its end; borrowed until the next read
    bool too_long = false;  // and then without text
  };
  std::optional<Line> take_line(std::uint64_t limit);
  Task<bool> wait_input(Waiting what);
  Task<bool> wait_command();
  void command_taken();
  Nanos patience() const;
  Task<bool> flush(bool last = false);  // last: linger_close() follows
  Task<bool> tarpit();                  // before a reply; false: there is nobody to hear it
  Task<void> pause_after_error();
  void heed_error_limit();
  void count_junk();
  bool synchronised(Verb verb);
  void stop(Stop why);
  void reply(Reply reply) {
    if (smtpd_.soft_bounce) soften(reply);
    append(out_, reply);
    if (reply.refusal()) troubles_ |= trouble_of(reply);
  }
  void refuse(const Reply &reply);   // counts as an error of the client
  void hang_up(const Reply &reply);  // last words
  void log_reject(std::string_view what, const Reply &reply, std::string_view recipient = {});
  void log_disconnect();
  std::string protocol() const;
  Reply goodbye(EnhancedStatus enhanced, std::string_view text) const;  // 421

  // session_commands.cpp
  void answer(const Command &command);
  bool syntax_ok(const Command &command);
  void helo(const Command &command);
  void ehlo_reply();
  void mail(const Command &command);
  bool permitted(const Command &command);
  void rcpt(const Command &command);
  std::optional<Recipient> read_rcpt(const Command &command);
  void refuse_recipient(const Reply &reply, std::string_view recipient);
  void help();
  void xforward(const Command &command);
  bool may_xforward() const;
  bool offers(std::string_view keyword) const;
  void reset() {
    if (filters_ && transaction_) filters_->message_over(transaction_->id, false);
    transaction_.reset();
    origin_.reset();
    screening_.sender.reset();
    transaction_deadline_ = 0;
  }

  // session_tables.cpp
  Task<void> rcpt_by_tables(const Command &command);
  void hold_header();
  Task<void> store_header(std::string_view canonical);
  Task<void> rewrite_header();

  // session_etrn.cpp
  bool may_etrn() const;
  Task<void> etrn(std::string_view argument);

  // session_auth.cpp
  struct AuthWait;
  bool auth_enabled() const;
  bool may_auth() const;
  std::string auth_mechanisms() const;
  std::optional<Reply> auth_refusal(const Command &command) const;
  Task<void> auth(const Command &command);
  Task<wire::AuthResult> auth_step(wire::AuthCall call);
  Task<std::optional<std::string>> auth_response();
  Task<void> auth_over(std::string mechanism, wire::AuthResult result);
  void abandon_auth();

  // session_content.cpp
  Task<void> data();
  Task<void> bdat(std::uint64_t size, bool last);
  Task<void> starttls();
  std::optional<Reply> not_ready_for_content(bool chunked) const;
  void begin_content(ContentDecoder::Framing framing);
  Task<bool> wait_content();
  Task<void> store(std::string_view canonical);
  Task<Reply> finish_message();
  Task<Reply> commit();
  void complete(Envelope &envelope) const;
  void start_content_clock();

  // session_filters.cpp
  void remember();                 // what a refusal restores
  void accept(std::string reply);  // the answer to a command, which filters may yet refuse
  void accept(const Reply &reply);
  Task<void> judge(const Command &command);
  Task<std::optional<Reply>> ask_filters(std::uint32_t stage, std::vector<std::string> arguments);
  Task<std::optional<Reply>> ask_filters(std::uint32_t stage);  // which has no arguments
  Task<bool> may_connect();
  Task<std::optional<Reply>> filter_content();
  Task<std::optional<Reply>> redirect();  // as a filter said before the message was complete
  bool room_to_record();
  Task<std::optional<Reply>> show_content(FilteredMessage &message, std::size_t first);  // to the filters from that on
  Task<std::optional<Reply>> show_version(std::size_t k);
  void turn_to(std::size_t k);  // that version takes the transaction's place; the second time, they change back
  Task<Result<std::vector<Version>>> apply(FilteredMessage &message, const std::vector<Edit> &edits);
  Task<Result<void>> apply(Envelope &envelope, const std::vector<Edit> &edits);  // a copy of the transaction's
  bool gets_another(const std::string &address) const;                           // version of the message
  // What was decided about a message or version goes into its envelope; false: it is not taken.
  bool set_aside(MessageId id, Envelope &envelope, const FilterSession::Word &word);
  Reply client_lost();
  wire::StageCall stage_facts(std::uint32_t stage) const;

  // session_notice.cpp
  bool worth_a_notice();
  std::string notice_text(const std::string &to) const;
  Task<void> notify_postmaster();

  Environment &env_;
  Service &service_;
  const config::Smtpd &smtpd_;
  Connection connection_;
  Client client_;
  std::string out_;

  std::string helo_;
  bool esmtp_ = false, open_ = true, draining_ = false, cut_ = false;
  bool skipping_line_ = false;  // of a command over the limit
  bool command_begun_ = false;  // its wait has begun
  std::size_t scanned_ = 0;     // bytes of the buffer known to hold no line end
  std::optional<Transaction> transaction_;
  std::optional<Origin> origin_;  // told with XFORWARD, of the transaction under way or the next
  route::ScreeningMemory screening_;
  std::unique_ptr<FilterSession> filters_;  // null: nobody watches
  std::optional<std::string> accepted_;
  std::shared_ptr<AuthWait> auth_wait_;  // null: no plugin is thinking
  struct {
    std::string helo;
    bool esmtp = false;
    std::size_t recipients = 0;
    std::string sender;
    bool smtputf8 = false;
    MessageEffects effects;
  } before_;  // the command that filters are asked about
  Counts counts_;
  std::uint32_t errors_ = 0, junk_ = 0, commands_ = 0;
  Transcript transcript_;
  config::NotifyMask notify_ = 0, troubles_ = 0;  // what the postmaster wants to know, what there was

  Waiting waiting_ = Waiting::Nothing;
  Stop stop_ = Stop::None;
  Nanos waiting_since_ = 0, transaction_deadline_ = 0;  // mono; 0 = none
  Nanos request_waited_ = 0;  // time the client let us wait in this request before, less what it earned by sending
  Nanos content_waited_ = 0;  // and for content in all
  std::uint64_t content_bytes_ = 0;
};

}  // namespace mansio::ingress
