// What is easier said in Lua. The guards are for functions that run in C, where no instruction is counted: each could
// be made to run for ever by one call, or long by many: what it does is charged.
#include "plugins/lua/sandbox.hpp"

namespace mansio::lua {

const char *const kPrelude = R"lua(
local has_len, charge = ...
local mansio = mansio
local error, pcall, rawget, rawlen, select = error, pcall, rawget, rawlen, select
local tonumber, tostring, type = tonumber, tostring, type
local MOST = 10000000  -- elements that one call may touch

-- The handler runs when the error is over: inside of it no instruction would be counted.
local function caught(handler, ok, ...)
  if ok then return true, ... end
  return false, handler(...)
end
function xpcall(f, handler, ...) return caught(handler, pcall(f, ...)) end

-- Finalizers run where no instruction is counted.
local plain_setmetatable = setmetatable
function setmetatable(object, metatable)
  if type(metatable) == "table" and rawget(metatable, "__gc") ~= nil then
    error("__gc is not offered", 2)
  end
  return plain_setmetatable(object, metatable)
end

-- Text alone: bytecode is checked by nobody.
local plain_load = load
function load(chunk, name, mode, ...)
  if type(chunk) == "string" then charge(#chunk) end
  return plain_load(chunk, name, "t", ...)
end

function _G.tonumber(text, ...)
  if type(text) == "string" and #text > 64 then charge(#text / 8) end
  return tonumber(text, ...)
end

local rep = string.rep
function string.rep(text, n, separator)
  local times = tonumber(n) or 0
  if times > MOST then error("string.rep of more than " .. MOST .. " times", 2) end
  if text == "" then charge(times) end
  return rep(text, n, separator)
end

local plain_move, plain_insert, plain_remove = table.move, table.insert, table.remove
local plain_concat, plain_sort, plain_unpack = table.concat, table.sort, table.unpack
-- A __len may say one thing here and another one in C.
local function plain(t, what)
  if has_len(t) then error(what .. " takes no table with __len", 3) end
end
local function bounded(t, what)
  if has_len(t) then error(what .. " takes no table with __len", 3) end
  local n = type(t) == "table" and rawlen(t) or 0
  if n > MOST then error(what .. " of more than " .. MOST .. " elements", 3) end
  return n
end
-- Not in integers, where the difference of two may be any.
local function distance(first, last) return (tonumber(last) or 0) + 0.0 - (tonumber(first) or 0) end
function table.move(from, first, last, to, ...)
  plain(from, "table.move")
  plain((...), "table.move")
  local n = distance(first, last)
  if n > MOST then error("table.move of more than " .. MOST .. " elements", 2) end
  charge(n)
  return plain_move(from, first, last, to, ...)
end
function table.insert(t, ...)
  local n = bounded(t, "table.insert")
  if select("#", ...) > 1 then charge(n / 4) end  -- those behind the position move
  return plain_insert(t, ...)
end
function table.remove(t, ...)
  local n = bounded(t, "table.remove")
  if select("#", ...) > 0 then charge(n / 4) end  -- those behind the position move
  return plain_remove(t, ...)
end
function table.sort(t, ...)
  charge(20 * bounded(t, "table.sort"))
  return plain_sort(t, ...)
end
function table.concat(t, separator, first, last)
  local n = bounded(t, "table.concat")
  if last ~= nil then n = distance(first or 1, last) end
  if n > MOST then error("table.concat of more than " .. MOST .. " elements", 2) end
  charge(n)
  return plain_concat(t, separator, first, last)
end
function table.unpack(t, ...)
  plain(t, "table.unpack")
  return plain_unpack(t, ...)
end

local join, info = table.concat, mansio.log.info
function print(...)
  local parts = {}
  for i = 1, select("#", ...) do parts[i] = tostring((select(i, ...))) end
  info("%s", join(parts, "\t"))
end

-- One clock for all: where the host's is virtual, the calendar is, too. An error is told of who called.
local now, floor = mansio.time.now, math.floor
local plain_date, plain_time = os.date, os.time
local function told(ok, ...)
  if ok then return ... end
  error((...), 2)
end
function os.date(format, time)
  return told(pcall(plain_date, format, time == nil and floor(now()) or time))
end
function os.time(parts)
  if parts == nil then return floor(now()) end
  return told(pcall(plain_time, parts))
end

-- Two generations of `size` at most: what is asked for while the younger one fills up stays.
local monotonic, options = mansio.time.monotonic, mansio.time.memoize_options
mansio.time.memoize_options = nil
function mansio.memoize(f, settings)
  if type(f) ~= "function" then error("expected a function for mansio.memoize, got " .. type(f), 2) end
  local ttl, size = options(settings)
  local young, old, count = {}, {}, 0
  local function keep(key, entry)
    if young[key] == nil then
      if count >= size then young, old, count = {}, young, 0 end
      count = count + 1
    end
    young[key] = entry
  end
  local function answer(...)
    return {ends = monotonic() + ttl, n = select("#", ...), ...}
  end
  return function(key, ...)
    if key == nil or key ~= key or select("#", ...) > 0 then
      error("a memoized function takes one argument, and not nil", 2)
    end
    local entry = young[key] or old[key]
    if not entry or entry.ends <= monotonic() then entry = answer(f(key)) end
    if young[key] ~= entry then keep(key, entry) end
    return table.unpack(entry, 1, entry.n)
  end
end
)lua";

}  // namespace mansio::lua
