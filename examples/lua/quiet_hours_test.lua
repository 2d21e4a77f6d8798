local function at(hour, sender)
  local script = test.script("quiet_hours.lua", {clock = ("2026-03-01T%s:00Z"):format(hour)})
  return script:client():mail(sender)
end

test.case("newsletters wait at night", function()
  for _, hour in ipairs{"22:00", "23:59", "00:00", "06:59"} do
    test.equal(at(hour, "letter@News.example.com"), "450 4.7.1 quiet hours, please come again after 07:00", hour)
  end
end)

test.case("they come in at day", function()
  for _, hour in ipairs{"07:00", "12:30", "21:59"} do
    test.equal(at(hour, "letter@news.example.com"), "accept", hour)
  end
end)

test.case("the night ends while they wait", function()
  local script = test.script("quiet_hours.lua", {clock = "2026-03-01T23:30:00Z"})
  local client = script:client()
  test.equal(client:mail("letter@news.example.com").action, "defer")
  script:advance("8h")
  test.equal(client:mail("letter@news.example.com"), "accept")
end)

test.case("other mail does not wait", function()
  test.equal(at("23:00", "a@example.org"), "accept")
end)
