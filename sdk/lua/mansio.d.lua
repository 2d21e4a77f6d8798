---@meta mansio
-- What a script of Mansio finds, for LuaLS: put this file's folder into "workspace.library" of .luarc.json, and the
-- editor completes, explains and checks. docs/lua-guide.md explains. The file is generated from the declarations
-- in plugins/lua, which are those of the engine's own checks: `MANSIO_WRITE_REFERENCE=1 unit-lua` writes it anew.

---@class mansio
mansio = {}

---@alias mansio.Event
---| "connect"
---| "helo"
---| "starttls"
---| "auth"
---| "mail"
---| "rcpt"
---| "data"
---| "header"
---| "eoh"
---| "body"
---| "end-of-message"
---| "disconnect"
---| "route"
---| "predelivery"
---| "retry"
---| "bounce"
---| "abort"

---What became of messages, and "log", a line of the log; handlers of these are told, and return nothing.
---@alias mansio.MessageEvent
---| "inserted"
---| "routed"
---| "delivering"
---| "delivered"
---| "deferred"
---| "bounced"
---| "removed"
---| "log"

---What an error in a handler means; "fail": on_failure of the configuration decides.
---@alias mansio.OnError
---| "fail"
---| "defer"
---| "accept"

---@alias mansio.ProvideKind
---| "lookup"
---| "transport"
---| "auth"
---| "rate"
---| "filter"

---Of DNS.
---@alias mansio.RecordType
---| "A"
---| "AAAA"
---| "MX"
---| "TXT"
---| "PTR"

---@alias mansio.QueueLimit
---| "tenant_rate_limit"
---| "campaign_rate_limit"
---| "sender_rate_limit"
---| "source_pool_rate_limit"

---@alias mansio.Time number|string Seconds, or text such as "500ms", "5s", "2m", "1h", "7d".

---A client's connection. Good until its handler ends.
---@class mansio.session
---@field id string
---@field meta table<string, string?> Notes that last as long as the session; every plugin sees them.
---@field client_address string?
---@field client_name string?
---@field client_port integer?
---@field trusted boolean The client is in mynetworks.
---@field helo_name string?
---@field protocol string?
---@field listener string?
---@field myhostname string?
---@field tls_version string?
---@field tls_cipher string?
---@field auth_user string?
---@field tenant string? Of the listener.
---@field stress boolean The listener has hardly any room for clients.

---A message that is being received. Good until its handler ends.
---@class mansio.transaction
---@field session mansio.session
---@field meta table<string, string?> Notes that go with the message into the queue, where transports see them.
---@field queue_id string
---@field sender mansio.address
---@field recipient_count integer

---@class mansio.address
---@field address string As the client gave it; "" for the null sender.
---@field localpart string
---@field domain string In lower case.
---@field parameters string[] ESMTP parameters, such as "SIZE=1000".

---Of a message's header section.
---@class mansio.field
---@field name string
---@field value string

---A part of a message (MIME): the message itself, what is in a multipart, an embedded message. Good until its handler ends.
---@class mansio.part
---@field type string In lower case: "text/plain".
---@field parameters table<string, string?> Of Content-Type, by names in lower case.
---@field disposition string? In lower case: "attachment", "inline".
---@field disposition_parameters table<string, string?>
---@field filename string? In UTF-8, decoded by RFC 2231 and 2047, without control characters.
---@field encoding string Content-Transfer-Encoding in lower case; "7bit" where there is none.
---@field leaf boolean It has a body. Of others the parts come next: multiparts and embedded messages.
---@field depth integer 1: the message itself.
---@field number integer From 1, in the order of the message.
local part = {}
---@param name string
---@param nth? integer From 1.
---@return string? value Unfolded, and as it stands there.
function part:header(name, nth) end
---@return mansio.field[]
function part:headers() end
---@param bytes? integer Of a piece.
---@return fun(): string? Decoded from base64 and quoted-printable; nothing of what is no leaf.
function part:body(bytes) end
---@param most? integer 65536 bytes unless told.
---@return string The beginning of the decoded body.
function part:text(most) end

