local function load()
  local script = test.script("recipients-ldap.lua", {tables = {directory = {
    ["alice@example.com"] = "alice@example.com",
    ["slow@example.com"] = test.down("no server answers"),
  }}})
  local client = script:client()
  client:mail("a@example.org")
  return client, script
end

test.case("users are taken, by any of their addresses", function()
  local client = load()
  for _, address in ipairs{"alice@example.com", "Alice@Example.com", "alice+lists@example.com", "Postmaster@example.com"} do
    test.equal(client:rcpt(address), "accept", address)
  end
end)

test.case("nobody else is, and other domains are not judged", function()
  local client, script = load()
  for _, address in ipairs{"bob@example.com", "+lists@example.com"} do
    test.equal(client:rcpt(address), "550 5.1.1 no such user here", address)
  end
  test.equal(script:metric("recipients_unknown"), 2)
  test.equal(client:rcpt("bob@example.net"), "accept")
end)

test.case("a directory that is down refuses nobody", function()
  local client, script = load()
  test.equal(client:rcpt("slow@example.com").action, "defer")
  test.equal(script:metric("recipients_unknown"), 0)
  script:table("directory", {["slow@example.com"] = "slow@example.com"})
  test.equal(client:rcpt("slow@example.com"), "accept")
end)

test.case("what it said is remembered for a minute", function()
  local client, script = load()
  test.equal(client:rcpt("bob@example.com").action, "reject")
  script:table("directory", {["bob@example.com"] = "bob@example.com"})
  test.equal(client:rcpt("bob@example.com").action, "reject")
  script:advance("61s")
  test.equal(client:rcpt("bob@example.com"), "accept")
end)
