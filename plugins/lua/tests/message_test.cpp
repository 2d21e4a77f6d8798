// The message at its end: its header fields, its body in pieces, and its edits.
#include "plugins/lua/header.hpp"
#include "plugins/lua/tests/scripted.hpp"

namespace mansio::lua::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::MatchesRegex;
using ::testing::Pair;

constexpr auto kMessage =
    "Received: one\r\nSubject: a\r\n\tb  \r\nX-Tag: 1\r\nx-tag: 2\r\nBroken\r\n\r\nfirst\r\nsecond\r\n";

FakeResult at_end(Scripted &s, const std::string &content = kMessage) {
  FakeStage stage;
  stage.stage = MANSIO_STAGE_END_OF_MESSAGE;
  stage.content = content;
  return s.host.run(stage);
}

TEST(Message, IsReadByFieldsAndPieces) {
  Scripted s{R"(
    mansio.on("end-of-message", function(transaction, message)
      assert(message:header("subject") == "a\tb" and message:header("X-TAG", 2) == "2")
      assert(not message:header("X-TAG", 3))
      assert(not message:header("To"))
      local names = {}
      for _, field in ipairs(message:headers()) do names[#names + 1] = field.name end
      assert(table.concat(names, " ") == "Received Subject X-Tag x-tag")
      local pieces = {}
      for piece in message:body(4) do pieces[#pieces + 1] = piece end
      assert(table.concat(pieces, "|") == "firs|t\r\ns|econ|d\r\n")
      local whole = ""
      for piece in message:raw(7) do whole = whole .. piece end
      assert(#whole == message.size and whole:find("^Received: one\r\n") and whole:find("second\r\n$"))
      assert(message:text() == "first\r\nsecond\r\n" and message:text(5) == "first")
      message:progress()
    end)
  )"};
  const auto result = at_end(s);
  EXPECT_EQ(result.last->status, MANSIO_OK) << s.host.log;
  EXPECT_EQ(result.progress, 1u);
}

TEST(Message, HasFieldsWithNamesAndValuesAndNothingElse) {
  Scripted s{R"(
    mansio.on("end-of-message", function(transaction, message)
      local way = {field = message:headers()[2]}
      way.field.value = way.field.name .. " changed"  -- in this list, and not in the message
      assert(way.field.value == "Subject changed" and message:header("Subject") == "a\tb")
      local _, why = pcall(function() return way.field.valeu end)
      return mansio.reject("5.7.1", why:match(': (.*)'))
    end)
  )"};
  EXPECT_EQ(at_end(s).last->text, R"(header field has no "valeu"; did you mean "value"?)") << s.host.log;
}

TEST(Message, MayHaveNoHeaderOrNoBody) {
  Scripted s{R"(
    mansio.on("end-of-message", function(_, message)
      return mansio.reject("5.7.1", #message:headers() .. " " .. message.size .. " " .. #message:text())
    end)
  )"};
  EXPECT_EQ(at_end(s, "\r\nabc\r\n").last->text, "0 7 5");
  EXPECT_EQ(at_end(s, "A: b\r\n\r\n").last->text, "1 8 0");
  EXPECT_EQ(at_end(s, "A: b\r\n").last->text, "1 6 0");
  EXPECT_EQ(at_end(s, "").last->text, "0 0 0");
}

TEST(Message, IsNoMessageWithoutFieldsForOneThatAsksTwice) {
  Scripted s{R"(
    mansio.on("end-of-message", function(_, message)
      for i = 1, 2 do
        local ok, why = pcall(message.headers, message)
        assert(not ok and why:find("too large", 1, true), tostring(why))
      end
    end)
  )",
             {{"run_time", "60s"}}};
  EXPECT_EQ(at_end(s, "A: " + std::string(5 << 20, 'x') + "\r\n\r\n").last->status, MANSIO_OK) << s.host.log;
}

TEST(Message, KeepsItsFieldsWithinTheMemoryOfTheCall) {
  std::string fields;
  for (int i = 0; i < 100'000; ++i) fields += "a:\r\n";
  constexpr auto kAsksTwice = R"(
    mansio.on("end-of-message", function(_, message)
      local _, first = pcall(message.header, message, "b")
      local _, second = pcall(message.header, message, "b")
      local fits = pcall(string.rep, "x", 400000)  -- nothing is left of what could not be read
      mansio.log.info("%s|%s|%s", first, second, fits)
    end)
  )";
  Scripted little{kAsksTwice, {{"call_memory", "1M"}, {"run_time", "60s"}}};
  at_end(little, fields + "\r\nbody\r\n");
  EXPECT_THAT(little.host.log, MatchesRegex(".*not enough memory for [0-9]+ octets.*[(]call_memory[)][|]"
                                            ".*not enough memory for [0-9]+ octets.*[(]call_memory[)][|]true\n"));
  Scripted enough{kAsksTwice, {{"call_memory", "16M"}, {"run_time", "60s"}}};
  at_end(enough, fields + "\r\nbody\r\n");
  EXPECT_EQ(enough.host.log, "nil|nil|true\n");
}

TEST(Message, IsHeldAgainstEveryHandlerThatReadsIt) {
  Scripted s{R"(
    local function reads(message)
      assert(#message:header("A") == 300000)
      assert(pcall(string.rep, "x", 250000) and not pcall(string.rep, "x", 400000))
    end
    mansio.on("end-of-message", {on_error = "accept"}, function(_, message) reads(message) error("as asked") end)
    mansio.on("end-of-message", function(_, message) reads(message) return mansio.reject("5.7.1", "the second") end)
  )",
             {{"call_memory", "1M"}, {"run_time", "60s"}}};
  EXPECT_EQ(at_end(s, "A:" + std::string(300'000, 'x') + "\r\n\r\n").last->text, "the second") << s.host.log;
  EXPECT_THAT(s.host.log, HasSubstr("as asked"));
}

TEST(Message, IsReadAsAStreamHoweverLargeItIs) {
  const std::string body(10 << 20, 'x');
  const auto octets = [&](const std::string &work) {  // what is logged, and how much of a new body there is
    Scripted s{
        "mansio.on('end-of-message', function(_, message) local n = 0 " + work + " mansio.log.info('%d', n) end)",
        {{"call_memory", "1M"}, {"run_time", "60s"}}};
    std::size_t replaced = 0;
    for (const auto &edit : at_end(s, "Subject: a\r\n\r\n" + body).edits)
      replaced += edit.size() - std::string_view{"replace_body "}.size();
    return std::pair{s.host.log, replaced};
  };
  const auto of_body = std::to_string(body.size()) + "\n", of_all = std::to_string(body.size() + 14) + "\n";
  EXPECT_THAT(octets("for piece in message:body() do n = n + #piece end"), Pair(of_body, 0));
  EXPECT_THAT(octets("for piece in message:raw() do n = n + #piece end"), Pair(of_all, 0));
  EXPECT_THAT(octets("for piece in message:body() do n = n + #piece message:replace_body(piece:upper()) end"),
              Pair(of_body, body.size()));
  EXPECT_THAT(octets("local all = {} for piece in message:body() do all[#all + 1] = piece end").first,
              HasSubstr("not enough memory"));  // so the limit is one
}

TEST(Message, IsEditedInOrder) {
  Scripted s{R"(
    mansio.on("end-of-message", function(_, message)
      message:add_header("X-Seen", "yes")
      message:insert_header(1, "X-First", "1")
      message:set_header("Subject", "new")
      message:remove_header("X-Tag")
      message:remove_header("Received", 1)
      message:set_sender("s@example.com")
      message:add_recipient("r@example.com")
      message:remove_recipient("d@example.com")
      for piece in message:body() do message:replace_body(piece:upper()) end
    end)
  )"};
  const auto result = at_end(s);
  EXPECT_THAT(result.edits,
              ElementsAre("add_header X-Seen: yes", "insert_header 0 X-First: 1", "change_header 1 Subject: new",
                          "delete_header 2 X-Tag", "delete_header 1 X-Tag", "delete_header 1 Received",
                          "set_sender s@example.com", "add_recipient r@example.com", "delete_recipient d@example.com",
                          "replace_body FIRST\r\nSECOND\r\n"))
      << s.host.log;
}

TEST(Message, HasVersionsForSomeOfItsRecipients) {
  Scripted s{R"(
    mansio.on("end-of-message", function(_, message)
      assert(table.concat(message.recipients, " ") == "alice@example.com bob@example.com carol@example.com")
      message:add_header("X-Seen", "yes")
      local bobs = message:version{"bob@example.com"}
      assert(bobs.number == 1)
      bobs:set_header("Subject", "for bob")
      bobs:remove_header("X-Tag")
      bobs:insert_header(1, "X-First", "1")
      bobs:add_header("X-Last", "1")
      for piece in message:body() do bobs:replace_body(piece) end
      message:set_header("Subject", "for the rest")
      for _, refused in ipairs{{"bob@example.com"}, {"stranger@example.com"}, {}} do
        local ok, why = pcall(message.version, message, refused)
        assert(not ok and why:find("version was refused", 1, true), why)
      end
      local ok, why = pcall(message.version, message, {1, true})
      assert(not ok and why:find("a recipient", 1, true), why)
      local unknown = ({bobs})[1]  -- of which the check at load does not know what it is
      ok, why = pcall(function() return unknown.add_heder end)
      assert(not ok and why:find("version has no field", 1, true) and why:find("add_header", 1, true), why)
      ok, why = pcall(function() unknown.number = 2 end)
      assert(not ok and why:find("cannot be changed", 1, true), why)
    end)
  )"};
  FakeStage stage;
  stage.stage = MANSIO_STAGE_END_OF_MESSAGE;
  stage.arguments = {"alice@example.com", "bob@example.com", "carol@example.com"};
  stage.content = kMessage;
  const auto result = s.host.run(stage);
  EXPECT_THAT(result.edits,
              ElementsAre("add_header X-Seen: yes", "version 1 bob@example.com",
                          "of_version 1 change_header 1 Subject: for bob", "of_version 1 delete_header 2 X-Tag",
                          "of_version 1 delete_header 1 X-Tag", "of_version 1 insert_header 0 X-First: 1",
                          "of_version 1 add_header X-Last: 1", "of_version 1 replace_body first\r\nsecond\r\n",
                          "change_header 1 Subject: for the rest"))
      << s.host.log;
}

TEST(Message, TellsAScriptOfASlip) {
  Scripted s{R"(mansio.on("end-of-message", function(_, ...) return (...):add_heder("A", "b") end))"};
  EXPECT_EQ(at_end(s).last->status, MANSIO_INTERNAL);
  EXPECT_THAT(s.host.log, HasSubstr(":1: message has no field \"add_heder\"; did you mean \"add_header\"?"));
  EXPECT_THAT(at_end(s).edits, IsEmpty());
}

TEST(Header, IsParsedFieldByField) {
  const auto fields = parse_header("A: 1\r\n : 2\r\nno field\r\n folded\r\nB:\r\n c\r\n");
  ASSERT_EQ(fields.size(), 2u);
  EXPECT_EQ(fields[0].name, "A");
  EXPECT_EQ(fields[0].value, "1 : 2");
  EXPECT_EQ(fields[1].value, "c");
  EXPECT_THAT(parse_header(" begins folded\r\n"), IsEmpty());
}

}  // namespace
}  // namespace mansio::lua::testing
