// The libraries that scripts find, by assertions in Lua.
#include "plugins/lua/lib/network.hpp"
#include "plugins/lua/names.hpp"
#include "plugins/lua/tests/scripted.hpp"

namespace mansio::lua::testing {
namespace {

using ::testing::HasSubstr;

TEST(Libraries, HaveLuasPatterns) {
  EXPECT_EQ(check(R"lua(
    local function same(expected, ...)
      local got = table.pack(...)
      for i = 1, got.n do got[i] = tostring(got[i]) end
      got = table.concat(got, ",")
      assert(got == expected, got .. " instead of " .. expected)
    end
    same("2,4", ("hello"):find("ell"))
    same("2,4", ("hello"):find("e.l"))
    same("nil", ("hello"):find("x"))
    same("4,4", ("a.b.c"):find(".", 3, true))
    same("1,0", (""):find(""))
    same("4,3", ("abc"):find("", 4, true))
    same("3,4", ("a\0b\0c"):find("b\0", 2, true))
    same("nil", ("abc"):find("b", 10))
    same("2,2", ("abc"):find("b", -2))
    same("1,2,a,b", ("ab"):find("(a)(b)"))
    same("user,example.com", ("user@example.com"):match("^([^@]+)@(.+)$"))
    same("hello", ("  hello "):match("^%s*(.-)%s*$"))
    same("1,4", ("abc"):match("()%a+()"))
    same("[in [brackets]]", ("x [in [brackets]] y"):match("%b[]"))
    same("'q'", ("a 'q' b"):match("%b''"))
    same("THE", ("THE (quick) fox"):match("%f[%a]%a+%f[%A]"))
    same("end", ("the end"):match("%f[%w]%w+$"))
    same("\"x\"", ('say "x" now'):match("([\"']).-%1") and ('say "x" now'):match("[\"'].-[\"']"))
    same("-5", ("x-5"):match("[+-]?%d+"))
    same("]", ("a]b"):match("[]]"))
    same("b", ("a]b"):match("[^]a]"))
    same("a-z", ("a-z"):match("[a%-z]+"))
    same("%", ("5%"):match("%%"))
    same("(*)", ("f(*)"):match("%(%*%)"))
    same("ab*", ("ab*"):match("(ab)*") .. "*")
    same("nil", ("aaa"):match("^b"))
    same("h-ll-,2", ("hello"):gsub("[eo]", "-"))
    same("hh-eello,1", ("hello"):gsub("(h)(e)", "%1%1-%2%2"))
    same("<h><e>,2", ("he"):gsub(".", "<%0>"))
    same("%he,1", ("he"):gsub("^", "%%"))
    same("-a-b-,3", ("ab"):gsub("", "-"))
    same("-b-,2", ("aab"):gsub("a*", "-"))
    same("ONE two,1", ("one two"):gsub("%a+", string.upper, 1))
    same("1 $y,2", ("$x $y"):gsub("%$(%a)", {x = "1"}))
    same("x,0", ("x"):gsub("y", error))
    local words = {}
    for word in ("one two  three"):gmatch("%a+") do words[#words + 1] = word end
    same("one two three", table.concat(words, " "))
    local pairs_found = {}
    for key, value in ("a=1, b=2"):gmatch("(%w+)=(%w+)") do pairs_found[#pairs_found + 1] = key .. value end
    same("a1b2", table.concat(pairs_found))
    assert(not pcall(string.find, "x", "(x"))
    assert(not pcall(string.match, "x", "x)"))
    assert(not pcall(string.find, "x", "[x"))
    assert(not pcall(string.find, "x", "%"))
    assert(not pcall(string.find, "x", "%1"))
    assert(not pcall(string.gsub, "x", "x", "%2"))
    assert(("a\0b"):find("\0") == 2 and ("\xff"):match("[\x80-\xff]") == "\xff")
  )lua"),
            "");
}

TEST(Libraries, HavePerlsExpressions) {
  EXPECT_EQ(check(R"lua(
    local date = mansio.re.compile("(?<y>\\d{4})-(\\d\\d)")
    local year, month = date:match("on 2026-01-31")
    assert(year == "2026" and month == "01")
    assert(date:test("2026-01") and not date:test("no") and date:match("no") == nil)
    assert(date:find("x 2026-01") == 3 and select(2, date:find("x 2026-01")) == 9)
    assert(date:group("2026-01", "y") == "2026" and date:group("2026-01", 0) == "2026-01")
    assert(mansio.re.compile("A", "i"):test("a") and not mansio.re.compile("A"):test("a"))
    assert(mansio.re.compile("^caf.$", "u"):test("caf\u{e9}") and mansio.re.compile("x", "u"):test("\xff x \xc3"))
    local many = mansio.re.compile(("(.)"):rep(40))
    local replaced = ("ab"):gsub("(.)", function(c) assert(many:match(("x"):rep(40)) == "x"); return c .. c end)
    assert(replaced == "aabb" and select("#", many:match(("x"):rep(40))) == 40)
    local optional = mansio.re.compile("(a)|(b)")
    local a, b = optional:match("b")
    assert(a == false and b == "b")
    local seen = {}
    for number in mansio.re.compile("\\d+"):each("1 22 333") do seen[#seen + 1] = number end
    assert(table.concat(seen, ",") == "1,22,333")
    local text, n = mansio.re.compile("(\\w+)@(\\w+)"):replace("a@b c@d", "$2 at $1 $$")
    assert(text == "b at a $ d at c $" and n == 2)
    assert(mansio.re.compile("x*"):replace("abc", "-") == "-a-b-c-")
    assert(mansio.re.compile(mansio.re.escape("a.b*[c]")):match("xa.b*[c]") == "a.b*[c]")
    assert(not pcall(mansio.re.compile, "(") and not pcall(mansio.re.compile, "x", "q"))
  )lua"),
            "");
  EXPECT_THAT(check("mansio.re.compile('x'):mtach('x')"), HasSubstr("regex has no \"mtach\"; did you mean \"match\"?"));
}

TEST(Libraries, HaveJson) {
  EXPECT_EQ(check(R"lua(
    local json = mansio.json
    local value = json.decode('{"b":[1,2.5,"x",null,true],"a":{},"c":[]}')
    assert(value.b[1] == 1 and math.type(value.b[1]) == "integer" and value.b[2] == 2.5 and value.b[4] == json.null)
    assert(json.encode(value) == '{"a":{},"b":[1,2.5,"x",null,true],"c":[]}')
    assert(json.encode({1, 2}) == "[1,2]" and json.encode({}) == "{}" and json.encode(json.array()) == "[]")
    assert(json.encode("a\"\n") == '"a\\"\\n"')
    local nothing, why = json.decode("{")
    assert(nothing == nil and type(why) == "string")
    assert(not pcall(json.encode, print) and not pcall(json.encode, 0/0) and not pcall(json.encode, {[1.5] = 1}))
  )lua"),
            "");
}

TEST(Libraries, HaveHashesAndBase64) {
  EXPECT_EQ(check(R"lua(
    local hash = mansio.hash
    assert(hash.sha256("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    assert(hash.sha1("abc") == "a9993e364706816aba3e25717850c26c9cd0d89d")
    assert(hash.md5("") == "d41d8cd98f00b204e9800998ecf8427e" and #hash.sha512("", "raw") == 64)
    assert(hash.hmac("md5", "key", "The quick brown fox jumps over the lazy dog") == "80070713463e7749b90c2dc24911e275")
    assert(hash.equal("a", "a") and not hash.equal("a", "b") and not hash.equal("a", "ab"))
    assert(hash.hex("\0\xff") == "00ff")
    for _, text in ipairs{"", "f", "fo", "foo", "foob"} do
      assert(mansio.base64.decode(mansio.base64.encode(text)) == text)
    end
    assert(mansio.base64.encode("foob") == "Zm9vYg==" and mansio.base64.decode("Zm9v\r\nYg==") == "foob")
    for _, text in ipairs{"Z", "Zm9vYg=", "====", "Zm=v", "Zm9_"} do assert(mansio.base64.decode(text) == nil, text) end
  )lua"),
            "");
}

TEST(Libraries, HaveTimesAndAddresses) {
  EXPECT_EQ(check(R"lua(
    assert(mansio.time.iso(0) == "1970-01-01T00:00:00Z")
    assert(mansio.time.rfc5322(1769860800) == "Sat, 31 Jan 2026 12:00:00 +0000")
    assert(mansio.time.seconds("5m") == 300 and mansio.time.seconds("500ms") == 0.5 and mansio.time.seconds(7) == 7)
    assert(mansio.time.now() > 1e9 and mansio.time.monotonic() >= 0)
    local set = mansio.ip.set{"192.0.2.0/25", "2001:db8::/33", "198.51.100.7"}
    assert(set:contains("192.0.2.127") and not set:contains("192.0.2.128"))
    assert(set:contains("2001:db8:7fff::1") and not set:contains("2001:db8:8000::1"))
    assert(set:contains("198.51.100.7") and set:contains("::ffff:198.51.100.7") and not set:contains("198.51.100.8"))
    assert(mansio.ip.parse("2001:DB8:0:0::1") == "2001:db8::1" and mansio.ip.parse("x") == nil)
    assert(mansio.ip.version("::1") == 6 and mansio.ip.version("127.0.0.1") == 4)
    assert(mansio.ip.reverse("127.0.0.2") == "2.0.0.127")
    assert(#mansio.ip.reverse("2001:db8::1") == 63)
    assert(not pcall(mansio.ip.set, {"192.0.2.0/33"}) and not pcall(set.contains, set, "x"))
  )lua"),
            "");
}

TEST(Libraries, KnowTheFormsOfDomainNames) {
  EXPECT_EQ(check(R"lua(
    local idna = mansio.idna
    assert(idna.to_ascii("B\u{dc}CHER.Example.") == "xn--bcher-kva.example")
    assert(idna.to_unicode("XN--bcher-kva.example") == "b\u{fc}cher.example")
    assert(idna.to_ascii("a\u{3002}example") == "a.example")
    assert(idna.to_ascii("R1---sn-x._dmarc.example") == "r1---sn-x._dmarc.example")
    assert(idna.to_unicode("a_b.example") == "a_b.example")
    local bad = {"", ".", "a..b", "-a.example", "a-.example", "a b", "a\0.example", "\u{ad}", "\xff", "[192.0.2.1]",
                 "xn--zz!.example", "xn--0.pt", "xn--kvakvastrae-oqa.example", ("a"):rep(64) .. ".example",
                 ("a."):rep(127) .. "example", ("x"):rep(1 << 20)}
    for _, name in ipairs(bad) do
      local made, why = idna.to_ascii(name)
      assert(made == nil and #why > 0, name)
      made, why = idna.to_unicode(name)
      assert(made == nil and #why > 0, name)
    end
    assert(not pcall(idna.to_ascii) and not pcall(idna.to_unicode, {}))
  )lua"),
            "");
  EXPECT_THAT(check("mansio.idna.to_asci('x')"),
              HasSubstr("mansio.idna has no \"to_asci\"; did you mean \"to_ascii\"?"));
}

TEST(Libraries, KnowPublicSuffixes) {
  EXPECT_EQ(check(R"lua(
    local function suffix(name, expected, listed)
      local got, known = mansio.suffix.of(name)
      assert(got == expected and known == listed, ("%s: %s %s"):format(name, got, known))
    end
    suffix("A.b.co.uk", "co.uk", true)
    suffix("co.uk.", "co.uk", true)
    suffix("b.a.ck", "a.ck", true)  -- *.ck, and !www.ck
    suffix("www.ck", "ck", true)
    suffix("a.mansio-has-no-such-tld", "mansio-has-no-such-tld", false)
    suffix("\u{98df}\u{72ee}.\u{516c}\u{53f8}.cn", "xn--55qx5d.cn", true)
    for _, name in ipairs{"", "a..b", "192.0.2.1", "[192.0.2.1]", ("x"):rep(1 << 20)} do
      suffix(name, nil, nil)
      assert(mansio.suffix.registrable(name) == nil)
    end
    local registrable = mansio.suffix.registrable
    assert(registrable("mail.A.co.uk") == "a.co.uk" and registrable("a.co.uk") == "a.co.uk")
    assert(registrable("co.uk") == nil and registrable("uk") == nil and registrable("www.ck") == "www.ck")
    assert(registrable("mx.b\u{fc}cher.de") == "xn--bcher-kva.de")
  )lua"),
            "");
}

TEST(Libraries, ChargeForDomainNames) {
  Scripted s{R"lua(
    mansio.on("rcpt", function()
      local name = ("b\u{fc}cher."):rep(20) .. "example"
      while true do mansio.idna.to_ascii(name); mansio.suffix.of(name) end
    end)
  )lua",
             {{"instructions_limit", "1000000"}, {"run_time", "60s"}}};
  EXPECT_EQ(s.rcpt("a@example.com").last->status, MANSIO_INTERNAL);
  EXPECT_THAT(s.host.log, HasSubstr("instructions_limit"));
}

TEST(Libraries, CountWithinAWindow) {
  Scripted s{R"lua(
    mansio.on("rcpt", function()
      local window = mansio.window("mails", "1h")
      assert(window:count("a") == 0 and window:add("a") == 1 and window:add("a", 3) == 4 and window:count("b") == 0)
      assert(mansio.window("mails", "1h"):count("a") == 4)
      assert(not pcall(mansio.window, "mails", "2h") and not pcall(mansio.window, "old", "40000d"))
      local long = ("k"):rep(257)
      assert(window:add(long) == 1 and window:count(long) == 1 and window:count(long .. "k") == 0)
      assert(mansio.window(("n"):rep(128), "1h") and not pcall(mansio.window, ("n"):rep(129), "1h"))
      assert(not pcall(mansio.window, "", "1h"))
      for i = 3, 1000 do mansio.window("w" .. i, "1h") end
      assert(mansio.window("w1000", "1h") and not pcall(mansio.window, "w1001", "1h"))
      for i = 1, 10001 do assert(mansio.counter.get("asked" .. i) == 0) end
      assert(not pcall(mansio.counter.add, ("n"):rep(129)) and not pcall(mansio.counter.get, ""))
      assert(mansio.counter.get("x") == 0 and mansio.counter.add("x", 5) == 5 and mansio.counter.get("x") == 5)
      for i = 2, 10000 do mansio.counter.add("c" .. i) end
      local fine, why = pcall(mansio.counter.add, "one more")
      assert(not fine and why:find("too many counters") and mansio.counter.add("x", -6) == -1)
      return mansio.reject("5.7.1", "counted")
    end)
  )lua",
             {{"run_time", "60s"}}};
  EXPECT_EQ(s.rcpt("a@example.com").last->text, "counted") << s.host.log;
}

TEST(Names, FindsTheNearest) {
  const std::vector<std::string_view> known{"connect", "helo", "rcpt", "data", "end-of-message"};
  EXPECT_EQ(nearest("rctp", known), "rcpt");
  EXPECT_EQ(nearest("end_of_message", known), "end-of-message");
  EXPECT_EQ(nearest("EHLO", known), "helo");
  EXPECT_EQ(nearest("quit", known), "");
  EXPECT_EQ(nearest("do", known), "");
}

TEST(Names, SaysWhatElseThereIs) {
  const std::vector<std::string_view> known{"client_address", "helo_name", "helo_domain_name"};
  EXPECT_EQ(did_you_mean_or("helo", known), R"(; did you mean "helo_name"?)");
  EXPECT_EQ(did_you_mean_or("address", known), R"(; did you mean "client_address"?)");
  EXPECT_EQ(did_you_mean_or("addr", known), "; there is client_address, helo_name, helo_domain_name");
  EXPECT_EQ(did_you_mean("addr", known), "");
  EXPECT_EQ(did_you_mean_or("addr", std::vector<std::string_view>(27, "helo_name")), "");
}

}  // namespace
}  // namespace mansio::lua::testing
