// `mansio replay`: what a candidate decides otherwise is told, and nothing else; at the recorded times, with the
// recorded answers, and no further than the client would have come.
#include "plugins/lua/tool/replay.hpp"

#include <gmock/gmock.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "plugins/lua/tests/scripted.hpp"
#include "plugins/lua/tool/decision.hpp"
#include "plugins/lua/tool/recording.hpp"

namespace mansio::lua::tool {
namespace {

using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

constexpr std::int64_t kBegin = 1'767'225'600;  // 2026-01-01T00:00:00Z

struct Replayed {
  int status;
  std::string text, trouble;
};

// A recording that a test writes line by line.
class Tape {
 public:
  Tape() { text_ = "{\"mansio_recording\":1,\"process\":\"ingress.0@x\"}\n"; }
  Tape &begin(const std::string &session = "s.1", double at = 0, const std::string &on_failure = "defer",
              const std::string &process = "p") {
    session_ = session;
    return line(at, R"("begin":{"listener":"smtp","watchers":[{"name":"policy.script","plugin":"lua","process":")" +
                        process + R"(","on_failure":")" + on_failure +
                        R"(","command_timeout":30000000,"content_timeout":300000000}]})");
  }
  Tape &begin_unwatched() {
    session_ = "s.1";
    return line(0, R"("begin":{"listener":"smtp","watchers":[]})");
  }
  Tape &of(const std::string &session) {
    session_ = session;
    return *this;
  }
  // `said`: of policy.script, such as R"("as":"accept")"; "": it was not asked. `reply`: of whoever refused.
  Tape &event(double at, const std::string &name, const std::string &argument, const std::string &said = "",
              const std::string &reply = "", const std::string &facts = R"({"client_address":"192.0.2.1"})") {
    return line(at, "\"facts\":" + facts + ",\"event\":\"" + name + "\",\"arguments\":[\"" + argument + "\"]" +
                        said_by(name, said) + (reply.empty() ? "" : ",\"reply\":\"" + reply + '"'));
  }
  Tape &content(double at, const std::string &header, const std::string &body, bool cut = false) {
    return line(at, R"("queue_id":"0000000J00000","content":{"size":9,"header":")" + header + R"(","body":")" + body +
                        (cut ? R"(","cut":true})" : R"("})"));
  }
  Tape &message(double at, const std::string &said, const std::string &reply = "") {
    return line(at, R"("queue_id":"0000000J00000","event":"message","arguments":[])" + said_by("end-of-message", said) +
                        (reply.empty() ? "" : ",\"reply\":\"" + reply + '"'));
  }
  // MAIL and a recipient that were taken.
  Tape &mail(double at) {
    event(at, "mail", "a@example.com", R"("as":"accept")");
    return event(at, "rcpt", "b@example.com", R"("as":"accept")");
  }
  Tape &line(double at, const std::string &members) {
    text_ += "{\"session\":\"" + session_ +
             "\",\"at\":" + std::to_string(kBegin * 1'000'000 + static_cast<std::int64_t>(at * 1e6)) + ',' + members +
             "}\n";
    return *this;
  }
  const std::string &text() const { return text_; }

 private:
  static std::string said_by(const std::string &event, const std::string &said) {
    return said.empty() ? "" : R"(,"said":[{"by":"policy.script","event":")" + event + "\"," + said + "}]";
  }
  std::string text_, session_;
};

// One that has no name takes the place of policy.script.
Replayed replayed(const std::string &script, const Tape &tape, ReplayOrder order = {}, const std::string &name = "") {
  const lua::testing::ScriptFile file{script}, recording{tape.text()};
  order.candidates.push_back({name, {}, file.options()});
  order.recordings.push_back(recording.options().at("script"));
  char *texts[2] = {};
  std::size_t sizes[2] = {};
  auto *out = ::open_memstream(&texts[0], &sizes[0]);
  auto *trouble = ::open_memstream(&texts[1], &sizes[1]);
  Replayed outcome{replay(order, out, trouble), "", ""};
  std::fclose(out);
  std::fclose(trouble);
  outcome.text = {texts[0], sizes[0]};
  outcome.trouble = {texts[1], sizes[1]};
  std::free(texts[0]);
  std::free(texts[1]);
  return outcome;
}

