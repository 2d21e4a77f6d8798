-- A banner below plain text that comes from outside.
--
--   [filter.banner]
--   plugin = "lua"
--   script = "/etc/mansio/banner.lua"
--
-- Text in other forms (HTML, several parts, base64, quoted-printable) is left as it is: a banner put there blindly
-- would damage it. Signed mail is left alone, too.

local BANNER = "\r\n-- \r\nThis message comes from outside of the company.\r\n"

local function plain(message)
  local kind = (message:header("Content-Type") or "text/plain"):lower()
  local encoding = (message:header("Content-Transfer-Encoding") or "7bit"):lower()
  return kind:find("^text/plain") and (encoding == "7bit" or encoding == "8bit")
end

mansio.on("end-of-message", function(transaction, message)
  if transaction.session.trusted or message:header("DKIM-Signature") or not plain(message) then return end
  for piece in message:body() do message:replace_body(piece) end
  message:replace_body(BANNER)
  message:add_header("X-Banner", "yes")
end)
