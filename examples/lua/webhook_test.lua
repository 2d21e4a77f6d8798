local URL = "https://hook.example.com/mail"

local function webhook(answer)
  return test.script("webhook.lua", {name = "webhook", options = {allow = "http"}, http = {["POST " .. URL] = answer}})
end

test.case("what the service takes is sent, but for whom it refuses", function()
  local script = webhook('{"refused": {"gone@example.com": "no such user"}}')
  local results = script:deliver{sender = "a@example.org", recipients = {"b@example.com", "gone@example.com"},
                                 message = {"Subject: a", body = "body"}}
  test.equal(results["b@example.com"], "sent 2.0.0 HTTP 200")
  test.equal(results["b@example.com"].relay, URL)
  test.equal(results["gone@example.com"], "bounce 5.1.1 no such user")
  test.equal(script:metric("webhook_posted"), 1)
  local request = script:http_requests()[1]
  test.equal(request.headers, {["Content-Type"] = "application/json", ["Idempotency-Key"] = "0123456789ABC"})
  test.golden("webhook.json", request.body)
end)

test.case("what it says besides does not matter", function()
  for _, body in ipairs{"", "stored", '"stored"', '{"refused": 1}'} do
    test.equal(webhook(body):deliver{}["b@example.com"].action, "sent", body)
  end
end)

test.case("what it will never take is returned, and all else comes again", function()
  test.equal(webhook(422):deliver{}["b@example.com"], "bounce 5.3.0 HTTP 422")
  for _, status in ipairs{302, 408, 425, 500, 503} do
    test.equal(webhook(status):deliver{}["b@example.com"], "defer 4.3.2 HTTP " .. status)
  end
  local later = webhook{status = 429, headers = {["Retry-After"] = 30}}:deliver{}["b@example.com"]
  test.equal(later, "defer 4.3.2 HTTP 429")
  test.equal(later.retry, 30.0)
end)

test.case("a service that does not answer slows the queue down", function()
  for _, trouble in ipairs{test.down("Connection refused"), test.lost()} do
    local result = webhook(trouble):deliver{}["b@example.com"]
    test.equal(result, "defer 4.4.1 the web service does not answer")
    test.truthy(result.nexthop_failed)
  end
end)

test.case("large messages do not go there", function()
  local script = webhook(200)
  local result = script:deliver{message = {"Subject: a", body = ("x\n"):rep(400000)}}["b@example.com"]
  test.equal(result, "bounce 5.3.4 too large for the web service")
  test.equal(script:http_requests(), {})
end)
