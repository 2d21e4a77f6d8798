// What is recorded of sessions: what filters and policies were shown and said, in files that are the user's alone; and
// that nothing of it ever stands in the way of mail.
#include <gmock/gmock.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "kernel/ingress/filters.hpp"
#include "kernel/ingress/recorder.hpp"
#include "kernel/ingress/session.hpp"
#include "mansio/draft/filter.h"
#include "tests/unit/ingress/fixture.hpp"

namespace mansio::ingress {
namespace {

using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;
using ::testing::StartsWith;
using wire::StageOutcome;

// What the thread would do is done by the loop, when nothing else is to be done.
class LoopTurns final : public spool::Turns {
 public:
  explicit LoopTurns(asio::io_context &loop) : loop_(loop) {}
  void later(std::function<void()> task, Nanos) override {
    if (stuck)
      kept.push_back(std::move(task));
    else
      asio::post(loop_, std::move(task));
  }
  void go_on() {
    stuck = false;
    for (auto &task : kept) asio::post(loop_, std::move(task));
    kept.clear();
  }
  bool stuck = false;
  std::vector<std::function<void()>> kept;

 private:
  asio::io_context &loop_;
};

// Says to each stage what it was told to say.
class SayingFilter final : public host::FilterInstance {
 public:
  std::uint64_t stages() const override { return wanted; }
  std::uint32_t incarnation() const override { return 1; }
  std::uint64_t start(wire::StageCall call, std::shared_ptr<const host::FilterContent>, Done done,
                      std::function<void()>) override {
    macros = call.macros;
    auto found = says.find(call.stage);
    wire::StageResult result;
    result.outcome = StageOutcome::Ok;
    if (found != says.end()) result = found->second;
    done(std::move(result));
    return 1;
  }
  void cancel(std::uint64_t) override {}
  void abort(const std::string &, MessageId) override {}
  std::size_t in_flight() const override { return 0; }
  std::uint64_t misbehaviours() const override { return 0; }
  void stats(const host::StatsSink &) const override {}

  std::uint64_t wanted = ~std::uint64_t{0};
  std::map<std::uint32_t, wire::StageResult> says;
  wire::NamedValues macros;
};

class RecordedServer : public testing::SmtpServerTest {
 protected:
  RecordedServer() {
    static int number = 0;
    base_ = ::testing::TempDir() + "recorded-" + std::to_string(::getpid()) + '-' + std::to_string(++number);
    std::filesystem::create_directories(base_);
    options_.directory = base_ + "/recordings";
    options_.process = "ingress.0";
    options_.size_limit = 1 << 20;
    options_.total_limit = 16 << 20;
    options_.body_limit = 64;
  }
  ~RecordedServer() override {
    std::error_code ignored;
    std::filesystem::remove_all(base_, ignored);
  }
  // Before anybody dials.
  void record(bool watched = true) {
    recorder_ = std::make_unique<Recorder>(loop, clock, log, options_, nullptr, &turns_);
    auto chain = std::make_shared<FilterChain>();
    chain->prefix = "test";
    chain->listener = "smtp";
    chain->recorder = recorder_.get();
    if (watched) chain->links = {{&filter_, "filter.f", config::OnFailure::Defer, kSecond, 2 * kSecond, "lua"}};
    service.filters = chain;
  }
  void TearDown() override {
    testing::SmtpServerTest::TearDown();
    service.filters.reset();
    recorder_.reset();
  }
  std::vector<std::string> files() const {
    std::vector<std::string> all;
    std::error_code none;
    for (const auto &entry : std::filesystem::directory_iterator{options_.directory, none}) all.push_back(entry.path());
    std::sort(all.begin(), all.end());
    return all;
  }
  std::string recorded() const {
    std::string text;
    for (const auto &path : files()) {
      std::ifstream in{path};
      text.append(std::istreambuf_iterator<char>{in}, {});
    }
    return text;
  }
  // The lines with this in them.
  std::vector<std::string> lines(const std::string &with) const {
    std::vector<std::string> found;
    const auto text = recorded();
    for (std::size_t at = 0, end; (end = text.find('\n', at)) != text.npos; at = end + 1)
      if (auto line = text.substr(at, end - at); line.find(with) != line.npos) found.push_back(line);
    return found;
  }
  std::size_t logged(const std::string &what) const {
    std::size_t n = 0;
    for (auto at = sink.text.find(what); at != std::string::npos; at = sink.text.find(what, at + 1)) ++n;
    return n;
  }
  void session() {
    auto peer = ready_for_data();
    EXPECT_THAT(say(peer, "Subject: hi\r\n\r\nbody\r\n.\r\n"), StartsWith("250 "));
    say(peer, "QUIT\r\n");
  }