constexpr auto kUsers = R"(
  mansio.on("rcpt", function(_, rcpt)
    if not mansio.lookup("users", rcpt.address) then return mansio.reject("5.1.1", "no such user") end
  end)
)";
constexpr auto kRefused = R"("as":"reject","code":550,"enhanced":"5.1.1","text":"no such user",)"
                          R"("told":["lookup\tusers\tx@example.com\tnot found"])";

TEST(Replay, FindsNoDifferenceWhereThereIsNone) {
  Tape tape;
  tape.begin().event(1, "connect", "192.0.2.1");
  tape.event(2, "mail", "a@example.com");
  tape.event(3, "rcpt", "b@example.com", R"("as":"accept","told":["lookup\tusers\tb@example.com\tok\t1"])");
  tape.event(4, "rcpt", "x@example.com", kRefused, "550 5.1.1 no such user");
  tape.event(5, "disconnect", "");
  const auto outcome = replayed(kUsers, tape);
  EXPECT_EQ(outcome.text, "1 session, 5 decisions, 0 differ\n");
  EXPECT_EQ(outcome.status, 0) << outcome.trouble;
}

TEST(Replay, ShowsVersionsOfAMessageAsMessages) {
  Tape tape;
  tape.begin().mail(1);
  tape.content(2, "A: b\\r\\n", "x").message(2, R"("as":"accept")");
  tape.line(3, R"("queue_id":"0000000J00001","content":{"size":9,"header":"X: 1\r\n","body":"x"})");
  tape.line(3, R"("queue_id":"0000000J00001","event":"message","arguments":["b@example.com"],"said":[{)"
               R"("by":"policy.script","event":"end-of-message","as":"reject","code":550,"enhanced":"5.7.1",)"
               R"("text":"b@example.com"}],"reply":"550 5.7.1 b@example.com")");
  const auto outcome = replayed(R"(
    mansio.on("end-of-message", function(_, message)
      if message:header("X") then return mansio.reject("5.7.1", table.concat(message.recipients, " ")) end
    end)
  )",
                                tape);
  EXPECT_EQ(outcome.text, "1 session, 4 decisions, 0 differ\n");
  EXPECT_EQ(outcome.status, 0) << outcome.trouble;
}

TEST(Replay, TellsEachDecisionThatDiffers) {
  Tape tape;
  tape.begin().event(1.5, "helo", "client.example", R"("as":"accept")");
  tape.mail(2);
  tape.event(3, "rcpt", "x@example.com", kRefused, "550 5.1.1 no such user");
  const auto outcome = replayed(R"(
    mansio.on("rcpt", function(_, rcpt)
      if rcpt.localpart == "b" then return mansio.defer("4.7.1", "later") end
    end)
  )",
                                tape);
  EXPECT_EQ(outcome.text,
            "2026-01-01T00:00:02.000Z s.1 192.0.2.1 (policy.script)\n"
            "  rcpt b@example.com\n"
            "    recorded  accept\n"
            "    now       451 4.7.1 later\n"
            "2026-01-01T00:00:03.000Z s.1 192.0.2.1 (policy.script)\n"
            "  rcpt x@example.com\n"
            "    recorded  550 5.1.1 no such user\n"
            "    now       accept\n"
            "\n1 session, 4 decisions, 2 differ\n");
  EXPECT_EQ(outcome.status, 1);
  ReplayOrder order;
  order.json = true;
  EXPECT_THAT(replayed(kUsers, tape, order).text,
              AllOf(HasSubstr(R"({"session":"s.1","at":"2026-01-01T00:00:02.000Z","listener":"smtp",)"),
                    HasSubstr(R"("recorded":"accept","now":"451 4.3.0 table \"users\" cannot answer now"})"),
                    EndsWith("\"unanswered\":[\"lookup users b@example.com\"]}\n")));
}

