local function deferred(script, code, status, mail, text)
  mail = mail or {}
  mail.recipients = {{address = "bob@Busy.example", code = code, status = status, text = text or "come again"}}
  return script:retry(mail)
end

test.case("greylisting is over in minutes", function()
  local script = test.script("backoff.lua")
  test.equal(deferred(script, 450, "4.7.1").retry, 120.0)
  test.equal(deferred(script, 450, "4.7.1", {attempts = 3}).retry, 360.0)
  test.equal(deferred(script, 450, "4.7.1", {attempts = 4}), "accept")
end)

test.case("a server that is overrun has longer pauses", function()
  local script = test.script("backoff.lua")
  test.equal(deferred(script, 421, "4.7.0", {attempts = 9}).retry, 600.0)
  test.equal(deferred(script, 421, "4.3.2").retry, 1200.0)
  for _ = 1, 30 do deferred(script, 421, "4.3.2") end
  test.equal(deferred(script, 421, "4.3.2").retry, 4 * 3600.0)
  script:advance("2h")
  test.equal(deferred(script, 421, "4.3.2").retry, 600.0)
end)

test.case("receivers are understood by what they write", function()
  for code, said in pairs{["4.7.1"] = "Our system has detected an unusual rate of mail", ["4.7.0"] = "[TSS04] deferred",
                          ["4.7.650"] = "has been temporarily rate limited", ["4.7.28"] = "come again"} do
    test.equal(deferred(test.script("backoff.lua"), 450, code, nil, said).retry, 600.0, said)
  end
end)

test.case("a mailbox that stays full is given up", function()
  local script = test.script("backoff.lua", {clock = "2026-03-10T12:00:00Z"})
  local now = math.floor(script:now())
  test.equal(deferred(script, 452, "4.2.2", {arrival = now - 86400}), "accept")
  test.equal(deferred(script, 452, "4.2.2", {arrival = now - 3 * 86400}), "550 5.2.2 the mailbox stays full")
end)

test.case("what it has no opinion about waits as ever", function()
  test.equal(deferred(test.script("backoff.lua"), 451, "4.2.0"), "accept")
end)