---The message at its end. Reading gives it as it came; edits count when the handlers end without objection.
---@class mansio.message
---@field size integer
---@field recipients string[]? Each once, as RCPT or another filter named it; a delivery has its own.
local message = {}
---@param name string
---@param nth? integer From 1.
---@return string? value Unfolded.
function message:header(name, nth) end
---@return mansio.field[]
function message:headers() end
---@param name string
---@param value string
function message:add_header(name, value) end
---@param position integer From 1.
---@param name string
---@param value string
function message:insert_header(position, name, value) end
---@param name string
---@param value string
---@param nth? integer
function message:set_header(name, value, nth) end
---@param name string
---@param nth? integer All of that name without one.
function message:remove_header(name, nth) end
---@param bytes? integer Of a piece.
---@return fun(): string?
function message:body(bytes) end
---@param most? integer 65536 bytes unless told.
---@return string
function message:text(most) end
---Its parts, depth first: the message itself, and what is in each behind it. More than 64 levels or 10000 parts are an error.
---@return fun(): mansio.part?
function message:parts() end
---@param bytes? integer Of a piece.
---@return fun(): string? The whole message, its header section first.
function message:raw(bytes) end
---@param piece string The first call begins a new body, the others go on with it.
function message:replace_body(piece) end
---@param address string
function message:set_sender(address) end
---@param address string
function message:add_recipient(address) end
---@param address string
function message:remove_recipient(address) end
---For filters: these recipients get one of their own, which begins as the edits so far have made the message. What
---follows on the message is not for them. None of them may have one yet.
---@param recipients string[] Of message.recipients.
---@return mansio.message_version
function message:version(recipients) end
---Still at it: the host's time limit begins anew.
function message:progress() end

---What some recipients of a message get in the place of what the others get.
---@class mansio.message_version
---@field number integer From 1, in the order in which they were made.
local message_version = {}
---@param name string
---@param value string
function message_version:add_header(name, value) end
---@param position integer From 1.
---@param name string
---@param value string
function message_version:insert_header(position, name, value) end
---@param name string
---@param value string
---@param nth? integer
function message_version:set_header(name, value, nth) end
---@param name string
---@param nth? integer All of that name without one.
function message_version:remove_header(name, nth) end
---@param piece string The first call begins a new body, the others go on with it.
function message_version:replace_body(piece) end

---What a handler says: the constructors make it.
---@class mansio.verdict

---What became of a message, once that is on stable storage. Good until its handler ends.
---@class mansio.event
---@field name mansio.MessageEvent
---@field time number Seconds since 1970.
---@field queue_id string?
---@field recipient mansio.address? Not there where it concerns the whole message.
---@field fields table<string, string?> Named as in the log, such as dsn, status, relay and text.

---Mail in the queue, of events in which a policy has a say. Good until its handler ends.
---@class mansio.mail
---@field queue_id string
---@field sender mansio.address
---@field recipients mansio.mail_recipient[]
---@field meta table<string, string?> What policies and filters noted about the message; to be read.
---@field attempts integer? Made so far; not at "bounce".
---@field arrival integer Seconds since 1970.
---@field size integer
---@field transport string? Not at "bounce", as nexthop.
---@field nexthop string? None where it is the recipient's domain.
---@field source_pool string?
---@field client_address string? None of what was made here, such as a notification.
---@field client_name string?
---@field helo_name string?
---@field protocol string?
---@field listener string?
---@field auth_user string?
---@field tenant string?
---@field campaign string?
---@field priority integer
---@field myhostname string
---@field retry_after integer? At "retry": seconds that it would wait.
---@field kind "failure"|"delay"|"success"|"postmaster_copy"|"postmaster_delay"|nil At "bounce": what is told.
---@field to mansio.address? At "bounce": who is told.

---@class mansio.mail_recipient
---@field address string
---@field localpart string
---@field domain string In lower case.
---@field code integer? At "retry" and "bounce": of the server's last reply.
---@field status string? The same: "4.2.0".
---@field text string? The same.

---A recipient of a delivery.
---@class mansio.recipient
---@field address string
---@field localpart string
---@field domain string In lower case.
---@field original string As the client gave it.
---@field orcpt string? "rfc822;user@example.com"
---@field notify ("never"|"success"|"failure"|"delay")[]? Of which ends the sender wants to hear (RFC 3461).