TEST(Replay, SaysToWhichQuestionsThereIsNoAnswer) {
  Tape tape;
  tape.begin().mail(1);
  EXPECT_THAT(replayed(kUsers, tape).text,
              EndsWith("questions to which the recordings have no answer:\n  lookup users b@example.com\n"));
}

TEST(Replay, AnswersAsAtTheNearestTime) {
  Tape tape;
  tape.begin().event(1, "helo", "a",
                     R"("as":"reject","code":550,"enhanced":"5.7.1","text":"10 mx.example",)"
                     R"("told":["dns\ta\tMX\tok\t10 mx.example"])",
                     "550 5.7.1 10 mx.example");
  tape.event(9, "helo", "a",
             R"("as":"reject","code":550,"enhanced":"5.7.1","text":"none",)"
             R"("told":["dns\ta\tMX\tnot found"])",
             "550 5.7.1 none");
  tape.event(10, "helo", "a", R"("as":"reject","code":550,"enhanced":"5.7.1","text":"none")", "550 5.7.1 none");
  const auto outcome = replayed(R"(
    mansio.on("helo", function(_, name)
      local mx = mansio.dns(name, "MX")[1]
      return mansio.reject(550, "5.7.1", mx and ("%d %s"):format(mx.preference, mx.data) or "none")
    end)
  )",
                                tape);
  EXPECT_EQ(outcome.status, 0) << outcome.text;
}

constexpr auto kSlowly = R"(
  local seen = mansio.window("clients", "1m")
  mansio.on("mail", function(transaction)
    if seen:add(transaction.session.client_address) > 2 then return mansio.defer("4.7.1", "slow down") end
  end)
)";
constexpr auto kSlowDown = R"("as":"defer","code":451,"enhanced":"4.7.1","text":"slow down")";

TEST(Replay, GoesByTheRecordedTimesOfAllSessionsTogether) {
  Tape tape;
  tape.begin("s.1", 0).begin("s.2", 0);
  tape.of("s.1").event(1, "mail", "a", R"("as":"accept")");
  tape.of("s.2").event(20, "mail", "b", R"("as":"accept")");
  tape.of("s.1").event(50, "mail", "c", kSlowDown, "451 4.7.1 slow down");
  tape.of("s.2").event(118, "mail", "d", R"("as":"accept")");
  EXPECT_EQ(replayed(kSlowly, tape).text, "2 sessions, 4 decisions, 0 differ\n");
  Tape later;
  later.begin().event(1, "mail", "a", R"("as":"accept")").event(2, "mail", "b", R"("as":"accept")");
  later.event(115, "mail", "c", kSlowDown, "451 4.7.1 slow down");
  EXPECT_THAT(replayed(kSlowly, later).text, HasSubstr("now       accept\n"));
}

TEST(Replay, CountsWhatAllProcessesCount) {
  Tape tape;
  tape.begin("s.1").begin("s.2", 0, "defer", "q");
  tape.of("s.1").event(1, "mail", "a", R"("as":"accept")");
  tape.of("s.2").event(2, "mail", "b", R"("as":"accept")");
  tape.of("s.1").event(3, "mail", "c", kSlowDown, "451 4.7.1 slow down");
  EXPECT_EQ(replayed(kSlowly, tape).text, "2 sessions, 3 decisions, 0 differ\n");
}

TEST(Replay, LetsAScriptSleepWhileOtherSessionsGoOn) {
  Tape tape;
  for (int i = 0; i < 20; ++i)
    tape.begin("s." + std::to_string(i), i).event(i, "connect", "192.0.2.1", R"("as":"accept")");
  tape.begin("last", 100)
      .event(100, "helo", "x", R"("as":"reject","code":550,"enhanced":"5.7.1","text":"100")", "550 5.7.1 100");
  const auto outcome = replayed(R"(
    mansio.on("connect", function() mansio.sleep("10s") end)
    mansio.on("helo", function() return mansio.reject("5.7.1", ("%d"):format(mansio.time.now() - 1767225600)) end)
  )",
                                tape);
  EXPECT_EQ(outcome.status, 0) << outcome.text;
}

