-- A spamd that says `answer`, and notes what it was asked.
local function filter(answer)
  local asked = {}
  local function spamd(peer)
    local command, length = peer:read_line(), nil
    local line = peer:read_line()
    while line ~= "" do
      length = tonumber(line:match("^Content%-length: (%d+)$")) or length
      line = peer:read_line()
    end
    asked[#asked + 1] = command .. "|" .. peer:read(length)
    peer:write("SPAMD/1.1 ", answer)
  end
  return test.script("spamd.lua", {options = {allow = "connect"}, servers = {["127.0.0.1:783"] = spamd}}), asked
end

local function judged(script, facts)
  local client = script:client(facts)
  client:mail("a@example.com")
  client:rcpt("b@example.com")
  return client:message{"X-Spam-Flag: NO", "Subject: a", body = "body"}
end

test.case("spam is marked", function()
  local script, asked = filter("0 EX_OK\r\nContent-length: 8\r\nSpam: True ; 7.3 / 5.0\r\n\r\nONE,TWO\n")
  test.golden("spamd.eml", judged(script))
  test.equal(asked, {"SYMBOLS SPAMC/1.5|X-Spam-Flag: NO\r\nSubject: a\r\n\r\nbody\r\n"})
end)

test.case("what is none says so", function()
  local message = judged((filter("0 EX_OK\r\nSpam: False ; -0.1 / 5.0\r\n\r\n"))).message
  test.equal(message:header("X-Spam-Flag"), nil)
  test.equal(message:header("X-Spam-Status"), "No, score=-0.1 required=5.0 tests=none")
end)

test.case("far too much is refused", function()
  local script = filter("0 EX_OK\r\nSpam: True ; 25.0 / 5.0\r\n\r\nONE\n")
  test.equal(judged(script), "550 5.7.1 this looks like spam")
  test.equal(script:metric("spamd_refused"), 1)
end)

test.case("without a verdict the client comes again", function()
  test.equal(judged((filter("76 Bad header line\r\n\r\n"))), "451 4.3.0 the spam filter cannot answer now")
  test.equal(judged((filter("0 EX_OK\r\n\r\n"))), "451 4.3.0 the spam filter gave no verdict")
  local down = test.script("spamd.lua", {options = {allow = "connect"},
                                         servers = {["127.0.0.1:783"] = test.down("Connection refused")}})
  test.equal(judged(down).action, "defer")
  test.contains(down:log(), "Connection refused")
end)

test.case("our own mail and large messages are not asked about", function()
  local script, asked = filter("0 EX_OK\r\nSpam: True ; 25.0 / 5.0\r\n\r\nONE\n")
  test.equal(judged(script, {trusted = true}).action, "accept")
  test.equal(judged(script, {auth_user = "alice"}).action, "accept")
  local client = script:client()
  client:mail("a@example.com")
  client:rcpt("b@example.com")
  test.equal(client:message{"Subject: a", body = ("x\n"):rep(200000)}.action, "accept")
  test.equal(asked, {})
end)