  std::string base_;
  Recorder::Options options_;
  LoopTurns turns_{loop};
  SayingFilter filter_;
  std::unique_ptr<Recorder> recorder_;
};

TEST_F(RecordedServer, WritesWhatFiltersAreShownAndSay) {
  filter_.says[MANSIO_STAGE_RCPT].outcome = StageOutcome::Fail;
  filter_.says[MANSIO_STAGE_RCPT].smtp_code = 550;
  filter_.says[MANSIO_STAGE_RCPT].enhanced = {5, 1, 1};
  filter_.says[MANSIO_STAGE_RCPT].text = "no \"such\" user";
  filter_.says[MANSIO_STAGE_RCPT].told = {"lookup\tusers\tc\tnot found"};
  filter_.says[MANSIO_STAGE_MAIL].outcome = StageOutcome::Ok;
  filter_.says[MANSIO_STAGE_MAIL].message_meta = {{"tenant", "t"}, {"tenant", "u"}};
  record();
  auto peer = greet();
  say(peer, "MAIL FROM:<a@b.example> SIZE=10\r\nRCPT TO:<c@d.example>\r\nQUIT\r\n");
  EXPECT_THAT(lines("mansio_recording"), SizeIs(1));
  EXPECT_THAT(recorded(), StartsWith("{\"mansio_recording\":1,\"process\":\"ingress.0@"));
  ASSERT_THAT(lines("\"begin\""), SizeIs(1));
  EXPECT_THAT(lines("\"begin\"")[0],
              AllOf(HasSubstr("{\"session\":\"test.1\",\"at\":1700000000000000,\"begin\":{\"listener\":\"smtp\","
                              "\"watchers\":[{\"name\":\"filter.f\",\"plugin\":\"lua\",\"process\":\"ingress.0@"),
                    HasSubstr("\"on_failure\":\"defer\",\"command_timeout\":1000000,\"content_timeout\":2000000}]}}")));
  ASSERT_THAT(lines("\"event\":\"mail\",\"arguments\""), SizeIs(1));
  EXPECT_THAT(lines("\"event\":\"mail\",\"arguments\"")[0],
              AllOf(HasSubstr("\"arguments\":[\"a@b.example\",\"SIZE=10\"]"), HasSubstr("\"sender\":\"a@b.example\""),
                    HasSubstr("\"message_meta\":{\"tenant\":\"u\"}")));
  ASSERT_THAT(lines("\"event\":\"rcpt\",\"arguments\""), SizeIs(1));
  EXPECT_THAT(lines("\"event\":\"rcpt\",\"arguments\"")[0],
              AllOf(HasSubstr("\"said\":[{\"by\":\"filter.f\",\"event\":\"rcpt\",\"as\":\"reject\",\"code\":550,"
                              "\"enhanced\":\"5.1.1\",\"text\":\"no \\\"such\\\" user\","
                              "\"told\":[\"lookup\\tusers\\tc\\tnot found\"],\"took\":0}],"
                              "\"reply\":\"550 5.1.1 no \\\"such\\\" user\"}"),
                    Not(HasSubstr("\"facts\""))))
      << "facts are written when they change";
  EXPECT_THAT(lines("\"event\":\"disconnect\""), SizeIs(1));
  EXPECT_THAT(filter_.macros, ::testing::Contains(::testing::Pair("recorded", "true")));
  EXPECT_THAT(recorded(), Not(HasSubstr("\"recorded\"")));
}

TEST_F(RecordedServer, WritesTheContentAsEachIsShownIt) {
  filter_.says[MANSIO_STAGE_END_OF_MESSAGE].outcome = StageOutcome::Ok;
  filter_.says[MANSIO_STAGE_END_OF_MESSAGE].edits = {{EditKind::ChangeHeader, 1, "Subject", " changed"},
                                                     {EditKind::ReplaceBody, 0, "", "new\r\n"},
                                                     {EditKind::Hold, 0, "", "a look"}};
  record();
  auto peer = ready_for_data();
  say(peer, "Subject: \xff\r\n\r\n" + std::string(63, 'x') + "\xc3\xa4\r\n.\r\nQUIT\r\n");
  const auto contents = lines("\"content\":{");
  ASSERT_THAT(contents, SizeIs(2));
  EXPECT_THAT(contents[0], HasSubstr("\"header\":{\"base64\":\"U3ViamVjdDog/w0K\"},\"body\":\"" + std::string(63, 'x') +
                                     "\",\"cut\":true}"));
  EXPECT_THAT(contents[1], HasSubstr("\"header\":\"Subject: changed\\r\\n\",\"body\":\"new\\r\\n\"}"));
  ASSERT_THAT(lines("\"event\":\"message\""), SizeIs(1));
  EXPECT_THAT(lines("\"event\":\"message\"")[0],
              AllOf(HasSubstr("\"edits\":[\"change_header 1 Subject:  changed\",\"replace_body 5 octets, SHA-256 "),
                    HasSubstr("\"hold a look\"]"), HasSubstr("\"queue_id\":\"")));
}

TEST_F(RecordedServer, WritesRedirectionsAndVersions) {
  filter_.says[MANSIO_STAGE_RCPT].outcome = StageOutcome::Ok;
  filter_.says[MANSIO_STAGE_RCPT].edits = {{EditKind::Redirect, 0, "", "r@x.two"}};
  filter_.says[MANSIO_STAGE_END_OF_MESSAGE].outcome = StageOutcome::Ok;
  filter_.says[MANSIO_STAGE_END_OF_MESSAGE].edits = {{EditKind::Version, 1, "", "r@x.two"},
                                                     {EditKind::AddHeader, 0, "X", "1", 1}};
  record();
  session();
  ASSERT_THAT(lines("\"event\":\"rcpt\",\"arguments\""), SizeIs(1));
  EXPECT_THAT(lines("\"event\":\"rcpt\",\"arguments\"")[0], HasSubstr("\"edits\":[\"redirect r@x.two\"]"));
  ASSERT_THAT(lines("\"event\":\"message\""), SizeIs(1));
  EXPECT_THAT(lines("\"event\":\"message\"")[0],
              AllOf(HasSubstr("\"arguments\":[\"r@x.two\"]"),
                    HasSubstr("\"edits\":[\"version 1 r@x.two\",\"of_version 1 add_header X: 1\"]")));
  const auto contents = lines("\"content\":{");
  ASSERT_THAT(contents, SizeIs(2));
  ASSERT_THAT(writer.stored_messages, SizeIs(1));
  EXPECT_THAT(contents[1], AllOf(HasSubstr("\"header\":\"Subject: hi\\r\\nX: 1\\r\\n\""),
                                 HasSubstr("\"queue_id\":\"" + to_string(writer.stored_messages[0].id) + '"')));
}

TEST_F(RecordedServer, RecordsContentThatNobodyAskedFor) {
  record(false);
  session();
  ASSERT_THAT(lines("\"content\":{"), SizeIs(1));
  EXPECT_THAT(lines("\"content\":{")[0], HasSubstr("\"header\":\"Subject: hi\\r\\n\",\"body\":\"body\\r\\n\"}"));
  EXPECT_THAT(lines("\"event\":\"message\""), IsEmpty());
  ASSERT_THAT(writer.stored_messages, SizeIs(1));
  EXPECT_EQ(writer.stored_messages[0].body, "Subject: hi\r\n\r\nbody\r\n");
}

TEST_F(RecordedServer, LeavesOutContentForWhichThereIsNoMemoryAndTakesTheMail) {
  settings.spool_settings.body_memory = 0;
  record(false);
  session();
  ASSERT_THAT(lines("\"content\":{"), SizeIs(1));
  EXPECT_THAT(lines("\"content\":{")[0], EndsWith("\"content\":{\"size\":21}}"));
  EXPECT_THAT(writer.stored_messages, SizeIs(1));
}

TEST_F(RecordedServer, KeepsRecordingsToItsUser) {
  record();
  session();
  struct stat about {};
  ASSERT_EQ(::stat(options_.directory.c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 0777, 0700u);
  ASSERT_THAT(files(), SizeIs(1));
  ASSERT_EQ(::stat(files()[0].c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 0777, 0600u);
}

TEST_F(RecordedServer, GoesOnWithoutADiskSaysSoOnceAndTriesAgain) {
  std::ofstream{options_.directory} << "no directory";
  record();
  session();
  session();
  clock.advance(61 * kSecond);
  session();
  EXPECT_THAT(writer.stored_messages, SizeIs(3));
  EXPECT_EQ(logged("\"event\":\"sessions are not recorded\""), 1u);
  EXPECT_FALSE(recorder_->counters().recording);

  std::filesystem::remove(options_.directory);
  clock.advance(61 * kSecond);
  session();
  EXPECT_EQ(logged("\"event\":\"sessions are recorded again\""), 1u);
  EXPECT_TRUE(recorder_->counters().recording);
  EXPECT_THAT(lines("\"event\":\"disconnect\""), SizeIs(1));
  EXPECT_THAT(writer.stored_messages, SizeIs(4));
}

TEST_F(RecordedServer, BeginsNoFileThatMightExceedTheLimitOfAll) {
  std::filesystem::create_directory(options_.directory);
  const auto old = options_.directory + "/old.jsonl";
  std::ofstream{old} << "x";
  std::filesystem::resize_file(old, options_.total_limit);
  record();
  session();
  EXPECT_THAT(files(), SizeIs(1));
  EXPECT_THAT(sink.text, HasSubstr("record_total_limit"));
  EXPECT_THAT(writer.stored_messages, SizeIs(1));
}

TEST_F(RecordedServer, LeavesTheDiskTheRoomThatMailMayNeed) {
  options_.keep_free = std::uint64_t{1} << 60;
  record();
  session();
  EXPECT_THAT(sink.text, HasSubstr("no more room than mail may need"));
  EXPECT_THAT(recorded(), IsEmpty());
  EXPECT_THAT(writer.stored_messages, SizeIs(1));
}

TEST_F(RecordedServer, BeginsANewFileWhenOneIsLargeAndEndsSessionsWhereTheyBegan) {
  options_.size_limit = 6000;  // some sessions
  record();
  auto first = greet();
  for (int i = 0; i < 20 && files().size() < 2; ++i) session();
  ASSERT_THAT(files(), SizeIs(2));
  say(first, "QUIT\r\n");
  EXPECT_THAT(lines("mansio_recording"), SizeIs(2));
  std::ifstream in{files()[0]};
  const std::string text{std::istreambuf_iterator<char>{in}, {}};
  EXPECT_THAT(text, HasSubstr("{\"session\":\"test.1\",\"at\":1700000000000000,\"event\":\"disconnect\""));
}

TEST_F(RecordedServer, StopsWhenTheDiskIsTooSlowAndMailDoesNotWait) {
  options_.memory = 4096;
  record();
  turns_.stuck = true;
  for (int i = 0; i < 5; ++i) session();
  EXPECT_THAT(writer.stored_messages, SizeIs(5));
  EXPECT_THAT(sink.text, HasSubstr("its disk is too slow"));
  EXPECT_EQ(logged("sessions are not recorded"), 1u);
  turns_.go_on();
  settle();
  EXPECT_EQ(logged("sessions are recorded again"), 0u) << "what comes late is of files that are over";
  clock.advance(61 * kSecond);
  session();
  EXPECT_EQ(logged("sessions are recorded again"), 1u);
}

TEST_F(RecordedServer, WritesWhatItHasWhenItEnds) {
  record();
  turns_.stuck = true;
  session();
  EXPECT_THAT(recorded(), IsEmpty());
  TearDown();
  EXPECT_THAT(lines("\"event\":\"disconnect\""), SizeIs(1));
}

}  // namespace
}  // namespace mansio::ingress