TEST(Replay, EndsACallWhereTheHostWould) {
  Tape tape;
  tape.begin().event(1, "helo", "x", R"("as":"accept")");
  tape.event(2, "mail", "a", R"("as":"accept")");
  const auto outcome = replayed(R"(mansio.on("helo", function() mansio.sleep("1h") end))", tape);
  EXPECT_THAT(outcome.text, AllOf(HasSubstr("now       failed: no answer in time"),
                                  HasSubstr("1 event left out: the client is refused before\n")));
}

TEST(Replay, TakesAFailureAsItWasConfigured) {
  const auto script = R"(
    mansio.on("helo", function() error("oops") end)
    mansio.on("mail", function() return mansio.reject("5.7.1", "no") end)
  )";
  for (const auto *on_failure : {"defer", "skip"}) {
    Tape tape;
    tape.begin("s.1", 0, on_failure)
        .event(1, "helo", "x", R"("as":"accept")")
        .event(2, "mail", "a", R"("as":"accept")");
    const auto text = replayed(script, tape).text;
    EXPECT_THAT(text, HasSubstr("now       failed: ")) << on_failure;
    EXPECT_EQ(text.find("550 5.7.1 no") != std::string::npos, std::string_view{on_failure} == "skip");
  }
  Tape failed;
  failed.begin().event(1, "helo", "x", R"("as":"failed","text":"something else")", "451 4.3.0 Error");
  EXPECT_EQ(replayed(script, failed).status, 0);
}

TEST(Replay, LeavesOutWhatAClientWouldNotHaveSaid) {
  Tape tape;
  tape.begin().event(1, "connect", "192.0.2.1", R"("as":"accept")").mail(2);
  tape.event(3, "data", "", R"("as":"accept")");
  tape.content(4, "Subject: x\\r\\n", "body\\r\\n").message(4, R"("as":"accept")");
  tape.mail(5).event(6, "disconnect", "");
  const auto refuse = [&](const std::string &event, const std::string &when) {
    return replayed(
               "mansio.on('" + event + "', function(t, a) if " + when + " then return mansio.reject('no') end end)",
               tape)
        .text;
  };
  EXPECT_THAT(refuse("connect", "true"), AllOf(HasSubstr("2 decisions, 1 differs"), HasSubstr("6 events left out")));
  EXPECT_THAT(refuse("mail", "true"), AllOf(HasSubstr("4 decisions, 2 differ"), HasSubstr("4 events left out")));
  EXPECT_THAT(refuse("rcpt", "true"), AllOf(HasSubstr("6 decisions, 2 differ"), HasSubstr("2 events left out")));
  EXPECT_THAT(refuse("data", "true"), AllOf(HasSubstr("7 decisions, 1 differs"), HasSubstr("1 event left out")));
}

TEST(Replay, CountsTheRecipientsThatThereAreNow) {
  Tape tape;
  const auto facts = [](int n) { return R"({"sender":"a","recipient_count":")" + std::to_string(n) + R"("})"; };
  tape.begin().event(1, "mail", "a", R"("as":"accept")", "", facts(0));
  tape.event(2, "rcpt", "one", R"("as":"accept")", "", facts(0));
  tape.event(3, "rcpt", "two", R"("as":"accept")", "", facts(3));  // it was an alias of three
  tape.event(4, "data", "", R"("as":"accept")", "", facts(4));
  EXPECT_THAT(replayed(R"(
    mansio.on("rcpt", function(t, rcpt) if rcpt.localpart == "one" then return mansio.reject("no") end end)
    mansio.on("data", function(t) return mansio.reject("5.7.1", ("%d"):format(t.recipient_count)) end)
  )",
                       tape)
                  .text,
              HasSubstr("now       554 5.7.1 1\n"));
}

