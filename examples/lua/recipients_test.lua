local function load()
  return test.script("recipients.lua", {
    tables = {users = {["alice@example.com"] = "1", ["slow@example.com"] = test.down("the server is away")}},
  })
end

test.case("what follows the plus does not count, nor does case", function()
  local script = load()
  test.equal(script:lookup("recipients", "alice@example.com"), "1")
  test.equal(script:lookup("recipients", "Alice+lists@Example.com"), "1")
end)

test.case("who is not there is not there", function()
  local script = load()
  test.equal(script:lookup("recipients", "bob@example.com"), nil)
  test.equal(script:lookup("recipients", "nonsense"), nil)
end)

test.case("a table that is down makes this one try later", function()
  test.equal(load():lookup("recipients", "slow@example.com").action, "defer")
end)