---What a transport has to deliver. Good until deliver() ends.
---@class mansio.delivery
---@field sender mansio.address
---@field recipients mansio.recipient[]
---@field nexthop string? Of the route.
---@field queue_id string
---@field meta table<string, string?> What policies and filters noted about the message.
---@field message mansio.message To be read.
---@field attempts integer Made for these recipients before.
---@field arrival number Seconds since 1970.
---@field envid string?
---@field ret "full"|"hdrs"|nil
---@field smtputf8 boolean
---@field eight_bit boolean Some octet is above 127.
---@field eight_bit_header boolean The same, in the header section.
---@field body_8bitmime boolean The client declared BODY=8BITMIME.
---@field require_tls boolean Must not travel in the clear (RFC 8689).
---@field possible_duplicate boolean It may have been delivered before.
---@field source_pool string?
---@field tls_policy string? Of the message's metadata, in the transport's own words.
---@field client_address string?
---@field client_name string?
---@field helo_name string?
---@field auth_user string? As whom the client has authenticated.
---@field auth_method string? By which mechanism.
---@field auth_sender string? The original submitter that it named (AUTH= in MAIL).
---@field origin mansio.origin Who brought the message into the mail system.
local delivery = {}
---(recipient, [code,] [enhanced code,] [text] [, options])
---@param recipient mansio.recipient
---@param ... integer|string|mansio.ResultOptions
function delivery:sent(recipient, ...) end
---(recipient, [code,] [enhanced code,] [text] [, options])
---@param recipient mansio.recipient
---@param ... integer|string|mansio.ResultOptions
function delivery:defer(recipient, ...) end
---(recipient, [code,] [enhanced code,] [text] [, options])
---@param recipient mansio.recipient
---@param ... integer|string|mansio.ResultOptions
function delivery:bounce(recipient, ...) end
---It may have been delivered, and is tried again. (recipient, [code,] [enhanced code,] [text] [, options])
---@param recipient mansio.recipient
---@param ... integer|string|mansio.ResultOptions
function delivery:uncertain(recipient, ...) end

---The client, unless a content filter or a server before us has told of another (XFORWARD).
---@class mansio.origin
---@field source "local"|"remote"|nil
---@field address string?
---@field port integer?
---@field name string?
---@field helo_name string?
---@field protocol string?
---@field ident string? The message's id there.

---A step of AUTH. Good until its function ends.
---@class mansio.auth_step
---@field mechanism string In capitals.
---@field response string? What the client sent, decoded; a first step may have none.
---@field number integer From 1.
---@field client_address string?
---@field helo_name string?
---@field tls_version string? None in clear.
---@field meta table<string, string?> Notes for the next steps of this exchange.

---A question of the queue for permits.
---@class mansio.lease_request
---@field limit string Such as "destination_rate_limit".
---@field key string Whose: "smtp", "smtp:example.com", a tenant, campaign, sender or source pool.
---@field want integer What would go within a second or so.
---@field per_second number As configured.
---@field burst integer As configured.

---Of DNS.
---@class mansio.record
---@field data string
---@field preference integer

---What a server of HTTP answered.
---@class mansio.response
---@field status integer
---@field body string
---@field headers table<string, string> By their names in lower case.

---A function that runs beside. It ends with its handler.
---@class mansio.task
local task = {}
---Waits for its end. Once; its error is an error here.
---@return any ... What the function returned.
function task:join() end

---A connection to a server. Good until its handler ends, which closes it.
---@class mansio.connection
local connection = {}
---Waits for so many octets.
---@param n integer
---@return string? octets Fewer at the end of what the server sends, nil after it.
function connection:read(n) end
---@return string? line Without its end; nil after the last one.
function connection:read_line() end
---@param ... string
function connection:write(...) end
function connection:close() end

---@class mansio.redis_server
local redis_server = {}
---Waits. A server that cannot answer, or answers with an error, defers.
---@param command string
---@param ... string|number
---@return string|integer|table|nil reply In a list false stands for nil.
function redis_server:call(command, ...) end

---@class mansio.database
local database = {}
---Waits.
---@param sql string One statement, with ? for each parameter.
---@param ... string|number|boolean|nil
---@return table<string, string|number>[] rows By the names of the columns; NULL is not there.
function database:query(sql, ...) end
---@param sql string
---@param ... string|number|boolean|nil
---@return integer changed How many rows.
function database:execute(sql, ...) end

---@class mansio.regex
local regex = {}
---@param text string
---@return boolean
function regex:test(text) end
---@param text string
---@param start? integer
---@return string|false|nil ... The groups, false for one that took no part; the whole match without groups.
function regex:match(text, start) end
---@param text string
---@param start? integer
---@return integer? first
---@return integer? last
function regex:find(text, start) end
---@param text string
---@param group string|integer
---@return string?
function regex:group(text, group) end
---@param text string
---@return fun(): ...
function regex:each(text) end
---@param text string
---@param replacement string With $1, and $$ for $.
---@return string text
---@return integer count
function regex:replace(text, replacement) end

---@class mansio.ip_set
local ip_set = {}
---@param address string
---@return boolean
function ip_set:contains(address) end

---@class mansio.window_of
local window_of = {}
---@param key string
---@param n? integer
---@return number
function window_of:add(key, n) end
---@param key string
---@return number
function window_of:count(key) end

