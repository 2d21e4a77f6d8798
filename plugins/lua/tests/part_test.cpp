// message:parts(): the parts of a message as a script sees them, and what their bodies decode to.
#include <string>

#include "plugins/lua/tests/scripted.hpp"

namespace mansio::lua::testing {
namespace {

using ::testing::HasSubstr;

// In canonical form.
std::string crlf(const std::string &text) {
  std::string out;
  for (const char c : text) out += c == '\n' ? "\r\n" : std::string(1, c);
  return out;
}

FakeResult walked(Scripted &s, const std::string &message) {
  FakeStage stage;
  stage.stage = MANSIO_STAGE_END_OF_MESSAGE;
  stage.content = crlf(message);
  return s.host.run(stage);
}

// A script that runs `body` with the message, as a filter of the fake host.
std::string handler(const std::string &body) {
  return "mansio.on(\"end-of-message\", function(transaction, message)\n" + body + "\nend)\n";
}

// What `body` returns as a text for the message.
std::string said(const std::string &body, const std::string &message, const FakeHost::Options &options = {}) {
  Scripted s{handler("local function say()\n" + body + "\nend\nreturn mansio.reject(\"5.7.1\", say())"), options};
  const auto result = walked(s, message);
  return result.last->status == MANSIO_FAIL ? result.last->text : s.host.log;
}

constexpr auto kList = R"(
  local lines = {}
  for part in message:parts() do
    lines[#lines + 1] = part.number .. "." .. part.depth .. " " .. part.type .. (part.leaf and " " .. part:text() or "")
  end
  return table.concat(lines, " | "))";

constexpr auto kMixed = R"(Content-Type: multipart/mixed; boundary=one

--one
Content-Type: Text/Plain; charset=UTF-8
Content-Transfer-Encoding: quoted-printable
X-Tag: a
X-Tag: =?utf-8?q?b?=

caf=C3=A9=
=21
--one
Content-Type: application/octet-stream; name=other.bin
Content-Disposition: ATTACHMENT; filename*0*=utf-8''%C3%A4%20; filename*1=b.exe
Content-Transfer-Encoding: base64

aGVsbG8g
d29ybGQ=
--one--
)";

TEST(Parts, AreWalkedDepthFirst) {
  const auto message =
      "Content-Type: message/rfc822\n\nContent-Type: multipart/alternative; boundary=out\n\n--out\n\ntext\n--out\n" +
      std::string{kMixed} + "--out--\n";
  EXPECT_EQ(said(kList, message),
            "1.1 message/rfc822 | 2.2 multipart/alternative | 3.3 text/plain text | 4.3 multipart/mixed | "
            "5.4 text/plain caf\xc3\xa9! | 6.4 application/octet-stream hello world");
  EXPECT_EQ(said(kList, "Subject: a\n\nbody"), "1.1 text/plain body");
}

TEST(Parts, HaveTheirFacts) {
  Scripted s{handler(R"(
    local parts = {}
    for part in message:parts() do parts[#parts + 1] = part end
    local whole, text, file = table.unpack(parts)
    assert(#parts == 3 and not whole.leaf and text.leaf)
    assert(whole.parameters.boundary == "one" and whole.disposition == nil and whole.filename == nil)
    assert(text.parameters.charset == "UTF-8" and text.parameters.name == nil and text.encoding == "quoted-printable")
    assert(text:header("x-tag") == "a" and text:header("X-Tag", 2) == "=?utf-8?q?b?=" and text:header("X-Tag", 3) == nil)
    local fields = text:headers()
    assert(#fields == 4 and fields[3].name == "X-Tag" and fields[3].value == "a")
    assert(file.disposition == "attachment" and file.filename == "\u{e4} b.exe" and file.parameters.name == "other.bin")
    assert(file.disposition_parameters.filename == "\u{e4} b.exe" and file.encoding == "base64")
    assert(whole.encoding == "7bit" and whole.depth == 1 and file.number == 3)
    -- What has parts has no body of its own.
    assert(whole:text() == "")
    for _ in whole:body() do error("a piece") end
  )")};
  EXPECT_EQ(walked(s, kMixed).last->status, MANSIO_OK) << s.host.log;
}

TEST(Parts, HaveBodiesInPieces) {
  EXPECT_EQ(said(R"(
    local pieces = {}
    for part in message:parts() do
      for piece in part:body(4) do pieces[#pieces + 1] = piece end
    end
    return table.concat(pieces, "|"))",
                 kMixed),
            "caf\xc3|\xa9!|hell|o wo|rld");
  // Of a part that the walk has left, and of one in the middle of it.
  EXPECT_EQ(said(R"(
    local first, next_piece
    for part in message:parts() do
      if part.number == 2 then first, next_piece = part, part:body(3) end
    end
    return first:text(2) .. next_piece() .. next_piece() .. tostring(next_piece()) .. tostring(next_piece()))",
                 kMixed),
            "cacaf\xc3\xa9!nilnil");
}

TEST(Parts, OfALargeBodyTakeNoMemory) {
  std::string message = "Content-Transfer-Encoding: base64\n\n";
  for (int i = 0; i < 100'000; ++i) message += "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWZnaGlqa2xtbm9wcXJzdHV2d3h5\n";
  EXPECT_EQ(said(R"(
    local size = 0
    for part in message:parts() do
      for piece in part:body() do size = size + #piece end
    end
    return tostring(size))",
                 message, {{"call_memory", "1M"}, {"run_time", "60s"}}),
            std::to_string(100'000 * 51));
}

TEST(Parts, OfDamagedMailAreThere) {
  EXPECT_EQ(said(kList, "Content-Type: multipart/mixed; boundary=b\n\n--b\n\none\n--b\n\ntwo"),
            "1.1 multipart/mixed | 2.2 text/plain one | 3.2 text/plain two");
  EXPECT_EQ(said(kList, "Content-Type: multipart/mixed; boundary=b\n\n--b\nX: 1"),
            "1.1 multipart/mixed | 2.2 text/plain ");
  EXPECT_EQ(said(kList, ""), "1.1 text/plain ");
}

TEST(Parts, AreManyAndDeepUpToALimit) {
  constexpr auto kCount = R"(
    local count, deepest = 0, 0
    for part in message:parts() do count, deepest = count + 1, math.max(deepest, part.depth) end
    return count .. " " .. deepest)";
  std::string many = "Content-Type: multipart/mixed; boundary=b\n\n";
  for (int i = 0; i < 9'999; ++i) many += "--b\n\nx\n";
  EXPECT_EQ(said(kCount, many, {{"run_time", "60s"}}), "10000 2");
  EXPECT_THAT(said(kCount, many + "--b\n\nx\n", {{"run_time", "60s"}}), HasSubstr("more than 10000 parts"));
  std::string deep;
  for (int i = 1; i < 64; ++i) {
    const auto boundary = "level" + std::to_string(i) + "x";
    deep += "Content-Type: multipart/mixed; boundary=" + boundary + "\n\n--" + boundary + "\n";
  }
  EXPECT_EQ(said(kCount, deep + "\nx"), "64 64");
  EXPECT_THAT(said(kCount, deep + "Content-Type: message/rfc822\n\n\nx"), HasSubstr("more than 64 levels"));
}

TEST(Parts, AreWalkedWithinTheBudget) {
  std::string many = "Content-Type: multipart/mixed; boundary=b\n\n";
  for (int i = 0; i < 9'999; ++i) many += "--b\n\nx\n";
  EXPECT_THAT(said("for _ = 1, 1000 do for _ in message:parts() do end end return ''", many,
                   {{"instructions_limit", "1000000"}, {"run_time", "60s"}}),
              HasSubstr("instructions_limit"));
  EXPECT_THAT(
      said("local kept = {} while true do kept[#kept + 1] = message:parts() end", many, {{"call_memory", "2M"}}),
      HasSubstr("memory"));
}

TEST(Parts, TellAScriptOfASlip) {
  // The check at load does not know what a table's fields are.
  Scripted s{handler("local all = {} for part in message:parts() do all[1] = part end return all[1].file_name")};
  EXPECT_EQ(walked(s, kMixed).last->status, MANSIO_INTERNAL);
  EXPECT_THAT(s.host.log, HasSubstr("part has no field \"file_name\"; did you mean \"filename\"?"));
  Scripted assigning{handler("local all = {} for part in message:parts() do all[1] = part end all[1].type = \"a/b\"")};
  EXPECT_EQ(walked(assigning, kMixed).last->status, MANSIO_INTERNAL);
  EXPECT_THAT(assigning.host.log, HasSubstr("part cannot be changed"));
  Scripted keeping{"local kept, walk\n" + handler(R"(
    if kept then
      assert(not pcall(walk) and not pcall(function() return kept:text() end))
      assert(select(2, pcall(function() return kept.type end)):find("good in its handler only", 1, true))
      return
    end
    walk = message:parts()
    kept = walk())")};
  EXPECT_EQ(walked(keeping, kMixed).last->status, MANSIO_OK) << keeping.host.log;
  EXPECT_EQ(walked(keeping, kMixed).last->status, MANSIO_OK) << keeping.host.log;
}

}  // namespace
}  // namespace mansio::lua::testing