TEST(Replay, ShowsTheContentInAllItsStages) {
  Tape tape;
  tape.begin().mail(1);
  tape.content(2, "Subject: one\\r\\n two\\r\\nX: y\\r\\n", "line\\r\\n");
  tape.message(2,
               R"("as":"accept","edits":["hold Subject= one\r\n two X= y line  6 35"],"message_meta":{"seen":"yes"})");
  const auto script = R"(
    local all = ""
    mansio.on("header", function(t, name, value) all = all .. name .. "=" .. value .. " " end)
    mansio.on("eoh", function(t) t.meta.seen = "yes" end)
    mansio.on("body", function(t, piece) all = all .. piece:gsub("%s", "") end)
    mansio.on("end-of-message", function(t, message)
      assert(t.meta.seen == "yes")
      assert(message:header("Subject") == "one two" and message:text() == "line\r\n")
      return mansio.hold(all:gsub("%s+", " "))
    end)
  )";
  const auto outcome = replayed(script, tape);
  EXPECT_THAT(outcome.text, HasSubstr("now       accept; hold Subject= one two X= y line; message.seen = yes\n"));
}

TEST(Replay, ComparesEdits) {
  Tape tape;
  tape.begin().mail(1).content(2, "Subject: x\\r\\n", "body\\r\\n");
  tape.message(2, R"("as":"accept","edits":["change_header 1 Subject: [x] x","set_sender a@Example.COM"])");
  const std::string script = R"(
    mansio.on("end-of-message", function(t, message)
      message:set_header("Subject", "[x] " .. message:header("Subject"))
      message:set_sender("a@example.com")
    end)
  )";
  EXPECT_THAT(replayed(script, tape, {}, "filter.script").text, HasSubstr("1 differs"));  // who was not recorded
  std::string text = tape.text();
  for (auto at = text.find("policy.script"); at != std::string::npos; at = text.find("policy.script"))
    text.replace(at, 6, "filter");
  const lua::testing::ScriptFile file{script}, recording{text};
  ReplayOrder order;
  order.candidates.push_back({"filter.script", {}, file.options()});
  order.recordings.push_back(recording.options().at("script"));
  EXPECT_EQ(replay(order, stdout, stderr), 0);
  // A policy cannot edit, now as then.
  EXPECT_THAT(replayed(script, tape).text, HasSubstr("now       failed: "));
}

TEST(Replay, TellsOfContentThatIsNotThere) {
  const auto script = R"(
    mansio.on("end-of-message", function(t, message)
      if message:text():find("virus") then return mansio.reject("5.7.1", "no") end
    end)
  )";
  Tape part;
  part.begin().mail(1).content(2, "X: y\\r\\n", "bo", true).message(2, R"("as":"accept")");
  EXPECT_THAT(replayed(script, part).text,
              EndsWith("0 differ\n1 message judged by a part of the body: the rest is not in the recording\n"));
  Tape none;
  none.begin().mail(1).line(2, R"("queue_id":"0000000J00000","content":{"size":9})");
  EXPECT_THAT(replayed(script, none).text,
              EndsWith("0 differ\n1 message not judged: the content is not in the recording\n"));
}

TEST(Replay, KeepsNotesOfSessionsAndForgetsThoseOfRefusedCommands) {
  Tape tape;
  tape.begin().event(1, "helo", "first", R"("as":"accept","session_meta":{"name":"first"})");
  tape.event(2, "helo", "second", R"("as":"reject","code":550,"enhanced":"5.7.1","text":"no")", "550 5.7.1 no");
  tape.event(3, "mail", "a", R"("as":"reject","code":550,"enhanced":"5.7.1","text":"first")", "550 5.7.1 first");
  tape.event(4, "starttls", "", R"("as":"accept")");
  tape.event(5, "mail", "a", R"("as":"reject","code":550,"enhanced":"5.7.1","text":"none")", "550 5.7.1 none");
  const auto outcome = replayed(R"(
    mansio.on("helo", function(session, name)
      session.meta.name = name
      if name == "second" then return mansio.reject("5.7.1", "no") end
    end)
    mansio.on("mail", function(t) return mansio.reject("5.7.1", t.session.meta.name or "none") end)
  )",
                                tape);
  EXPECT_EQ(outcome.status, 0) << outcome.text;
}

