-- A transport: each message is POSTed to a web service, as JSON with the envelope and the message in base64.
--
--   [transport.webhook]
--   plugin = "lua"
--   script = "/etc/mansio/webhook.lua"
--   allow = ["http"]
--   delivery_time_limit = "60s"
--
--   [[route]]
--   domain = ["hook.example.com"]
--   transport = "webhook"
--
-- The service answers 2xx for what it has, with {"refused": {"address": "why"}} when it does not want it for some of
-- the recipients; 4xx for what it will never take; and anything else, 408, 425 and 429 among it, for "later".

local URL = "https://hook.example.com/mail"
local LARGEST = 1024 * 1024  -- octets; all of it is held in memory three times, within call_memory

local posted = mansio.metric.counter("webhook_posted", "Messages that the service took.")

local LATER = {[408] = true, [425] = true, [429] = true}

-- What the queue gets to know of the answer's Retry-After, which is seconds here and never a date.
local function retry_after(answer)
  local seconds = tonumber(answer.headers["retry-after"] or "", 10)
  return seconds and seconds >= 0 and math.min(seconds, 86400) or nil
end

-- {address = why}, as far as the service said anything of the kind.
local function refused_by(answer)
  local said = mansio.json.decode(answer.body)
  local refused = type(said) == "table" and said.refused
  return type(refused) == "table" and refused or {}
end

local function body_of(delivery)
  local recipients, pieces = mansio.json.array(), {}
  for i, recipient in ipairs(delivery.recipients) do recipients[i] = recipient.address end
  for piece in delivery.message:raw() do pieces[#pieces + 1] = piece end
  return mansio.json.encode({
    queue_id = delivery.queue_id,
    sender = delivery.sender.address,
    recipients = recipients,
    message = mansio.base64.encode(table.concat(pieces)),
  })
end

mansio.provide("transport", "webhook", {
  deliver = function(delivery)
    if delivery.message.size > LARGEST then return mansio.reject("5.3.4", "too large for the web service") end
    local answered, answer = pcall(mansio.http.post, URL, body_of(delivery), {
      headers = {["Content-Type"] = "application/json", ["Idempotency-Key"] = delivery.queue_id},
      timeout = "50s",
    })
    if not answered then
      if type(answer) == "string" then error(answer, 0) end  -- a fault in here
      -- The log says why. It may have come that far; the key tells the service of a second time.
      return mansio.defer("4.4.1", "the web service does not answer", {nexthop_failed = true})
    end
    local said = "HTTP " .. answer.status
    if answer.status >= 400 and answer.status < 500 and not LATER[answer.status] then
      return mansio.reject("5.3.0", said, {relay = URL})
    end
    if answer.status < 200 or answer.status >= 300 then
      return mansio.defer("4.3.2", said, {retry = retry_after(answer), relay = URL})
    end
    posted:add()
    local refused = refused_by(answer)
    for _, recipient in ipairs(delivery.recipients) do
      local why = refused[recipient.address]
      if why then delivery:bounce(recipient, "5.1.1", tostring(why), {relay = URL}) end
    end
    return mansio.sent(said, {relay = URL})
  end,
})