---@class mansio.rate_limit
local rate_limit = {}
---@param key string
---@param n? integer
---@return boolean granted All of them, or none.
---@return number? wait Seconds until there are so many.
function rate_limit:take(key, n) end
---@param key string
---@return integer n How many there are now.
function rate_limit:free(key) end

---@class mansio.counter_metric
local counter_metric = {}
---@param n? integer
function counter_metric:add(n) end

---@class mansio.gauge_metric
local gauge_metric = {}
---@param value integer
function gauge_metric:set(value) end

---@class mansio.OnOptions
---@field timeout? mansio.Time How long the handler may take, its waits included.
---@field on_error? mansio.OnError What an error in it means; "fail": on_failure of the configuration decides.

---@class mansio.ResultOptions
---@field retry? mansio.Time Of defer: the server asked not to be tried before.
---@field nexthop_failed? boolean Of defer: no server of the next hop could be used, so the queue slows down towards it.
---@field relay? string Who said so, for the log.

---@class mansio.PermitsOptions
---@field ttl? mansio.Time How long they may be used; a minute unless given.
---@field retry? mansio.Time Do not ask again before.

---@class mansio.RouteFields
---@field transport? string The one that it has unless given.
---@field nexthop? string With a transport, the recipient's domain unless given.
---@field source_pool? string

---@class mansio.SubmitFields
---@field sender? string Who hears what becomes of it; nobody unless given.
---@field recipients string|string[]
---@field message string All of it, its header section first; lines may end in any way.
---@field meta? table<string, string|number> Notes that go with it; tenant, campaign, source_pool and priority are acted upon.

---@class mansio.ConnectOptions
---@field timeout? mansio.Time Of the connection, and of each read and write; "30s" unless given.
---@field tls? boolean With TLS. The certificate is always checked.
---@field tls_name? string The name that the certificate has to have; that of the address unless given.
---@field ca_file? string Whom to trust; the system's authorities unless given.

---@class mansio.HttpOptions
---@field timeout? mansio.Time Of all of it; "30s" unless given.
---@field limit? integer Octets that the body of the response may have; 1 MiB unless given.
---@field headers? table<string, string>
---@field ca_file? string Whom to trust; the system's authorities unless given.

---@class mansio.RedisOptions
---@field timeout? mansio.Time Of a command, the connection included; "4s" unless given.
---@field tls? boolean
---@field tls_name? string
---@field ca_file? string
---@field user? string
---@field password? string
---@field database? integer

---@class mansio.SqliteOptions
---@field timeout? mansio.Time Of a statement; "10s" unless given.
---@field write? boolean Whether it may be written to, and is made when it is not there.

---@class mansio.MemoizeOptions
---@field ttl? mansio.Time How long a result is remembered; a minute unless given.
---@field size? integer How many are; 10000 unless given.

---@class mansio.RateOptions
---@field burst? integer How many may follow each other at once after a quiet time; the number of the rate unless given.

---@class mansio.AnswerOptions
---@field ttl? mansio.Time How long it may be used again, instead of cache_ttl of the table; 0 means not at all.

---@class mansio.OptionFields
---@field type? "string"|"integer"|"number"|"boolean"|"time"|"list" "string" unless given. A time is seconds; a list is what is set any number of times.
---@field default? string|number|boolean|string[] What it is where the configuration does not set it; false unless given.
---@field required? boolean Without it the script does not load.
---@field description? string For the operator who has not set it.

---@class mansio.Lookup
---@field lookup fun(key: string, table: string): (string|string[]|mansio.verdict|nil), mansio.AnswerOptions?

---@class mansio.Transport
---@field deliver fun(delivery: mansio.delivery): mansio.verdict?

---Either check or step.
---@class mansio.AuthObject
---@field check? fun(user: string, password: string, step: mansio.auth_step): boolean|mansio.verdict|nil For PLAIN, LOGIN.
---@field step? fun(step: mansio.auth_step): mansio.verdict For mechanisms of its own.
---@field mechanisms? string[] Needed with step; {"PLAIN", "LOGIN"} with check.

---@class mansio.RateObject
---@field lease fun(request: mansio.lease_request): mansio.verdict mansio.permits(n), or mansio.defer(why).
---@field give_back? fun(limit: string, key: string, unused: integer)