TEST(Replay, TriesAScriptWhereNobodyWatched) {
  Tape tape;
  tape.begin_unwatched().event(1, "mail", "a@example.com");
  const auto outcome = replayed("mansio.on('mail', function() return mansio.reject('no') end)", tape);
  EXPECT_THAT(outcome.text, AllOf(HasSubstr("(filter.replay)"), HasSubstr("recorded  accept\n")));
}

TEST(Replay, LetsOthersSayWhatTheySaid) {
  std::string text =
      Tape{}.text() +
      R"({"session":"s","at":1,"begin":{"listener":"smtp","watchers":[)"
      R"({"name":"policy.first","plugin":"x","process":"p","on_failure":"defer","command_timeout":1,"content_timeout":1},)"
      R"({"name":"policy.script","plugin":"lua","process":"p","on_failure":"defer","command_timeout":1,"content_timeout":1})"
      "]}}\n"
      R"({"session":"s","at":2,"facts":{},"event":"mail","arguments":["a"],"said":[)"
      R"({"by":"policy.first","event":"mail","as":"accept","message_meta":{"from":"first"}},)"
      R"({"by":"policy.script","event":"mail","as":"reject","code":550,"enhanced":"5.7.1","text":"first"}],"reply":"550"})"
      "\n"
      R"({"session":"s","at":3,"event":"mail","arguments":["b"],"said":[)"
      R"({"by":"policy.first","event":"mail","as":"reject"}],"reply":"550 5.7.1 no"})"
      "\n";
  const lua::testing::ScriptFile recording{text};
  const lua::testing::ScriptFile file{
      "mansio.on('mail', function(t) return mansio.reject('5.7.1', t.meta.from or 'nobody') end)"};
  ReplayOrder order;
  order.candidates.push_back({"", {}, file.options()});
  order.recordings.push_back(recording.options().at("script"));
  EXPECT_EQ(replay(order, stdout, stderr), 0);
}

// By what it says in the end: of which messages it has heard.
constexpr auto kHearsOfAborts = R"(
  local told = "told:"
  mansio.on("abort", function(session, queue_id) told = told .. " " .. session .. "=" .. queue_id end)
  mansio.on("rcpt", function() end)
  mansio.on("helo", function() return mansio.reject("5.7.1", told) end)
)";

Tape &ask_what_was_told(Tape &tape, double at, const std::string &told) {
  return tape.event(at, "helo", "x", R"("as":"reject","code":550,"enhanced":"5.7.1","text":"told:)" + told + '"',
                    "550 5.7.1 told:" + told);
}

TEST(Replay, TellsThatAMessageComesToNothing) {
  Tape tape;
  tape.begin().mail(1).mail(2);  // a RSET between them is not recorded
  tape.content(3, "X: y\\r\\n", "body").message(3, R"("as":"accept")");
  tape.event(4, "disconnect", "");
  tape.begin("s.2", 5).mail(6).event(7, "disconnect", "");
  tape.begin("s.3", 8).event(8, "mail", "a@example.com", R"("as":"accept")").event(9, "disconnect", "");
  ask_what_was_told(tape.begin("s.4", 10), 10, " s.1= s.2=");
  const auto outcome = replayed(kHearsOfAborts, tape);
  EXPECT_EQ(outcome.status, 0) << outcome.text << outcome.trouble;
}

