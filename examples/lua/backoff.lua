-- Adaptive back-off: how soon mail is tried again depends on what the server said. Greylisting is over in minutes; a
-- server that is overrun wants longer pauses, more so the more of our mail it turns away; and a mailbox that is full for
-- days is given up before the message's life ends.
--
--   [policy.backoff]
--   plugin = "lua"
--   script = "/etc/mansio/backoff.lua"
--   isolation = "process"
--
--   [queue]
--   policies = ["backoff"]
--
-- What it has no opinion about waits as [queue] minimal_backoff_time and maximal_backoff_time say.

local GREYLISTED = {["4.7.1"] = true, ["4.7.0"] = true}
-- What large receivers write when they want less from this sender for a while, whatever the codes are: in lower case.
local LESS_MAIL = {"rate limit", "unusual rate", "too many messages", "too many connections", "tss04", "temporarily deferred"}
local BUSY = {["4.3.2"] = true, ["4.4.5"] = true, ["4.7.28"] = true}  -- no mail now, congestion, a flood of mail
local BUSY_FIRST, BUSY_MOST = 600, 4 * 3600  -- seconds
local FULL_DAYS = 2

local busy = mansio.window("busy", "1h")  -- replies of each domain that say so

local function is_busy(last)
  if last.code == 421 or BUSY[last.status] then return true end
  local text = (last.text or ""):lower()
  for _, words in ipairs(LESS_MAIL) do
    if text:find(words, 1, true) then return true end
  end
  return false
end

mansio.on("retry", function(mail)
  local last = mail.recipients[1]
  if is_busy(last) then
    return mansio.retry(math.min(BUSY_FIRST * busy:add(last.domain), BUSY_MOST))
  end
  if GREYLISTED[last.status] and mail.attempts <= 3 then
    return mansio.retry(120 * mail.attempts)
  end
  if last.status == "4.2.2" and mansio.time.now() - mail.arrival > FULL_DAYS * 86400 then
    return mansio.reject("5.2.2", "the mailbox stays full")
  end
end)
