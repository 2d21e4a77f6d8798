local function load()
  return test.script("dnsbl.lua", {dns = {
    ["2.2.0.192.bl.example.org A"] = "127.0.0.2",
    ["3.2.0.192.bl.example.org A"] = "127.0.0.2",
    ["3.2.0.192.good.example.com A"] = "127.0.0.2",
    ["4.2.0.192.bl.example.org A"] = test.down("SERVFAIL"),
    ["5.2.0.192.dynamic.example.net A"] = "127.0.0.9",
  }})
end

test.case("what lists say is added up", function()
  local script = load()
  local function from(address) return script:client{client_address = address}:connect() end
  test.equal(from("192.0.2.2"), "550 5.7.1 192.0.2.2 is listed by bl.example.org")
  test.equal(from("192.0.2.3"), "accept", "on a good list, too")
  test.equal(from("192.0.2.5"), "accept", "too little")
  test.equal(from("192.0.2.6"), "accept", "not listed")
end)

test.case("a list that does not answer counts nothing", function()
  test.equal(load():client{client_address = "192.0.2.4"}:connect(), "accept")
end)

test.case("a client is asked about once in ten minutes", function()
  local script = load()
  local client = script:client{client_address = "192.0.2.2"}
  client:connect()
  local asked = script:dns_queries()
  test.equal(#asked, 3)
  client:connect()
  test.equal(script:dns_queries(), asked)
  script:advance("11m")
  client:connect()
  test.equal(#script:dns_queries(), 6)
end)

test.case("our own clients are not asked about", function()
  local script = load()
  script:client{client_address = "192.0.2.2", trusted = true}:connect()
  test.equal(script:dns_queries(), {})
end)