TEST(Replay, TellsThoseWhoDidNotRefuseAMessageThatItWasRefused) {
  const auto watcher = [](const std::string &name) {
    return R"({"name":")" + name +
           R"(","plugin":"lua","process":"p","on_failure":"defer","command_timeout":30000000,)" +
           R"("content_timeout":300000000})";
  };
  Tape tape;
  tape.of("s").line(0, R"("begin":{"listener":"smtp","watchers":[)" + watcher("policy.script") + ',' +
                           watcher("filter.other") + "]}");
  tape.mail(1).content(2, "X: y\\r\\n", "body");
  tape.line(2, R"("queue_id":"0000000J00000","event":"message","arguments":[],"said":[{"by":"filter.other",)"
               R"("event":"end-of-message","as":"reject","code":550,"enhanced":"5.7.1","text":"no"}],)"
               R"("reply":"550 5.7.1 no")");
  ask_what_was_told(tape, 3, " s=0000000J00000");
  ReplayOrder order;
  EXPECT_EQ(replayed(kHearsOfAborts, tape, order, "policy.script").text, "1 session, 4 decisions, 0 differ\n");
  Tape own;
  own.begin().mail(1).content(2, "X: y\\r\\n", "body");
  own.message(2, R"("as":"reject","code":550,"enhanced":"5.7.1","text":"no")", "550 5.7.1 no");
  ask_what_was_told(own, 3, "");
  const auto refuses =
      std::string{kHearsOfAborts} + "mansio.on('end-of-message', function() return mansio.reject('5.7.1', 'no') end)";
  EXPECT_EQ(replayed(refuses, own).text, "1 session, 4 decisions, 0 differ\n");
}

// No question to the DNS shows that it did not get as far.
TEST(Replay, ReachesNoServerThatItIsNotAllowedToAsk) {
  Tape tape;
  tape.begin().event(1, "helo", "x", R"("as":"reject","code":550,"enhanced":"5.7.1","text":"false false false")",
                     "550 5.7.1 false false false");
  const auto outcome = replayed(R"(
    mansio.on("helo", function()
      local http = pcall(function() return mansio.http.get("http://judge.example/") end)
      local connect = pcall(function() return mansio.connect("judge.example:1") end)
      local redis = pcall(function() return mansio.redis("judge.example"):call("GET", "x") end)
      return mansio.reject("5.7.1", ("%s %s %s"):format(http, connect, redis))
    end)
  )",
                                tape);
  EXPECT_EQ(outcome.text, "1 session, 1 decision, 0 differ\n") << outcome.trouble;
  EXPECT_THAT(replayed("mansio.on('helo', function() mansio.sqlite('/x.db') end)", tape).trouble,
              HasSubstr("mansio.sqlite is off"));
}

TEST(Replay, SaysWhatItCannotTry) {
  Tape tape;
  tape.begin();
  const auto bad = replayed("mansio.onn()", tape);
  EXPECT_EQ(bad.status, 2);
  EXPECT_THAT(bad.trouble, AllOf(StartsWith("policy.script: script names"), HasSubstr("did you mean \"on\"?")));
  ReplayOrder order;
  order.sessions = {"another"};
  EXPECT_EQ(replayed(kUsers, tape, order).trouble, "there is no such session\n");
  order = {};
  order.recordings = {"/nowhere"};
  EXPECT_EQ(replayed(kUsers, tape, order).trouble, "/nowhere cannot be read\n");
  Tape wrong;
  wrong.line(0, R"("event":"helo")");
  EXPECT_THAT(replayed(kUsers, wrong).trouble, HasSubstr(": line 2: the session  did not begin here"));
}

TEST(Recording, IsReadUpToALineThatIsCut) {
  const auto whole = Tape{}.begin().event(1, "helo", "x").text();
  EXPECT_EQ(read_recording(whole).at(0).events.size(), 1u);
  EXPECT_EQ(read_recording(std::string_view{whole}.substr(0, whole.size() - 1)).at(0).events.size(), 0u);
  EXPECT_THROW(read_recording(""), RecordingError);
  EXPECT_THROW(read_recording("{\"mansio_recording\":2}\n"), RecordingError);
  EXPECT_THROW(read_recording("{\"mansio_recording\":1}\nx\n"), RecordingError);
}

TEST(Decision, AppearsAsTheClientHearsIt) {
  Decision d;
  EXPECT_EQ(to_text(d), "accept");
  RecordedAnswer said;
  said.stage = MANSIO_STAGE_CONNECT;
  said.as = "defer";
  d.add(said);
  EXPECT_EQ(to_text(d), "421 4.7.1 Deferred by policy, try again later");
  d = {};
  d.fail("line one\nline two");
  EXPECT_EQ(to_text(d), "failed: line one\\nline two");
}

}  // namespace
}  // namespace mansio::lua::tool
