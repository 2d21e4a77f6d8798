// One mail transaction (or several, when a server limits recipients) on an open connection: MAIL to the last reply.
//
// Written for few round trips. With PIPELINING the envelope and DATA go out in one write; with CHUNKING too, a small
// message goes with them, so that a delivery is one write and one batch of replies. Content that needs no change
// goes from file to socket by sendfile(). Batches are bounded, so that neither side blocks on a full socket.
//
// What may have happened decides each outcome when a connection is lost: before the end of the content was sent
// nothing has; afterwards the recipients without a reply, and only they, are uncertain.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "plugins/transport-smtp/client/connection.hpp"
#include "plugins/transport-smtp/client/envelope.hpp"
#include "plugins/transport-smtp/client/ledger.hpp"

namespace mansio::smtp {

class Transaction {
 public:
  Transaction(const Context &context, Connection &connection, mansio_op op, const plugin::Delivery &delivery,
              Ledger &ledger, Cancel &cancel)
      : context_(context), connection_(connection), op_(op), delivery_(delivery), ledger_(ledger), cancel_(cancel) {}

  enum class End {
    Done,   // every recipient has an answer of this server's, settled or soft
    Stale,  // a connection used before was dead: nothing happened, try a fresh one
    Lost,   // the server went away while it was used
  };
  Task<End> run(std::vector<std::uint32_t> recipients);
  // The server answered MAIL, so it is one that can be used.
  bool answered() const { return answered_; }

 private:
  struct Step {
    enum Kind { Rset, Forward, Mail, Rcpt, Data, Bdat } kind;
    std::uint32_t recipient = 0;  // Forward: which of the commands
  };
  enum class Verdict { GoOn, Stop };

  bool load_content();  // false: every recipient is settled
  bool plan();          // false: nobody is left to send to
  Task<End> round();
  Task<IoResult> write_batch();
  Task<IoResult> write_content(std::string_view before, std::string_view after);
  Task<IoResult> write_stuffed(std::string_view end);
  Task<IoResult> write_late_dot();
  Verdict on_reply(const Step &step, const Reply &reply);
  void on_rcpt(std::uint32_t recipient, const Reply &reply);
  Task<End> finish_data();
  Task<End> final_replies(const Reply *first);
  End lost(const IoResult &io, const char *doing);
  void refuse_all(const Reply &reply, const char *command);
  void refuse(std::uint32_t recipient, const Reply &reply, const char *command);
  void settle_all(const plugin::Reply &reply);
  plugin::Reply about(plugin::Reply reply) const;
  std::int64_t timeout_of(Step::Kind kind) const;

  const Context &context_;
  Connection &connection_;
  mansio_op op_;
  const plugin::Delivery &delivery_;
  Ledger &ledger_;
  Cancel &cancel_;

  // Content: in `bytes_`, or (large) read from the message while it is sent.
  std::string bytes_;
  bool in_memory_ = false, eight_bit_ = false, stuff_ = false, missing_end_ = false;
  std::uint64_t length_ = 0;

  EnvelopePlan envelope_;
  std::vector<std::string> xforward_;
  std::string rcpts_;                                            // every RCPT command,
  std::vector<std::pair<std::size_t, std::size_t>> rcpt_range_;  // by recipient: where in it, how long
  std::vector<std::uint32_t> todo_, next_round_, accepted_;
  std::vector<Step> steps_;
  std::size_t sent_ = 0, replied_ = 0;
  bool mail_failed_ = false, mail_ok_ = false, go_ahead_ = false;
  bool content_sent_ = false;  // to its last byte: the server may have taken the message
  bool read_error_ = false;    // the message itself could not be read
  bool reused_ = false, answered_ = false, any_reply_ = false;
  std::int64_t started_ = 0;
};

}  // namespace mansio::smtp
