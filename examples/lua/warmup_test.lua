local function load(clock) return test.script("warmup.lua", {name = "warmup", clock = clock}) end

test.case("each destination has so many an hour", function()
  local script = load("2026-01-01T00:00:00Z")
  test.equal(script:lease{key = "smtp:a.example", want = 30}.permits, 30)
  test.equal(script:lease{key = "smtp:a.example", want = 30}.permits, 20)
  local none = script:lease{key = "smtp:a.example", want = 30}
  test.equal(none.permits, 0)
  test.equal(none.retry, 60.0)
  test.equal(script:lease{key = "smtp:b.example", want = 100}.permits, 50)
end)

test.case("it grows from day to day, up to a limit", function()
  local script = load("2026-01-01T00:00:00Z")
  script:lease{key = "smtp:a.example", want = 50}
  script:advance("1d")
  test.equal(script:lease{key = "smtp:a.example", want = 100}.permits, 75)
  script:advance("1d")
  test.equal(script:lease{key = "smtp:a.example", want = 1000}.permits, 112)
  test.equal(load("2026-12-01T00:00:00Z"):lease{key = "smtp:a.example", want = 1000000}.permits, 100000)
end)
