local function send(message, facts)
  local client = test.script("banner.lua"):client(facts)
  client:mail("a@example.org")
  client:rcpt("b@example.com")
  return client:message(message)
end

test.case("plain text from outside gets a banner", function()
  test.golden("banner.eml", send{"Subject: hello", "From: a@example.org", body = "Good morning.\n"})
end)

test.case("other forms are left as they are", function()
  for _, line in ipairs{"Content-Type: TEXT/HTML", "Content-Transfer-Encoding: base64"} do
    local result = send{line, body = "<p>body\n"}
    test.equal(result.edits, {}, line)
    test.equal(result.message.body, "<p>body\r\n", line)
  end
end)

test.case("signed mail and our own is left as it is", function()
  test.equal(send{"DKIM-Signature: v=1", body = "body\n"}.edits, {})
  test.equal(send({"Subject: hello", body = "body\n"}, {trusted = true}).edits, {})
end)