---What [filter.NAME] or [policy.NAME] does: a function for each event that it sees, as mansio.on() has them; the options
---are for all of them.
---@class mansio.FilterObject
---@field timeout? mansio.Time How long the handler may take, its waits included.
---@field on_error? mansio.OnError What an error in it means; "fail": on_failure of the configuration decides.
---@field connect? fun(session: mansio.session): mansio.verdict?
---@field helo? fun(session: mansio.session, name: string): mansio.verdict?
---@field starttls? fun(session: mansio.session): mansio.verdict?
---@field auth? fun(session: mansio.session, mechanism: string, user: string): mansio.verdict?
---@field mail? fun(transaction: mansio.transaction, sender: mansio.address): mansio.verdict?
---@field rcpt? fun(transaction: mansio.transaction, rcpt: mansio.address): mansio.verdict?
---@field data? fun(transaction: mansio.transaction): mansio.verdict?
---@field header? fun(transaction: mansio.transaction, name: string, value: string): mansio.verdict?
---@field eoh? fun(transaction: mansio.transaction): mansio.verdict?
---@field body? fun(transaction: mansio.transaction, piece: string): mansio.verdict?
---@field ["end-of-message"]? fun(transaction: mansio.transaction, message: mansio.message): mansio.verdict?
---@field disconnect? fun(session: mansio.session)
---@field route? fun(mail: mansio.mail, recipient: mansio.address): mansio.verdict? These four of a policy of the queue.
---@field predelivery? fun(mail: mansio.mail): mansio.verdict?
---@field retry? fun(mail: mansio.mail): mansio.verdict?
---@field bounce? fun(mail: mansio.mail): mansio.verdict?
---@field abort? fun(session_id: string, queue_id: string) Told, and returns nothing.

---Has a function called at an event. Works while the script is loaded.
---@overload fun(event: "connect", handler: fun(session: mansio.session): mansio.verdict?)
---@overload fun(event: "connect", options: mansio.OnOptions, handler: fun(session: mansio.session): mansio.verdict?)
---@overload fun(event: "helo", handler: fun(session: mansio.session, name: string): mansio.verdict?)
---@overload fun(event: "helo", options: mansio.OnOptions, handler: fun(session: mansio.session, name: string): mansio.verdict?)
---@overload fun(event: "starttls", handler: fun(session: mansio.session): mansio.verdict?)
---@overload fun(event: "starttls", options: mansio.OnOptions, handler: fun(session: mansio.session): mansio.verdict?)
---@overload fun(event: "auth", handler: fun(session: mansio.session, mechanism: string, user: string): mansio.verdict?)
---@overload fun(event: "auth", options: mansio.OnOptions, handler: fun(session: mansio.session, mechanism: string, user: string): mansio.verdict?)
---@overload fun(event: "mail", handler: fun(transaction: mansio.transaction, sender: mansio.address): mansio.verdict?)
---@overload fun(event: "mail", options: mansio.OnOptions, handler: fun(transaction: mansio.transaction, sender: mansio.address): mansio.verdict?)
---@overload fun(event: "rcpt", handler: fun(transaction: mansio.transaction, rcpt: mansio.address): mansio.verdict?)
---@overload fun(event: "rcpt", options: mansio.OnOptions, handler: fun(transaction: mansio.transaction, rcpt: mansio.address): mansio.verdict?)
---@overload fun(event: "data", handler: fun(transaction: mansio.transaction): mansio.verdict?)
---@overload fun(event: "data", options: mansio.OnOptions, handler: fun(transaction: mansio.transaction): mansio.verdict?)
---@overload fun(event: "header", handler: fun(transaction: mansio.transaction, name: string, value: string): mansio.verdict?)
---@overload fun(event: "header", options: mansio.OnOptions, handler: fun(transaction: mansio.transaction, name: string, value: string): mansio.verdict?)
---@overload fun(event: "eoh", handler: fun(transaction: mansio.transaction): mansio.verdict?)
---@overload fun(event: "eoh", options: mansio.OnOptions, handler: fun(transaction: mansio.transaction): mansio.verdict?)
---@overload fun(event: "body", handler: fun(transaction: mansio.transaction, piece: string): mansio.verdict?)
---@overload fun(event: "body", options: mansio.OnOptions, handler: fun(transaction: mansio.transaction, piece: string): mansio.verdict?)
---@overload fun(event: "end-of-message", handler: fun(transaction: mansio.transaction, message: mansio.message): mansio.verdict?)
---@overload fun(event: "end-of-message", options: mansio.OnOptions, handler: fun(transaction: mansio.transaction, message: mansio.message): mansio.verdict?)
---@overload fun(event: "disconnect", handler: fun(session: mansio.session))
---@overload fun(event: "disconnect", options: mansio.OnOptions, handler: fun(session: mansio.session))
---@overload fun(event: "route", handler: fun(mail: mansio.mail, recipient: mansio.address): mansio.verdict?)
---@overload fun(event: "route", options: mansio.OnOptions, handler: fun(mail: mansio.mail, recipient: mansio.address): mansio.verdict?)
---@overload fun(event: "predelivery", handler: fun(mail: mansio.mail): mansio.verdict?)
---@overload fun(event: "predelivery", options: mansio.OnOptions, handler: fun(mail: mansio.mail): mansio.verdict?)
---@overload fun(event: "retry", handler: fun(mail: mansio.mail): mansio.verdict?)
---@overload fun(event: "retry", options: mansio.OnOptions, handler: fun(mail: mansio.mail): mansio.verdict?)
---@overload fun(event: "bounce", handler: fun(mail: mansio.mail): mansio.verdict?)
---@overload fun(event: "bounce", options: mansio.OnOptions, handler: fun(mail: mansio.mail): mansio.verdict?)
---@overload fun(event: "abort", handler: fun(session_id: string, queue_id: string))
---@overload fun(event: "abort", options: {timeout?: mansio.Time}, handler: fun(session_id: string, queue_id: string))
---@overload fun(event: "inserted", handler: fun(event: mansio.event))
---@overload fun(event: "inserted", options: {timeout?: mansio.Time}, handler: fun(event: mansio.event))
---@overload fun(event: "routed", handler: fun(event: mansio.event))
---@overload fun(event: "routed", options: {timeout?: mansio.Time}, handler: fun(event: mansio.event))
---@overload fun(event: "delivering", handler: fun(event: mansio.event))
---@overload fun(event: "delivering", options: {timeout?: mansio.Time}, handler: fun(event: mansio.event))
---@overload fun(event: "delivered", handler: fun(event: mansio.event))
---@overload fun(event: "delivered", options: {timeout?: mansio.Time}, handler: fun(event: mansio.event))
---@overload fun(event: "deferred", handler: fun(event: mansio.event))
---@overload fun(event: "deferred", options: {timeout?: mansio.Time}, handler: fun(event: mansio.event))
---@overload fun(event: "bounced", handler: fun(event: mansio.event))
---@overload fun(event: "bounced", options: {timeout?: mansio.Time}, handler: fun(event: mansio.event))
---@overload fun(event: "removed", handler: fun(event: mansio.event))
---@overload fun(event: "removed", options: {timeout?: mansio.Time}, handler: fun(event: mansio.event))
---@overload fun(event: "log", handler: fun(line: string))
---@overload fun(event: "log", options: {timeout?: mansio.Time}, handler: fun(line: string))
---@param event mansio.Event
---@param options mansio.OnOptions
---@param handler fun(...): mansio.verdict?
function mansio.on(event, options, handler) end

