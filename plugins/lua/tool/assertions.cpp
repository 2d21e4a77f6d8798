// Cases and what they assert. A failure is an error whose text has the line of the test and what was different.
#include "plugins/lua/tool/library.hpp"

namespace mansio::lua::tool {

const char *const kAssertions = R"lua(
local shared = ...
local fail, test, Result, Message = shared.fail, shared.test, shared.Result, shared.Message

-- Values as text -------------------------------------------------------------------------------------------------------

local function quoted(text)
  return '"' .. text:gsub('[%c"\\]', function(c)
    local short = {["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t", ['"'] = '\\"', ["\\"] = "\\\\"}
    return short[c] or ("\\x%02x"):format(c:byte())
  end) .. '"'
end

local function ordered(a, b)
  local ka, kb = math.type(a) or type(a), math.type(b) or type(b)
  if ka ~= kb then return ka < kb end
  if type(a) == "number" or type(a) == "string" then return a < b end
  return tostring(a) < tostring(b)
end

local function key_text(key)
  if type(key) == "string" then return key:find("^[%a_][%w_]*$") and key or "[" .. quoted(key) .. "]" end
  return "[" .. tostring(key) .. "]"
end

-- With equal text for equal values; what is one of ours shows itself.
local function show(value, indent, inside)
  if type(value) == "string" then return quoted(value) end
  local of = getmetatable(value)
  if of == Result or of == Message then return quoted(tostring(value)) end
  if type(value) ~= "table" then return tostring(value) end
  inside = inside or {}
  if inside[value] then return "(a table that holds itself)" end
  inside[value] = true
  local keys, lines = {}, {}
  for key in pairs(value) do keys[#keys + 1] = key end
  table.sort(keys, ordered)
  for i, key in ipairs(keys) do
    local name = math.type(key) == "integer" and i == key and "" or key_text(key) .. " = "
    lines[i] = indent .. "  " .. name .. show(value[key], indent .. "  ", inside) .. ",\n"
  end
  inside[value] = nil
  if #lines == 0 then return "{}" end
  return "{\n" .. table.concat(lines) .. indent .. "}"
end

-- A result is compared by what it says when the other side is text, and so is a message.
local function plain(value, other)
  local of = getmetatable(value)
  if type(other) == "string" and (of == Result or of == Message) then return tostring(value) end
  return value
end

local function equal(a, b, seen)
  if rawequal(a, b) or a == b then return true end
  if type(a) ~= "table" or type(b) ~= "table" then return false end
  local of = getmetatable(a)
  if (of == Result or of == Message) and of == getmetatable(b) then return tostring(a) == tostring(b) end
  seen = seen or {}
  if seen[a] == b then return true end
  seen[a] = b
  for key, value in pairs(a) do
    if not equal(value, b[key], seen) then return false end
  end
  for key in pairs(b) do
    if a[key] == nil then return false end
  end
  return true
end

local function differ(got, expected, what)
  local wanted, found
  if type(got) == "string" and type(expected) == "string" and (got:find("\n") or expected:find("\n")) then
    wanted, found = expected, got  -- line by line
  else
    wanted, found = show(expected, ""), show(got, "")
  end
  local lines = wanted == found and "  both look like " .. wanted .. "\n" or shared.difference(wanted, found)
  fail((what and what .. ": " or "") .. "not equal (- expected, + got)\n" .. lines)
end

-- Assertions -----------------------------------------------------------------------------------------------------------

function test.equal(got, expected, what)
  got, expected = plain(got, expected), plain(expected, got)
  if not equal(got, expected) then differ(got, expected, what) end
end

function test.differs(got, other, what)
  got, other = plain(got, other), plain(other, got)
  if equal(got, other) then fail((what and what .. ": " or "") .. "expected anything but " .. show(got, "")) end
end

function test.truthy(value, what)
  if not value then fail((what and what .. ": " or "") .. "expected a value, got " .. tostring(value)) end
  return value
end

local function in_text(text, found, part, how, what)
  if not found then
    fail(("%sexpected %s %s\n  in %s\n"):format(what and what .. ": " or "", how, quoted(part), quoted(text)))
  end
end
function test.contains(text, part, what)
  text = tostring(text)
  in_text(text, text:find(part, 1, true), part, "the text", what)
end
function test.matches(text, pattern, what)
  text = tostring(text)
  in_text(text, text:find(pattern), pattern, "a match of", what)
end

-- f(...) fails, with that text in its error.
function test.fails(f, part)
  local ok, why = pcall(f)
  if ok then fail("expected an error" .. (part and " with " .. quoted(part) or "") .. ", there was none") end
  if part and not tostring(why):find(part, 1, true) then
    fail(("expected an error with %s\n  got %s\n"):format(quoted(part), tostring(why)))
  end
  return why
end

-- The same text as last time: golden/NAME beside the test file, which `--update` writes.
function test.golden(name, value)
  if not name:find("^[%w_.-]+$") or name:find("^%.") then fail("a golden file's name is of letters, digits, _, . and -") end
  local text = type(value) == "string" and value or nil
  if getmetatable(value) == Result then
    text = tostring(value) .. "\n" .. (value.message and tostring(value.message) or "")
  end
  text = (text or (getmetatable(value) == Message and tostring(value)) or show(value, "") .. "\n"):gsub("\r\n", "\n")
  local path = shared.directory .. "golden/" .. name
  if shared.update then
    local file, why = io.open(path, "wb")
    if not file then
      shared.make_directory(shared.directory .. "golden")
      file, why = io.open(path, "wb")
    end
    if not file then fail("cannot write " .. why) end
    file:write(text)
    file:close()
    return
  end
  local file = io.open(path, "rb")
  if not file then fail("there is no " .. path .. "; `mansio lua test --update` writes it") end
  local expected = file:read("a")
  file:close()
  if text ~= expected then
    fail("not as in " .. path .. " (- expected, + got)\n" .. shared.difference(expected, text))
  end
end

-- Cases ----------------------------------------------------------------------------------------------------------------

function test.case(name, f)
  if type(name) ~= "string" or type(f) ~= "function" then fail("expected test.case(name, function)") end
  if shared.open then fail("a case cannot be made within another one") end
  for _, case in ipairs(shared.cases) do
    if case.name == name then fail("there are two cases \"" .. name .. "\"") end
  end
  table.insert(shared.cases, {name = name, run = f})
end

local strict = {
  __index = function(_, name)
    fail(("there is no global \"%s\""):format(tostring(name)))
  end,
}
local known = {}
for name in pairs(test) do known[#known + 1] = name end
setmetatable(test, {
  __index = function(_, name) shared.no_such("test", name, known) end,
  __newindex = function(_, name) fail(("test takes no new field, such as \"%s\""):format(tostring(name))) end,
})
_G.test = test
setmetatable(_G, strict)

-- nil, or what is wrong; and then what the scripts said meanwhile.
return function(f)
  shared.open = {}
  local ok, why = pcall(f)
  local log = {}
  for _, list in ipairs{shared.kept, shared.open} do
    for _, script in ipairs(list) do
      local faults = script.fake:faults()
      if ok and #faults > 0 then ok, why = false, "the plugin broke a rule of its host: " .. table.concat(faults, "; ") end
      log[#log + 1] = script.fake:log()
    end
  end
  for _, script in ipairs(shared.open) do script.fake:close() end
  shared.open = nil
  if ok then return nil end
  return why == "" and "an error without a text" or tostring(why), table.concat(log)
end
)lua";

}  // namespace mansio::lua::tool
