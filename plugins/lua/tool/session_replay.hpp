// SessionReplay: one recorded session, shown to candidates as Mansio would: everyone who watches is asked in order, the
// first that refuses decides, what one notes the next one sees. Those who are no candidates say again what they said.
//
// A recording does not know what a client would have said after another answer. What follows a refusal that was none is
// left out, up to where the client would have begun anew; what would have followed after a refusal that is none any
// more is not there. Nor does it have RSET: that a message came to nothing shows by what follows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "mansio/testing/fake_records.hpp"
#include "plugins/lua/tool/candidate.hpp"
#include "plugins/lua/tool/decision.hpp"
#include "plugins/lua/tool/recording.hpp"

namespace mansio::lua::tool {

// What a candidate decided where something else or the same was recorded.
struct Comparison {
  const RecordedSession &session;
  std::int64_t at;
  std::string event;  // "rcpt alice@example.com", "message 0000000J00000"
  const std::string &watcher;
  const Decision &then, &now;
  const Values &facts;
  bool differs;
};

class ReplayListener {
 public:
  virtual ~ReplayListener() = default;
  virtual void decided(const Comparison &comparison) = 0;
  virtual void never_came() = 0;         // an event: the client was refused before
  virtual void without_content() = 0;    // a message whose content is not in the recording
  virtual void with_part_of_body() = 0;  // a message of whose body it has a part
};

class SessionReplay {
 public:
  // All outlive it.
  SessionReplay(const RecordedSession &session, Candidates &candidates, ReplayListener &listener);

  struct Question {
    Candidate *who;
    mansio::testing::FakeStage stage;
  };
  bool over() const { return next_ == steps_.size(); }
  std::int64_t due() const { return steps_[next_].at; }  // of its next event
  void begin(std::int64_t now);                          // that event comes
  // Whom to ask next, until nobody is left to be asked about the event. One question at a time.
  std::optional<Question> ask();
  void answered(const mansio::testing::FakeResult &result);
  void not_answered(const std::string &why);

 private:
  struct Seat {
    RecordedWatcher watcher;
    const CandidateOrder *order = nullptr;  // null: what was recorded is said again
    Candidate *candidate = nullptr;
    bool out = false;  // it failed in this message, and is asked no more about it
    // What it hears of when the message comes to nothing: the message itself, and versions of it by their queue ids.
    bool saw = false;
    std::set<std::string> versions{};
  };
  // What is recorded of one of those who watch, about one event.
  struct Record {
    bool reached = false;  // it would have been asked if it had wanted to be
    bool refused = false;
    Decision decision;
    std::shared_ptr<const RecordedContent> content;
    std::shared_ptr<const Values> facts;
  };
  struct Step {
    std::int64_t at = 0;
    std::uint32_t stage = 0;
    bool content = false;  // of the message: all of its stages
    bool version = false;  // the same, of a version of the message
    bool refused = false;
    std::vector<std::string> arguments;
    std::shared_ptr<const Values> facts;
    std::string queue_id;
    std::vector<Record> seats;
  };
  enum class Until { Now, Mail, Auth, Helo, Never };  // the client is not heard again before

  void add_seats();
  void add_steps();
  void add_command(const RecordedEvent &event);
  std::size_t add_content(std::size_t begin);
  std::size_t seat_of(const std::string &name) const;
  bool left_out(const Step &step);
  std::optional<Question> command_question(Seat &seat, const Step &step);
  std::optional<Question> content_question(Seat &seat, const Step &step);
  Question question(Seat &seat, const Step &step, std::uint32_t stage, std::vector<std::string> arguments);
  void heed(const Decision &decision);
  void end_seat(Seat &seat, const Record &record);
  void end_step();
  // Nothing more is asked about it; unless it was `taken`, those who saw some of it hear that.
  void message_over(bool taken);

  const RecordedSession &session_;
  Candidates &candidates_;
  ReplayListener &listener_;
  std::vector<Seat> seats_;
  std::vector<Step> steps_;
  std::vector<bool> out_then_;   // while the steps are made: seats that failed in the message
  bool discarded_then_ = false;  // the same: the message

  std::size_t next_ = 0;
  bool running_ = false;
  std::size_t seat_ = 0;
  bool asked_ = false;        // the seat, about a command
  std::size_t shown_ = 0;     // stages of the content that the seat was shown
  std::uint32_t asking_ = 0;  // the stage of the last question
  Decision decision_;         // of the seat
  bool refused_ = false, discarded_ = false;
  std::uint16_t refusal_ = 0;
  std::string queue_id_;  // of the message, once it has one
  Values session_meta_, message_meta_;
  Values session_meta_before_, message_meta_before_;
  Until until_ = Until::Now;
  std::int64_t recipients_ = 0;       // taken, of this message
  std::int64_t more_recipients_ = 0;  // than then
};

}  // namespace mansio::lua::tool
