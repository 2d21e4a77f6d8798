local function begin(facts)
  local script = test.script("greylist.lua")
  local client = script:client(facts or {client_address = "192.0.2.1"})
  client:mail("a@example.org")
  return script, client
end

test.case("what is new has to come again", function()
  local script, client = begin()
  test.equal(client:rcpt("b@example.com"), "450 4.7.1 greylisted, please come again in five minutes")
  test.equal(client:rcpt("b@example.com"), "450 4.7.1 greylisted, please come again in some minutes")
  script:advance("11m")
  test.equal(client:rcpt("b@example.com"), "accept")
end)

test.case("another server of the network counts as the same, and case does not count", function()
  local script, client = begin()
  client:rcpt("b@example.com")
  local other = script:client{client_address = "192.0.2.9"}
  other:mail("A@Example.org")
  test.contains(other:rcpt("B@example.com"), "some minutes")
  script:advance("11m")
  test.equal(other:rcpt("B@example.com"), "accept")
end)

test.case("what came again is known for two weeks", function()
  local script, client = begin()
  client:rcpt("b@example.com")
  script:advance("1h")
  test.equal(client:rcpt("b@example.com"), "accept")
  script:advance("13d")
  test.equal(client:rcpt("b@example.com"), "accept")
  script:advance("30d")
  test.contains(client:rcpt("b@example.com"), "five minutes")
end)

test.case("our own clients do not wait", function()
  local _, trusted = begin{trusted = true}
  test.equal(trusted:rcpt("b@example.com"), "accept")
  local _, user = begin{auth_user = "alice"}
  test.equal(user:rcpt("b@example.com"), "accept")
end)
