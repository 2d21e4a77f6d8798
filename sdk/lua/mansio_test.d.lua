---@meta mansio_test
-- What a test of scripts finds beside Lua's libraries (`mansio lua test`), for LuaLS; see mansio.d.lua. A test holds it
-- against the runner. docs/lua-guide.md explains.

---@class mansio.test
test = {}

---What a script said. As text: "550 5.7.1 no", "hold: the reason", "accept", "challenge: Password:", "permits: 5"; of a
---delivery: "sent 2.0.0 stored", "bounce 5.1.1 no such user".
---@class mansio.test.Result
---@field action "accept"|"reject"|"defer"|"hold"|"discard"|"redirect"|"challenge"|"permits"|"sent"|"bounce"|"uncertain"|"route"|"done"|"failed"
---@field code integer
---@field enhanced string
---@field text string
---@field edits string[]
---@field message mansio.test.Message? Of client:message(), unless it was refused.
---@field versions mansio.test.Message[]? The same: those that some recipients have instead, by their numbers.
---@field user string? Of AUTH: who was let in.
---@field identity string? The same: as whom that user acts, if not as itself.
---@field permits integer? Of script:lease().
---@field ttl number? The same: seconds for which they may be used; 0: as the queue likes.
---@field retry number? The same: seconds for which it is not to be asked; 0: as the queue likes. Also of deliveries, and of
---defer to an event of the queue: after how many it is asked again.
---@field relay string? Of a delivery: who said so.
---@field nexthop_failed boolean? The same: no server of the next hop could be used.
---@field transport string? Of route.
---@field nexthop string? The same.
---@field source_pool string? The same.
---@field address string? Of redirect.
---@field lines string[]? Of script:call().

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

---An answer that is none; see test.down() and test.lost().
---@class mansio.test.Down

---A request over HTTP, as a script made it.
---@class mansio.test.Request
---@field method string
---@field url string
---@field body string?
---@field headers table<string, string> As the script wrote their names.

---A status, a body, or both with headers.
---@alias mansio.test.Response integer|string|{status?: integer, body?: string, headers?: table<string, string|number>}
---@alias mansio.test.HttpAnswer mansio.test.Response|mansio.test.Down|fun(request: mansio.test.Request): mansio.test.Response|mansio.test.Down

---The end of a connection that a server has. Reading waits until the script has written so much.
---@class mansio.test.Peer
local peer = {}
---@return string line Without its end.
function peer:read_line() end
---@param n integer
---@return string octets
function peer:read(n) end
---@param ... string
function peer:write(...) end

---What it does with a connection, which is closed when it returns; or what it says at once.
---@alias mansio.test.Server string|mansio.test.Down|fun(peer: mansio.test.Peer)
---A command and its arguments; nil, a text, an integer or a list is the reply.
---@alias mansio.test.Redis mansio.test.Down|fun(command: string, ...: string): any

---@class mansio.test.Delivery
---@field sender string? "a@example.com" unless given.
---@field recipients (string|{address: string, original?: string, orcpt?: string, notify?: string[]})[]? {"b@example.com"} unless given.
---@field message string|table? As for client:message().
---@field nexthop string?
---@field meta table<string, string>?
---@field attempts integer?
---@field envid string?
---@field source_pool string?

---@class mansio.test.Settings
---@field options table<string, string|number>? The plugin's, as in the configuration.
---@field settings table<string, string|number|boolean|string[]>? The script's own, of which mansio.config has the values.
---@field tables table<string, table<string, string|string[]|mansio.test.Down>>?
---@field dns table<string, string|table|mansio.test.Down>? By "NAME TYPE".
---@field http table<string, mansio.test.HttpAnswer>? By "METHOD URL"; "*" is for all others.
---@field servers table<string, mansio.test.Server>? By address, such as "127.0.0.1:783" or "unix:/run/socket".
---@field redis table<string, mansio.test.Redis>? The same.
---@field clock string? When time begins, "2026-01-01T00:00:00Z".
---@field name string? What the instance is called in the configuration, as [auth.NAME] or [filter.NAME]; "test".

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
---With answers to some requests, no other leaves the test. Needs allow = "http" in options, as in the configuration.
---@param answers table<string, mansio.test.HttpAnswer> By "METHOD URL"; "*" is for all others.
function script:http(answers) end
---@return mansio.test.Request[]
function script:http_requests() end
---Whom mansio.connect() finds. With some, no other connection leaves the test, nor one to a Redis.
---@param servers table<string, mansio.test.Server> By address.
function script:servers(servers) end
---@param servers table<string, mansio.test.Redis> By address.
function script:redis(servers) end
---What the transport of the script does with a message.
---@param mail? mansio.test.Delivery
---@return table<string, mansio.test.Result> results By the addresses of the recipients.
function script:deliver(mail) end
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

---An exchange of AUTH begins.
---@param mechanism string
---@param facts? {client_address?: string, helo_name?: string, tls_version?: string|false} Of the client.
---@return mansio.test.Exchange
function script:auth(mechanism, facts) end
---The same with PLAIN, and what the script says to it.
---@param user string
---@param password string
---@param facts? {client_address?: string, helo_name?: string, tls_version?: string|false}
---@return mansio.test.Result
function script:login(user, password, facts) end
---@param request? {limit?: string, key?: string, want?: integer, per_second?: number, burst?: integer}
---@return mansio.test.Result
function script:lease(request) end
---@param limit string
---@param key string
---@param unused integer
function script:give_back(limit, key, unused) end
---What became of a message. A handler that sleeps goes on when the clock does.
---@param event mansio.MessageEvent
---@param about? {queue_id?: string, recipient?: string, fields?: table<string, string>}
---@return boolean told There is a handler for it.
function script:tell(event, about) end

---What becomes of mail that it submits: nil: it is taken, as from the beginning; a text: it is refused for that.
---@param answer string|mansio.test.Down|nil
function script:submit(answer) end
---@return {sender: string, recipients: string[], message: string, meta: table<string, string>}[] mail That was taken.
function script:submitted() end
---How many there are of limits of the queue. Of others there are enough.
---@param answers table<string, integer> By "LIMIT KEY", such as "tenant_rate_limit gold".
function script:permits(answers) end
---A command of the script's, as operators call it.
---@param name string
---@param ... string
---@return mansio.test.Result
function script:call(name, ...) end

---What script:route() and its kin tell of the mail: fields of mansio.mail. One that is false is not known.
---@alias mansio.test.Mail table<string, any>
---@param recipient string
---@param mail? mansio.test.Mail
---@return mansio.test.Result
function script:route(recipient, mail) end
---@param mail? mansio.test.Mail
---@return mansio.test.Result
function script:predelivery(mail) end
---The recipients as {address =, code =, status =, text =}.
---@param mail? mansio.test.Mail
---@return mansio.test.Result
function script:retry(mail) end
---The recipients as {address =, code =, status =, text =}.
---@param mail? mansio.test.Mail
---@return mansio.test.Result
function script:bounce(mail) end

---@class mansio.test.Exchange
local exchange = {}
---@param response? string What the client says; without one, nothing yet.
---@return mansio.test.Result
function exchange:step(response) end

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
---@param mechanism string
---@param user string
---@return mansio.test.Result
function client:auth(mechanism, user) end
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
---As RSET. A message that has begun comes to nothing, as it does when the client leaves: the script's handlers of "abort"
---are told.
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
---It cannot be asked.
---@param why? string
---@return mansio.test.Down
function test.down(why) end
---Of a server: it has heard all that was asked, and does not answer.
---@param why? string
---@return mansio.test.Down
function test.lost(why) end
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
