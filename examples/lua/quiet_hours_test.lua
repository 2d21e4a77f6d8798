local function at(hour, sender)
  local script = test.script("quiet_hours.lua", {clock = ("2026-03-01T%s:00Z"):format(hour)})
  return script:predelivery{sender = sender}
end

test.case("newsletters wait at night", function()
  for hour, minutes in pairs{["22:00"] = 9 * 60, ["23:59"] = 7 * 60 + 1, ["00:00"] = 7 * 60, ["06:59"] = 1} do
    local said = at(hour, "letter@News.example.com")
    test.equal(said.action, "defer", hour)
    test.equal(said.retry, 60.0 * minutes, hour)
    test.equal(said.text, "quiet hours until 07:00", hour)
  end
end)

test.case("they go by day", function()
  for _, hour in ipairs{"07:00", "12:30", "21:59"} do
    test.equal(at(hour, "letter@news.example.com"), "accept", hour)
  end
end)

test.case("the night ends while they wait", function()
  local script = test.script("quiet_hours.lua", {clock = "2026-02-28T23:30:00Z"})
  local said = script:predelivery{sender = "letter@news.example.com"}
  test.equal(said.action, "defer")
  script:advance(said.retry)
  test.equal(script:predelivery{sender = "letter@news.example.com"}, "accept")
end)

test.case("other mail does not wait", function()
  test.equal(at("23:00", "a@example.org"), "accept")
  test.equal(at("23:00", ""), "accept")
end)
