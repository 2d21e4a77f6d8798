-- SpamAssassin: spamd is asked about each message from outside, by the protocol of spamc. What it calls spam is marked,
-- and what is far beyond that is refused.
--
--   [filter.spamd]
--   plugin = "lua"
--   script = "/etc/mansio/spamd.lua"
--   allow = ["connect"]
--   time_limit = "60s"
--
-- While spamd cannot be asked, clients hear 451 and come again. To let mail pass instead, call ask() through pcall().

local SPAMD = "127.0.0.1:783"  -- or "unix:/run/spamd.socket"
local REFUSE = 15              -- from this score on
local LARGEST = 512 * 1024     -- octets; spam is small, and large messages take long

local refused = mansio.metric.counter("spamd_refused", "Messages refused for their score.")

-- Is it spam, its score, the score from which it would be, and the names of the rules that said so.
local function ask(message)
  local spamd = mansio.connect(SPAMD, {timeout = "50s"})
  spamd:write(("SYMBOLS SPAMC/1.5\r\nContent-length: %d\r\n\r\n"):format(message.size))
  for piece in message:raw() do spamd:write(piece) end
  local status = spamd:read_line() or "nothing"
  if not status:find("^SPAMD/%S+ 0 ") then
    mansio.log.warn("spamd says %s", status)
    error(mansio.defer("4.3.0", "the spam filter cannot answer now"))
  end
  local verdict, score, required
  local line = spamd:read_line()
  while line and line ~= "" do
    local is, has, needs = line:match("^Spam: (%a+) ; ([-%d.]+) / ([-%d.]+)")
    if is then verdict, score, required = is, has, needs end
    line = spamd:read_line()
  end
  if not verdict then error(mansio.defer("4.3.0", "the spam filter gave no verdict")) end
  local rules = (spamd:read(64 * 1024) or ""):gsub("%s+", "")
  spamd:close()
  return verdict == "True", tonumber(score), tonumber(required), rules
end

mansio.on("end-of-message", function(transaction, message)
  -- What others wrote there is not ours.
  message:remove_header("X-Spam-Flag")
  message:remove_header("X-Spam-Status")
  if transaction.session.trusted or transaction.session.auth_user or message.size > LARGEST then return end
  local spam, score, required, rules = ask(message)
  if score >= REFUSE then
    refused:add()
    return mansio.reject("5.7.1", "this looks like spam")
  end
  if spam then message:add_header("X-Spam-Flag", "YES") end
  message:add_header("X-Spam-Status", ("%s, score=%.1f required=%.1f tests=%s"):format(
    spam and "Yes" or "No", score, required, rules ~= "" and rules:sub(1, 900) or "none"))
end)
