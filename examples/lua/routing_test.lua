-- What the client hears, and the way that the message takes then.
local function sent(message, facts)
  local script = test.script("routing.lua")
  local client = script:client(facts)
  client:mail("app@example.com")
  client:rcpt("bob@example.org")
  local said = client:message(message)
  return said, script:route("bob@example.org", {meta = client.message_meta})
end

test.case("our own systems choose the way", function()
  local said, way = sent({"Subject: x", "X-Route: Partner "}, {trusted = true})
  test.equal(said, "accept")
  test.equal({way.action, way.transport, way.nexthop}, {"route", "smtp", "[mx.partner.example]:25"})
  said, way = sent({"x-route:bulk"}, {auth_user = "app"})
  test.equal(said, "accept")
  test.equal({way.action, way.transport, way.nexthop}, {"route", "bulk", ""})
end)

test.case("a way that there is not is refused", function()
  test.equal(sent({"X-Route: nowhere"}, {trusted = true}), "550 5.6.0 X-Route names no way that there is")
end)

test.case("strangers choose nothing", function()
  local said, way = sent({"X-Route: partner"})
  test.equal(said, "accept")
  test.equal(way, "accept")
end)

test.case("lists are bulk mail, unless their mail has a way", function()
  local _, way = sent({"List-Id: <news.example.com>"})
  test.equal(way.transport, "bulk")
  for _, message in ipairs{{"List-Id: <a>", "X-Route: partner"}, {"X-Route: partner", "List-Id: <a>"}} do
    _, way = sent(message, {trusted = true})
    test.equal(way.transport, "smtp")
  end
end)

test.case("other mail goes as the configuration says", function()
  local said, way = sent({"Subject: x"}, {trusted = true})
  test.equal(said, "accept")
  test.equal(way, "accept")
end)
