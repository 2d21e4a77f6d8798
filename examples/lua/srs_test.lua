local function load(settings)
  local all = {secret = "of the test"}
  for name, value in pairs(settings or {}) do all[name] = value end
  return test.script("srs.lua", {settings = all})
end

test.case("a strange sender gets an address of ours, which leads back to him", function()
  local script = load()
  local ours = script:lookup("srs-forward", "Alice@other.example")
  test.matches(ours, "^SRS0=%x%x%x%x%x%x%x%x=%w%w=other%.example=Alice@srs%.example%.com$")
  test.equal(script:lookup("srs-reverse", ours), "Alice@other.example")
  test.equal(script:lookup("srs-reverse", ours:lower()), "alice@other.example")
end)

test.case("our own senders keep theirs", function()
  local script = load()
  test.equal(script:lookup("srs-forward", "bob@example.com"), nil)
  test.equal(script:lookup("srs-forward", "SRS0=x@srs.example.com"), nil)
  test.equal(script:lookup("srs-forward", "@other.example"), nil)
  test.equal(script:lookup("srs-forward", ""), nil)
end)

test.case("what has been rewritten elsewhere grows once", function()
  local script = load()
  local theirs = "SRS0=HHHH=TT=first.example=user@second.example"
  local ours = script:lookup("srs-forward", theirs)
  test.matches(ours, "^SRS1=%x+=second%.example==HHHH=TT=first%.example=user@srs%.example%.com$")
  test.equal(script:lookup("srs-reverse", ours), theirs)
  -- And from one that has SRS1 already: the first server is the one to return to.
  local third = ours:gsub("@srs%.example%.com$", "@third.example")
  test.equal(script:lookup("srs-reverse", script:lookup("srs-forward", third)), theirs)
end)

test.case("strangers cannot make such an address", function()
  local script = load()
  local ours = script:lookup("srs-forward", "alice@other.example")
  test.equal(script:lookup("srs-reverse", (ours:gsub("alice", "bob"))), nil)
  test.equal(script:lookup("srs-reverse", (ours:gsub("=%x+=", "=00000000=", 1))), nil)
  test.equal(script:lookup("srs-reverse", "alice@srs.example.com"), nil)
  test.equal(script:lookup("srs-reverse", (ours:gsub("srs%.", ""))), nil, "another domain is none of ours")
end)

test.case("an address is good for three weeks", function()
  local script = load()
  local ours = script:lookup("srs-forward", "alice@other.example")
  script:advance("21d")
  test.equal(script:lookup("srs-reverse", ours), "alice@other.example")
  script:advance("1d")
  test.equal(script:lookup("srs-reverse", ours), nil)
end)

test.case("the configuration says whose addresses those are, and how long they are good", function()
  local script = load{domain = "return.example.org", own_domains = {"example.org", "Example.net"}, days = 2}
  test.equal(script:lookup("srs-forward", "bob@example.net"), nil)
  local ours = script:lookup("srs-forward", "bob@example.com")
  test.matches(ours, "@return%.example%.org$")
  script:advance("3d")
  test.equal(script:lookup("srs-reverse", ours), nil)
end)

test.case("another secret makes other addresses, and without one there is no script", function()
  local ours = load():lookup("srs-forward", "alice@other.example")
  test.equal(load{secret = "another"}:lookup("srs-reverse", ours), nil)
  test.fails(function() test.script("srs.lua") end, "the setting \"secret\" (a long text that nobody guesses)")
end)