---Is what the configuration names as NAME. Works while the script is loaded.
---@param kind mansio.ProvideKind
---@param name string The name of the table, transport, auth, rate, filter or policy in the configuration.
---@param object mansio.Lookup|mansio.Transport|mansio.AuthObject|mansio.RateObject|mansio.FilterObject
function mansio.provide(kind, name, object) end

---Has `mansio plugin call INSTANCE NAME ARGUMENT...` call a function. Works while the script is loaded.
---@param name string Of a to z, 0 to 9, _ and -.
---@param help string For those who ask for a command that is not there.
---@param handler fun(...: string): string|string[]|mansio.verdict|nil What it returns is shown; mansio.reject(why) and mansio.defer(why) say that it failed.
function mansio.command(name, help, handler) end

---Declares a setting of the script's own, as mansio.config has it, and returns it. Works while the script is loaded.
---@param name string
---@param options? mansio.OptionFields
---@return any
function mansio.option(name, options) end

---The directory in which the script may write, where it has a process of its own; elsewhere it has none, which is an error.
---@return string
function mansio.state_directory() end

---No objection, and no further handler of this script is asked.
---@return mansio.verdict
function mansio.accept() end

---([code,] [enhanced code,] [text]); of a transport with options behind.
---@param ... integer|string|mansio.ResultOptions
---@return mansio.verdict
function mansio.reject(...) end

---([code,] [enhanced code,] [text]); of a transport with options behind.
---@param ... integer|string|mansio.ResultOptions
---@return mansio.verdict
function mansio.defer(...) end

---Of a transport: delivered. ([code,] [enhanced code,] [text] [, options])
---@param ... integer|string|mansio.ResultOptions
---@return mansio.verdict
function mansio.sent(...) end

