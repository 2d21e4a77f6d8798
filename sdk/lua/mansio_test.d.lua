---@meta mansio_test
-- What a test of scripts finds beside Lua's libraries (`mansio lua test`), for LuaLS; see mansio.d.lua. A test holds it
-- against the runner. docs/lua-guide.md explains.

---@class mansio.test
test = {}

---What a script said to an event. As text: "550 5.7.1 no", "hold: the reason", "accept".
---@class mansio.test.Result
---@field action "accept"|"reject"|"defer"|"hold"|"discard"
---@field code integer
---@field enhanced string
---@field text string
---@field edits string[]
---@field message mansio.test.Message? Of client:message(), unless it was refused.

---A message with its edits applied.
---@class mansio.test.Message
---@field sender string
---@field recipients string[]
---@field fields {name: string, value: string}[] Values as they stand there.
---@field body string
local message = {}
---@param name string
---@param nth? integer From 1.
---@return string? value Unfolded.
function message:header(name, nth) end

---An answer that is none; see test.down().
---@class mansio.test.Down

---@class mansio.test.Settings
---@field options table<string, string|number>? The plugin's, as in the configuration.
---@field tables table<string, table<string, string|string[]|mansio.test.Down>>?
---@field dns table<string, string|table|mansio.test.Down>? By "NAME TYPE".
---@field clock string? When time begins, "2026-01-01T00:00:00Z".

---@class mansio.test.Script
local script = {}
---@param facts? table<string, string|number|boolean> Fields of the session.
---@return mansio.test.Client
function script:client(facts) end
---@param name string
---@param answers table<string, string|string[]|mansio.test.Down>
function script:table(name, answers) end
---@param answers table<string, string|table|mansio.test.Down> By "NAME TYPE".
function script:dns(answers) end
---@param table string
---@param key string
---@return string|mansio.test.Result|nil
function script:lookup(table, key) end
---@param table string
---@param key string
---@return string[]|mansio.test.Result
function script:lookup_all(table, key) end
---@return string[] questions "NAME TYPE"
function script:dns_queries() end
---@param time mansio.Time
function script:advance(time) end
---@return number seconds Since 1970.
function script:now() end
---@return string
function script:log() end
---@param name string
---@return integer
function script:metric(name) end

---@class mansio.test.Client
---@field session_meta table<string, string>
---@field message_meta table<string, string>
local client = {}
---@param event mansio.Event
---@param arguments string[]
---@param content? string
---@return mansio.test.Result
function client:event(event, arguments, content) end
---@return mansio.test.Result
function client:connect() end
---@param name string
---@return mansio.test.Result
function client:helo(name) end
---@return mansio.test.Result
function client:starttls() end
---@param address string
---@param ... string ESMTP parameters.
---@return mansio.test.Result
function client:mail(address, ...) end
---@param address string
---@param ... string ESMTP parameters.
---@return mansio.test.Result
function client:rcpt(address, ...) end
---@return mansio.test.Result
function client:data() end
---@param message string|table A text, or header lines and a body: {"Subject: x", body = "text"}.
---@return mansio.test.Result
function client:message(message) end
function client:reset() end
---@return mansio.test.Result
function client:disconnect() end

---@param path string From the test file.
---@param settings? mansio.test.Settings
---@return mansio.test.Script
function test.script(path, settings) end
---@param name string
---@param run fun()
function test.case(name, run) end
---@param why? string
---@return mansio.test.Down
function test.down(why) end
---@param got any
---@param expected any
---@param what? string
function test.equal(got, expected, what) end
---@param got any
---@param other any
---@param what? string
function test.differs(got, other, what) end
---@generic T
---@param value T
---@param what? string
---@return T
function test.truthy(value, what) end
---@param text any
---@param part string
---@param what? string
function test.contains(text, part, what) end
---@param text any
---@param pattern string
---@param what? string
function test.matches(text, pattern, what) end
---@param run fun()
---@param part? string
---@return any why
function test.fails(run, part) end
---@param name string Of the file in golden/.
---@param value any
function test.golden(name, value) end