---Of a transport: it may have been delivered, and is tried again. ([code,] [enhanced code,] [text] [, options])
---@param ... integer|string|mansio.ResultOptions
---@return mansio.verdict
function mansio.uncertain(...) end

---Of AUTH: that is who the client is.
---@param user string
---@param identity? string As whom the user acts; as itself unless given.
---@return mansio.verdict
function mansio.authenticated(user, identity) end

---Of a step of AUTH: the client is to answer this, and the next step has its response.
---@param octets? string
---@return mansio.verdict
function mansio.challenge(octets) end

---Of the owner of a limit: so many deliveries may begin.
---@param n integer
---@param options? mansio.PermitsOptions
---@return mansio.verdict
function mansio.permits(n, options) end

---Of "route" and "predelivery": it goes this way.
---@param way mansio.RouteFields
---@return mansio.verdict
function mansio.route(way) end

---Of "route", "predelivery" and "retry": not now, but in that time.
---@param time mansio.Time
---@param text? string
---@return mansio.verdict
function mansio.retry(time, text) end

---Into the queue, to wait there for an operator.
---@param reason string
---@return mansio.verdict
function mansio.hold(reason) end

---Taken, and thrown away.
---@param reason string
---@return mansio.verdict
function mansio.discard(reason) end

---To this address and to nobody else; of "bounce": the notification goes there.
---@param address string
---@return mansio.verdict
function mansio.redirect(address) end

---Asks a configured table. Waits. One that cannot answer defers, as an error that pcall() may catch.
---@param table string
---@param key string
---@return string? value
function mansio.lookup(table, key) end

---All values that the table has. Waits.
---@param table string
---@param key string
---@return string[]
function mansio.lookup_all(table, key) end

---Waits. No such name is an empty list.
---@param name string
---@param type mansio.RecordType
---@return mansio.record[]
function mansio.dns(name, type) end

---Puts a message into the queue. Waits. What cannot be taken now defers, as with mansio.lookup.
---@param mail mansio.SubmitFields
---@return string? queue_id It is on stable storage.
---@return string? why It is refused for good.
function mansio.submit(mail) end

---Permits of a [[rate_limit]], for what is to count as deliveries do. Waits. What is granted is used.
---@param limit mansio.QueueLimit
---@param key string Whose: a tenant, campaign, sender or source pool.
---@param n? integer How many would go now, 1 unless given.
---@return integer granted Up to n; all of them where nothing limits the key.
---@return number? wait Of none: seconds until it may be asked again.
function mansio.take_permits(limit, key, n) end

---Waits.
---@param time mansio.Time
function mansio.sleep(time) end

---Begins when the one that began it waits. All tasks of a call share its budgets; at most 100 that nobody has joined.
---@param f fun(...): ...
---@param ... any What the function gets.
---@return mansio.task
function mansio.spawn(f, ...) end

---Waits. Needs allow = ["connect"]. A server that cannot answer defers, as with mansio.lookup.
---@param address string "host:port", "[2001:db8::1]:port" or "unix:/path".
---@param options? mansio.ConnectOptions
---@return mansio.connection
function mansio.connect(address, options) end

---Needs allow = ["redis"]. Waits for nothing yet, so that it may be made when the script is loaded.
---@param address string "host", "host:port" or "unix:/path".
---@param options? mansio.RedisOptions
---@return mansio.redis_server
function mansio.redis(address, options) end

---Needs allow = ["sqlite"]. Waits for nothing yet, so that it may be made when the script is loaded.
---@param path string
---@param options? mansio.SqliteOptions
---@return mansio.database
function mansio.sqlite(path, options) end

---A function that remembers what this one returned for each argument.
---@generic F: function
---@param f F Of one argument.
---@param options? mansio.MemoizeOptions
---@return F
function mansio.memoize(f, options) end

---Counts for each of many keys what came within a time that slides, in all processes of the instance.
---@param name string
---@param length mansio.Time
---@return mansio.window_of
function mansio.window(name, length) end

---A rate for each of many keys, for all processes of the instance.
---@param name string The same name is the same rate.
---@param rate string Such as "100/m" or "500/15m".
---@param options? mansio.RateOptions
---@return mansio.rate_limit
function mansio.rate(name, rate, options) end

---What the configuration sets for this script: settings and secrets of its table.
---@class mansio.config
---@field [string] any
mansio.config = {}

---@class mansio.http
mansio.http = {}
---Waits. Needs allow = ["http"]. A server that does not answer defers; one that answers with an error has answered.
---@param url string
---@param options? mansio.HttpOptions
---@return mansio.response
function mansio.http.get(url, options) end
---@param url string
---@param body string
---@param options? mansio.HttpOptions
---@return mansio.response
function mansio.http.post(url, body, options) end
---@param method string
---@param url string
---@param body? string
---@param options? mansio.HttpOptions
---@return mansio.response
function mansio.http.request(method, url, body, options) end

---Perl's regular expressions.
---@class mansio.re
mansio.re = {}
---@param pattern string
---@param flags? string Of i, m, s, u, x.
---@return mansio.regex
function mansio.re.compile(pattern, flags) end
---@param text string
---@return string
function mansio.re.escape(text) end

---@class mansio.json
---@field null lightuserdata
mansio.json = {}
---@param text string
---@return any value
---@return string? why
function mansio.json.decode(text) end
---@param value any
---@return string
function mansio.json.encode(value) end
---@param list? table
---@return table
function mansio.json.array(list) end

---@class mansio.base64
mansio.base64 = {}
---@param text string
---@return string
function mansio.base64.encode(text) end
---@param text string
---@return string?
function mansio.base64.decode(text) end

---@class mansio.hash
mansio.hash = {}
---@param text string
---@param form? "raw" The octets; hexadecimal unless given.
---@return string
function mansio.hash.sha256(text, form) end
---@param text string
---@param form? "raw" The octets; hexadecimal unless given.
---@return string
function mansio.hash.sha512(text, form) end
---@param text string
---@param form? "raw" The octets; hexadecimal unless given.
---@return string
function mansio.hash.sha1(text, form) end
---@param text string
---@param form? "raw" The octets; hexadecimal unless given.
---@return string
function mansio.hash.md5(text, form) end
---@param hash "sha256"|"sha512"|"sha1"|"md5"
---@param key string
---@param text string
---@param form? "raw" The octets; hexadecimal unless given.
---@return string
function mansio.hash.hmac(hash, key, text, form) end
---@param a string
---@param b string
---@return boolean
function mansio.hash.equal(a, b) end
---@param text string
---@return string
function mansio.hash.hex(text) end

---@class mansio.time
mansio.time = {}
---@return number seconds Since 1970.
function mansio.time.now() end
---@return number seconds
function mansio.time.monotonic() end
---@param time? number
---@return string
function mansio.time.iso(time) end
---@param time? number
---@return string
function mansio.time.rfc5322(time) end
---@param time mansio.Time
---@return number
function mansio.time.seconds(time) end

---@class mansio.ip
mansio.ip = {}
---@param networks string[]
---@return mansio.ip_set
function mansio.ip.set(networks) end
---@param text string
---@return string?
function mansio.ip.parse(text) end
---@param address string
---@return 4|6
function mansio.ip.version(address) end
---@param address string
---@return string
function mansio.ip.reverse(address) end

---@class mansio.idna
mansio.idna = {}
---@param name string A domain name, in any form.
---@return string? name In lower case and A-labels ("xn--"), without a dot at the end.
---@return string? why
function mansio.idna.to_ascii(name) end
---@param name string A domain name, in any form.
---@return string? name In lower case and U-labels.
---@return string? why
function mansio.idna.to_unicode(name) end

---The public suffix list: below which names strangers register theirs.
---@class mansio.suffix
mansio.suffix = {}
---@param name string A domain name, in any form.
---@return string? suffix Such as "co.uk", in A-labels; the last label of a name that the list does not know.
---@return boolean? listed The list has it.
function mansio.suffix.of(name) end
---@param name string A domain name, in any form.
---@return string? name Such as "example.co.uk", in A-labels; nil for what is a suffix itself, or no name.
function mansio.suffix.registrable(name) end

---Numbers by name, in all processes of the instance.
---@class mansio.counter
mansio.counter = {}
---@param name string
---@param n? integer
---@return integer
function mansio.counter.add(name, n) end
---@param name string
---@return integer
function mansio.counter.get(name) end

---@class mansio.log
mansio.log = {}
---@param format string
---@param ... any
function mansio.log.debug(format, ...) end
---@param format string
---@param ... any
function mansio.log.info(format, ...) end
---@param format string
---@param ... any
function mansio.log.warn(format, ...) end
---@param format string
---@param ... any
function mansio.log.error(format, ...) end

---@class mansio.metric
mansio.metric = {}
---@param name string
---@param help string
---@return mansio.counter_metric
function mansio.metric.counter(name, help) end
---@param name string
---@param help string
---@return mansio.gauge_metric
function mansio.metric.gauge(name, help) end
