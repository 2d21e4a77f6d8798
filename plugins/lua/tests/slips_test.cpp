// Slips inside of functions are errors when the script is loaded, with line and suggestion; and what is none passes.
#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "plugins/lua/check/source.hpp"
#include "plugins/lua/declarations.hpp"
#include "plugins/lua/shapes.hpp"
#include "plugins/lua/tests/scripted.hpp"

namespace mansio::lua::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

// As the body of a handler, which begins in line 2.
std::string problem_at(const std::string &event, const std::string &parameters, const std::string &body) {
  return problem("mansio.on('" + event + "', function(" + parameters + ")\n" + body + "\nend)");
}

TEST(Slips, InGlobalsAreFoundAtLoad) {
  const std::vector<std::pair<std::string, std::string>> slips{
      {"return undefinedd", R"(.lua:2: there is no global "undefinedd")"},
      {"\nforgotten = 1", R"(.lua:3: "forgotten" is no variable of this function; it lacks "local")"},
      {"pirnt('x')", R"(.lua:2: there is no global "pirnt"; did you mean "print"?)"},
      {"local recipient = 1; return recipent", R"(there is no global "recipent"; did you mean "recipient"?)"},
      {"return _G.pirnt", R"(there is no global "pirnt"; did you mean "print"?)"},
      {"_G.forgotten = 1", R"("forgotten" is no variable of this function)"},
      {"local x = {a = function() return {[undefinedd] = 1} end}", R"(there is no global "undefinedd")"},
      {"for i = 1, undefinedd do end", R"(there is no global "undefinedd")"},
      {"repeat local inner = 1 until inner; return inner", R"(there is no global "inner")"},
      {"function helper() end", R"("helper" is no variable of this function)"},
      {"if io then io.open('x') end",
       R"(there is no global "io"; it is off, as it reaches the system: allow = ["io"])"},
      {"debug.traceback()", R"(there is no global "debug"; scripts are not offered it)"},
      {"goto on ::on:: return ('x'):rep(undefinedd)", R"(there is no global "undefinedd")"},
  };
  for (const auto &[body, expected] : slips) EXPECT_THAT(problem_at("connect", "", body), HasSubstr(expected)) << body;
}

TEST(Slips, InNamesOfLibrariesAreFoundAtLoad) {
  const std::vector<std::pair<std::string, std::string>> slips{
      {"return mansio.rejct('x')", R"(.lua:2: mansio has no "rejct"; did you mean "reject"?)"},
      {"return mansio.json.encod({})", R"(mansio.json has no "encod"; did you mean "encode"?)"},
      {"return mansio['json']['encod']", R"(mansio.json has no "encod"; did you mean "encode"?)"},
      {"return string.fnd('a', 'b')", R"(string has no "fnd"; did you mean "find"?)"},
      {"return os.execute('true')", R"(os has no "execute"; it is off, as it reaches the system: allow = ["os"])"},
      {"return mansio.json.parse('1')", R"(mansio.json has no "parse"; there is array, decode, encode, null)"},
      {"local log = mansio.log; log.inof('x')", R"(mansio.log has no "inof"; did you mean "info"?)"},
      {"mansio.mine = 1", R"(mansio takes no new field, such as "mine")"},
      {"return ('x'):uper()", R"(string has no "uper"; did you mean "upper"?)"},
      {"return mansio.re.compile('x'):tets('y')", R"(regex has no "tets"; did you mean "test"?)"},
      {"return mansio.window('w', '1h'):ad('y')", R"(window has no "ad"; did you mean "add"?)"},
  };
  for (const auto &[body, expected] : slips) EXPECT_THAT(problem_at("connect", "", body), HasSubstr(expected)) << body;
  EXPECT_THAT(problem("local count = mansio.counter\nmansio.on('connect', function() count.ad('x') end)"),
              HasSubstr(R"(:2: mansio.counter has no "ad"; did you mean "add"?)"));
  EXPECT_THAT(problem("local r = mansio.rate('r', '1/h')\nlocal function f() return r:tak('x') end\n"
                      "mansio.on('connect', function() f() end)"),
              HasSubstr(R"(:2: rate has no "tak"; did you mean "take"?)"));
}

struct HandlerSlip {
  std::string event, parameters, body, expected;
};

TEST(Slips, InWhatHandlersGetAreFoundAtLoad) {
  const std::vector<HandlerSlip> slips{
      {"connect", "s", "return s.client_adress",
       R"(:2: session has no field "client_adress"; did you mean "client_address"?)"},
      {"helo", "s, name", "return name:lowr()", R"(string has no "lowr"; did you mean "lower"?)"},
      {"auth", "s, mechanism, user", "return user.localpart", R"(string has no "localpart")"},
      {"mail", "t, sender", "return sender.domian", R"(address has no "domian"; did you mean "domain"?)"},
      {"rcpt", "t", "return t.sesion", R"(transaction has no field "sesion"; did you mean "session"?)"},
      {"rcpt", "t", "return t.session.helo", R"(session has no field "helo"; did you mean "helo_name"?)"},
      {"rcpt", "t", "return t.client_address",
       R"(transaction has no field "client_address"; it is one of the session: transaction.session.client_address)"},
      {"end-of-message", "t, m", "return m.subject",
       R"(message has no field "subject"; there is size, recipients, header, )"},
      {"rcpt", "t", "local s = t.session; return function() return s.helo end", R"(session has no field "helo")"},
      {"rcpt", "t", "t.sender = 'x'", R"(transaction cannot be changed: "sender")"},
      {"rcpt", "t, r", "return r.localpart:uper()", R"(string has no "uper"; did you mean "upper"?)"},
      {"rcpt", "t, r", "r.note = 'x'", R"(address takes no new field, such as "note")"},
      {"rcpt", "t, r", "return 'no ' .. r", "expected text for .., got address; its text is .address"},
      {"end-of-message", "t, m", "m:add_heder('a', 'b')",
       R"(message has no field "add_heder"; did you mean "add_header"?)"},
      {"end-of-message", "t, m", "return m:header('a'):uper()", R"(string has no "uper")"},
      {"end-of-message", "t, m", "for part in m:parts() do return nil, part.file_name end",
       R"(part has no field "file_name"; did you mean "filename"?)"},
      {"end-of-message", "t, m", "for piece in m:body() do return nil, piece:lowr() end", R"(string has no "lowr")"},
      {"delivered", "e", "return e.recipient.domian", R"(address has no "domian")"},
      {"route", "mail, r", "return mail.recipents", R"(mail has no field "recipents"; did you mean "recipients"?)"},
      {"retry", "mail", "for _, r in ipairs(mail.recipients) do print(r.staus) end",
       R"(recipient of mail has no field "staus"; did you mean "status"?)"},
      {"bounce", "mail", "return mail.recipients[1].adress", R"(recipient of mail has no field "adress")"},
      {"rcpt", "t, r", "local found = mansio.dns(r.domain, 'MX') return found[1].prefrence",
       R"(:2: record has no "prefrence"; did you mean "preference"?)"},
      {"rcpt", "t, r", "for _, record in ipairs(mansio.dns(r.domain, 'A')) do print(record.dat) end",
       R"(record has no "dat"; did you mean "data"?)"},
      {"rcpt", "t, r", "local answer = mansio.http.get('http://a/') return answer.staus",
       R"(response has no "staus"; did you mean "status"?)"},
      {"end-of-message", "t, m", "for _, field in ipairs(m:headers()) do print(field.valeu) end",
       R"(header field has no "valeu"; did you mean "value"?)"},
      {"end-of-message", "t, m", "for part in m:parts() do print(part:headers()[1].nme) end",
       R"(header field has no "nme"; did you mean "name"?)"},
      {"end-of-message", "t, m", "m:headers()[1].note = 'x'", R"(header field takes no new field, such as "note")"},
      {"rcpt", "t, r", "return 'at ' .. mansio.dns(r.domain, 'MX')[1]", "expected text for .., got record"},
  };
  for (const auto &[event, parameters, body, expected] : slips)
    EXPECT_THAT(problem_at(event, parameters, body), HasSubstr(expected)) << body;
  const std::vector<std::pair<std::string, std::string>> provided{
      {"'lookup', 'x', {lookup = function(key) return key:uper() end}", R"(string has no "uper")"},
      {"'transport', 'x', {deliver = function(d) return d.nextop end}",
       R"(delivery has no field "nextop"; did you mean "nexthop"?)"},
      {"'transport', 'x', {deliver = function(d) print(d.origin.adress) end}",
       R"(origin has no "adress"; did you mean "address"?)"},
      {"'transport', 'x', {deliver = function(d) for _, r in ipairs(d.recipients) do d:sent(r); d:snt(r) end end}",
       R"(delivery has no field "snt"; did you mean "sent"?)"},
      {"'auth', 'x', {check = function(user, password, step) return step.helo end}",
       R"(auth step has no field "helo")"},
      {"'rate', 'x', {lease = function(request) return request.limt end}",
       R"(lease request has no "limt"; did you mean "limit"?)"},
      {"'filter', 'x', {['end-of-message'] = function(t, m) return m.sise end}",
       R"(message has no field "sise"; did you mean "size"?)"},
  };
  for (const auto &[arguments, expected] : provided)
    EXPECT_THAT(problem("mansio.provide(" + arguments + ")"), HasSubstr(expected)) << arguments;
  EXPECT_THAT(problem("local function judge(t, r)\nreturn r.domian end\nmansio.on('rcpt', judge)"),
              HasSubstr(":2: address has no"));
}

TEST(Slips, InWhatHandlersReturnAreFoundAtLoad) {
  const std::string expected = ", expected a result such as mansio.reject(\"5.7.1\", \"no\"), or nothing";
  const std::vector<std::pair<std::string, std::string>> slips{
      {"return '550 no'", ":2: the handler returns a text" + expected},
      {"if r then return 550, 'no' end", ":2: the handler returns a number" + expected},
      {"return false", ":2: the handler returns a boolean" + expected},
      {"return {code = 550}", ":2: the handler returns a table" + expected},
      {"return mansio.reject", ":2: the handler returns a function, mansio.reject without ()" + expected},
  };
  for (const auto &[body, said] : slips) EXPECT_THAT(problem_at("rcpt", "t, r", body), HasSubstr(said)) << body;
  EXPECT_THAT(problem("local function judge() return true end\nmansio.on('rcpt', {timeout = 1}, judge)"),
              HasSubstr(":1: the handler returns a boolean"));
  EXPECT_THAT(problem_at("delivered", "e", "return true"),
              HasSubstr("the handler returns a boolean, expected nothing"));
  for (const auto *const good : {"return nil", "return", "local f = function() return 1 end f()",
                                 "local x = mansio.reject return x('no')", "return r and mansio.reject('no') or nil"})
    EXPECT_EQ(problem_at("rcpt", "t, r", good), "") << good;
}

TEST(Slips, InWhatProvidedFunctionsReturnAreFoundAtLoad) {
  const std::vector<std::pair<std::string, std::string>> slips{
      {"'filter', 'x', {rcpt = function()\nreturn '550 no' end}",
       ":2: the handler returns a text, expected a result such as mansio.reject(\"5.7.1\", \"no\"), or nothing"},
      {"'filter', 'x', {connect = function() return mansio.hold('look') end}",
       "the handler returns mansio.hold(), expected mansio.accept(), reject(), defer(), or nothing"},
      {"'filter', 'x', {rcpt = print, abort = function() return 1 end}", "returns a number, expected nothing"},
      {"'transport', 'x', {deliver = function() return 'sent' end}",
       "the transport returns a text, expected mansio.sent(), defer(), reject(), uncertain(), or nothing"},
      {"'transport', 'x', {deliver = function() return mansio.accept() end}", "the transport returns mansio.accept()"},
      {"'lookup', 'x', {lookup = function() return true end}",
       "the lookup returns a boolean, expected a text, a list of texts, nil for \"not found\", or "
       "mansio.defer(\"why\")"},
      {"'lookup', 'x', {lookup = function() return mansio.reject('no') end}", "the lookup returns mansio.reject()"},
      {"'auth', 'x', {check = function() return 1 end}",
       "the check of AUTH returns a number, expected true, false, mansio.authenticated(user), reject() or defer()"},
      {"'auth', 'x', {check = function() return mansio.challenge() end}", "AUTH returns mansio.challenge()"},
      {"'auth', 'x', {mechanisms = {'X'}, step = function() return nil end}",
       "the step of AUTH returns nothing, expected mansio.challenge(), mansio.authenticated(user), reject() or "
       "defer()"},
      {"'rate', 'x', {lease = function(request) return 5 end}",
       "the lease returns a number, expected mansio.permits(n) or mansio.defer(\"why\")"},
      {"'rate', 'x', {lease = function(request) return mansio.permits end}",
       "the lease returns a function, mansio.permits without (), expected mansio.permits(n)"},
  };
  for (const auto &[arguments, said] : slips)
    EXPECT_THAT(problem("mansio.provide(" + arguments + ")"), HasSubstr(said)) << arguments;
  EXPECT_THAT(
      problem("mansio.on('connect', function() end)\nmansio.command('a', '', function() return true end)"),
      HasSubstr(":2: the command returns a boolean, expected a text, a list of texts, nothing, or mansio.reject("));
  for (const auto *const good :
       {"'lookup', 'x', {lookup = function(key) if key == '' then return 5 end return {'a'}, {ttl = 1} end}",
        "'lookup', 'x', {lookup = function() return mansio.defer('away') end}",
        "'transport', 'x', {deliver = function() return nil end}",
        "'transport', 'x', {deliver = function() return mansio.retry('1m') end}",
        "'auth', 'x', {check = function(user) return user == 'a' or false end}",
        "'rate', 'x', {lease = function() return mansio.defer('why') end, give_back = function() return 1 end}"})
    EXPECT_EQ(problem("mansio.provide(" + std::string{good} + ")"), "") << good;
  EXPECT_EQ(problem("local function f(x) return true end\nmansio.provide('lookup', 'x', {lookup = f})\n"
                    "mansio.provide('auth', 'x', {check = f})"),
            "");
}

TEST(Slips, ResultsThatAnEventCannotHaveAreFoundAtLoad) {
  const std::vector<std::array<std::string, 3>> slips{
      {"connect", "hold('look')", "mansio.hold(), expected mansio.accept(), reject(), defer(), or nothing"},
      {"helo", "redirect('a@x.test')", "mansio.redirect(), expected mansio.accept(), reject(), defer(), or nothing"},
      {"rcpt", "route{transport = 'x'}",
       "mansio.route(), expected mansio.accept(), reject(), defer(), hold(), discard(), redirect(), or nothing"},
      {"rcpt", "sent()", "mansio.sent(), expected mansio.accept()"},
      {"predelivery", "redirect('a@x.test')",
       "mansio.redirect(), expected mansio.route{...}, retry(), defer(), reject(), hold(), discard(), or nothing"},
      {"retry", "discard('x')", "mansio.discard(), expected mansio.retry(), reject(), hold(), or nothing"},
      {"bounce", "reject('no')", "mansio.reject(), expected mansio.discard(), redirect(), defer(), or nothing"},
      {"delivered", "accept()", "mansio.accept(), expected nothing"},
  };
  for (const auto &[event, result, said] : slips)
    EXPECT_THAT(problem_at(event, "", "return mansio." + result), HasSubstr(":2: the handler returns " + said))
        << event;
  for (const auto &[event, result] : std::vector<std::pair<std::string, std::string>>{{"connect", "defer('later')"},
                                                                                      {"rcpt", "redirect('a@x.test')"},
                                                                                      {"route", "retry('1m')"},
                                                                                      {"retry", "hold('look')"},
                                                                                      {"bounce", "retry('1m')"},
                                                                                      {"disconnect", "accept()"}})
    EXPECT_EQ(problem_at(event, "", "return mansio." + result), "") << event;
  // What one event cannot have another one may.
  EXPECT_EQ(problem("local function judge(mail)\nif mail.kind then return mansio.redirect('a@x.test') end\n"
                    "return mansio.hold('look') end\nmansio.on('bounce', judge) mansio.on('predelivery', judge)"),
            "");
}

TEST(Slips, ResultsThatAreMadeAndNotReturnedAreFoundAtLoad) {
  const std::string advice =
      "the result of mansio.reject is heard only where the function ends with it; return it: return mansio.reject(...)";
  const std::vector<std::pair<std::string, std::string>> slips{
      {"if r.localpart == 'root' then\nmansio.reject('5.7.1', 'no')\nend", ":3: " + advice},
      {"local refuse = mansio.reject\nrefuse('no')", ":3: " + advice},
      {"for _ in pairs{} do mansio.reject('no') end", ":2: " + advice},
      {"local function judge() mansio.reject('no') end judge()", ":2: " + advice},
      {"mansio.hold('look')", "return it: return mansio.hold(...)"},
      {"mansio.accept()", "return it: return mansio.accept(...)"},
  };
  for (const auto &[body, said] : slips) EXPECT_THAT(problem_at("rcpt", "t, r", body), HasSubstr(said)) << body;
  EXPECT_THAT(problem("mansio.accept()\nmansio.on('connect', function() end)"), HasSubstr(":1: the result of"));
  for (const auto *const good :
       {"error(mansio.reject('no'))", "local no = mansio.reject('no') if r then return no end",
        "local list = {mansio.reject('no')} return list[1]", "mansio.sleep(0)", "pcall(mansio.reject, 'no')",
        "local function refuse() return mansio.reject('no') end return refuse()"})
    EXPECT_EQ(problem_at("rcpt", "t, r", good), "") << good;
  EXPECT_EQ(problem("function mansio_reject() end\nmansio.on('connect', function() mansio_reject() end)"), "");
}

TEST(Slips, InArgumentsAreFoundAtLoad) {
  const std::vector<std::pair<std::string, std::string>> slips{
      {"return mansio.reject(450, 'no')", ":2: the code is 450, expected 500 to 599"},
      {"return mansio.reject(450, '5.7.1', 'no ' .. t.queue_id)", "the code is 450, expected 500 to 599"},
      {"return mansio.reject('4.1.1', t.queue_id)", "the enhanced code is 4.1.1, expected one that begins with 5"},
      {"return mansio.reject('5.71', 'no ' .. t.queue_id)",
       R"(the enhanced code is "5.71", expected one such as "5.7.1")"},
      {"return mansio.defer('5.7.1', 'later')", "the enhanced code is 5.7.1, expected one that begins with 4"},
      {"error(mansio.reject(450, 'no'))", "the code is 450, expected 500 to 599"},
      {"local no = mansio.reject; return no(450, 'no')", "the code is 450, expected 500 to 599"},
      {"return mansio.redirect('nobody')", R"(expected an address such as "user@example.com", got "nobody")"},
      {"return mansio.hold()", "expected text for the reason, got nothing"},
      {"return mansio.hold(r)", "expected text for the reason, got address; its text is .address"},
      {"return mansio.retry('5x')", R"(the time is "5x", expected a time such as "5s")"},
      {"return mansio.route{nexthob = r.domain}", R"(mansio.route has no option "nexthob"; did you mean "nexthop"?)"},
      {"return mansio.defer('4.2.1', 'busy', {retri = t.x})",
       R"(the result has no option "retri"; did you mean "retry"?)"},
      {"return mansio.re.compile('(')", "missing closing parenthesis"},
      {"return mansio.dns(r.domain, 'AX')",
       R"(there is no type "AX" of records here, expected A, AAAA, MX, TXT or PTR; did you mean "A"?)"},
      {"return mansio.dns(r, 'MX')", "expected text for the name, got address; its text is .address"},
      {"return mansio.lookup('users', r)", "expected text for the key, got address; its text is .address"},
      {"return mansio.lookup('users')", "expected text for the key, got nothing"},
      {"return mansio.json.decode(r)", "expected text for the text, got address; its text is .address"},
      {"return mansio.idna.to_ascii(nil)", "expected text for the name, got nil"},
      {"mansio.counter.add()", "expected text for the name, got nothing"},
      {"mansio.sleep('5x')", R"(the time to sleep is "5x", expected a time such as "5s")"},
      {"return mansio.http.get('http://a', {timeot = '5s'})",
       R"(mansio.http has no option "timeot"; did you mean "timeout"?)"},
      {"return mansio.http.get('http://a', {timeout = '5x'})", R"(timeout is "5x", expected a time such as "5s")"},
      {"mansio.spawn('x')", "expected a function for the task, got string"},
      {"local f = mansio.memoize(5)", "expected a function for mansio.memoize, got number"},
      {"local f = mansio.memoize(print, '1m')", "expected a table for the options, got string"},
      {"local f = mansio.memoize(print, {size = 'large'})", "expected an integer for size, got string"},
      {"mansio.counter.add('n', 'many')", "expected an integer for the number, got string"},
      {"mansio.counter.add('n', 1.5)", "expected an integer for the number, got number"},
      {"mansio.take_permits('tenant_rate_limit', 'gold', true)",
       "expected an integer for the number of permits, got boolean"},
      {"return mansio.hash.sha256('x', true)", "expected text for the form, got boolean"},
      {"mansio.metric.gauge('g', 'help'):set('much')", "expected an integer for the value, got string"},
      {"mansio.connect('a:1', '5s')", "expected a table for the options, got string"},
      {"mansio.connect('a:1', {tls = 'yes'})", "expected true or false for tls, got string"},
      {"mansio.connect('a:1', {timeout = true})", "expected text for timeout, got boolean"},
      {"mansio.connect('a:1', {tls_name = {}})", "expected text for tls_name, got table"},
      {"mansio.connect('a:1'):read('*l')", "expected an integer for the number of octets, got string"},
      {"mansio.connect('a:1'):read()", "expected an integer for the number of octets, got nothing"},
      {"mansio.connect('a:1'):write('a', nil)", "expected text for the text, got nil"},
      {"mansio.connect('a:1'):write(r)", "expected text for the text, got address; its text is .address"},
      {"mansio.redis('a'):call()", "expected text for the command, got nothing"},
      {"mansio.redis('a'):call('SET', 'key', true)", "expected text for an argument, got boolean"},
      {"mansio.redis('a', {database = 'users'})", "expected an integer for database, got string"},
      {"return mansio.http.get('http://a', {limit = '1M'})", "expected an integer for limit, got string"},
      {"return mansio.http.get('http://a', {headers = 'X: y'})", "expected a table for headers, got string"},
  };
  for (const auto &[body, expected] : slips)
    EXPECT_THAT(problem("local t = {queue_id = 'x', x = 1}\nmansio.on('rcpt', function(_, r) " + body + " end)"),
                HasSubstr(expected))
        << body;
  const std::vector<std::pair<std::string, std::string>> of_message{
      {"m:header('Subject', 'first')", "expected an integer for the number of the field, got string"},
      {"m:insert_header('first', 'A', 'b')", "expected an integer for the position, got string"},
      {"m:remove_header('A', {1})", "expected an integer for the number of the field, got table"},
      {"m:text('1K')", "expected an integer for the size, got string"},
      {"m:version('a@example.com')", "expected a table for the recipients, got string"},
      {"m:set_header('A', m:headers()[1])", "expected text for the value, got header field"},
  };
  for (const auto &[body, expected] : of_message)
    EXPECT_THAT(problem_at("end-of-message", "t, m", body), HasSubstr(":2: " + expected)) << body;
  EXPECT_THAT(
      problem("mansio.provide('transport', 'x', {deliver = function(d)\nd:bounce(d.recipients[1], 450, 'no') end})"),
      HasSubstr(":2: the code is 450, expected 500 to 599"));
}

// What `allow` does not have fails whenever it is called.
TEST(Slips, OfLibrariesThatAreOffAreFoundAtLoad) {
  const auto is_off = [](const std::string &function, const std::string &library) {
    return function + " is off; allow = [\"" + library + "\"] in the configuration opens it";
  };
  const std::vector<std::array<std::string, 3>> slips{
      {"mansio.http.get('https://api.example.com/')", "mansio.http.get", "http"},
      {"return mansio.http.post('https://api.example.com/', t.queue_id).status", "mansio.http.post", "http"},
      {"local ask = mansio.http.request; ask('PUT', 'https://api.example.com/', 'x')", "mansio.http.request", "http"},
      {"if t.size then mansio.connect('127.0.0.1:1') end", "mansio.connect", "connect"},
      {"mansio.redis('127.0.0.1')", "mansio.redis", "redis"},
      {"pcall(function() mansio.sqlite('/x.db') end)", "mansio.sqlite", "sqlite"},
  };
  for (const auto &[body, function, library] : slips) {
    const auto script = "local t = {}\nmansio.on('connect', function()\n" + body + "\nend)";
    EXPECT_THAT(problem(script), HasSubstr(".lua:3: " + is_off(function, library))) << body;
    EXPECT_EQ(problem(script, {{"allow", library}}), "") << body;
    EXPECT_THAT(problem(script, {{"allow", "io"}}), HasSubstr(".lua:3: ")) << body;
  }
  for (const auto *const good :
       {"function mansio.connect() end\nmansio.on('connect', function() mansio.connect() end)",
        "rawset(mansio, 'redis', function() end)\nmansio.on('connect', function() mansio.redis('x') end)",
        "mansio.on('connect', function() return mansio.http and nil end)"})
    EXPECT_EQ(problem(good), "") << good;
}

// All of them at once, in the order of their lines.
TEST(Slips, AreToldTogether) {
  const auto said = problem_at("rcpt", "t, r", "print(one)\nprint(two)\nreturn mansio.reject(450, r.domian)");
  EXPECT_THAT(said, AllOf(HasSubstr(R"(.lua:2: there is no global "one")"),
                          HasSubstr(R"(, and at line 3: there is no global "two")"),
                          HasSubstr(R"(, and at line 4: address has no "domian")"), HasSubstr("the code is 450")));
  std::string many;
  for (int i = 0; i < 13; ++i) many += "print(global_" + std::to_string(i) + ")\n";
  EXPECT_THAT(problem_at("rcpt", "", many), AllOf(HasSubstr(", and 3 more"), Not(HasSubstr("global_10"))));
}

// What is no slip for sure passes.
TEST(Slips, AreNotSeenWhereThereMayBeNone) {
  const std::vector<std::string> good{
      // Globals that are there after load, whoever made them.
      "count = 0; mansio.on('rcpt', function() count = count + 1; return later() end); function later() end",
      "local function set_up() table_of_mine = {} end; set_up(); mansio.on('rcpt', function() return table_of_mine.x "
      "end)",
      "load('made = 1')(); mansio.on('rcpt', function() return made end)",
      "mansio.on('rcpt', function() return load('return undefinedd') end)",
      // Asked for without an error.
      "mansio.on('rcpt', function() local io = rawget(_G, 'io'); if io then return io.open('x') end end)",
      "mansio.on('rcpt', function() if rawget(mansio, 'future') then return rawget(mansio, 'future')() end end)",
      "mansio.on('rcpt', function() rawset(_G, 'cache', {}); return rawget(_G, 'cache') end)",
      // Another environment, and code outside of functions.
      "local function inner(_ENV) return whatever end; mansio.on('rcpt', function() return inner{whatever = 1} end)",
      "local unpack = table.unpack or unpack; mansio.on('rcpt', function() return unpack end)",
      // Parameters that are something else, or may be.
      "mansio.on('rcpt', function(t, r) r = {extra = 1}; return r.extra and nil end)",
      "local function f(t, r) return r.extra end; mansio.on('rcpt', f); mansio.on('mail', function(t) f(t, {extra = "
      "1}) end)",
      "local function f(x) return x.id or x.queue_id end; mansio.on('connect', f); mansio.on('data', f)",
      "local function f(t, r) return r and f(t) end; mansio.on('rcpt', f)",
      "mansio.on('rcpt', function(t) t.meta.anything = 'x'; t.session.meta.other = t.meta.third end)",
      "mansio.on('delivered', function(e) return nil, e.fields.anything end)",
      "mansio.on('rcpt', function(t, r) return nil, r.parameters[1], r['address']:find('x', 1, true) end)",
      "mansio.on('rcpt', function(t, r) local found = mansio.dns(r.domain, 'MX'); return nil, #found, found.n, "
      "next(found[1]), found[1].data:lower() end)",
      "mansio.on('end-of-message', function(t, m) m:headers()[1].value = m:headers()[2].value end)",
      // Tables of the script's own, and changed ones.
      "settings = {}; mansio.on('rcpt', function() return nil, settings.unknown, settings.unknown2 end)",
      "local plain = mansio.log; plain = {trace = print}; mansio.on('rcpt', function() plain.trace('x') end)",
      "mansio.log = {trace = print}; mansio.on('rcpt', function() mansio.log.trace('x') end)",
      "rawset(string, 'trim', function(s) return s end); mansio.on('rcpt', function(t, r) return nil, r.domain:trim() "
      "end)",
      "function mansio.reject(code) return code end; mansio.on('rcpt', function() mansio.reject(450) end)",
      // What Lua takes for an integer, or a text, and what need not be there.
      "mansio.on('end-of-message', function(t, m) m:header('A', '2'); m:header('A', 2.0); m:header('A', nil); "
      "m:text(0x10); m:text(' 0x1p4 '); m:add_header('A', 5); m:insert_header((1), 'A', 'b') end)",
      "local x = {}; mansio.on('rcpt', function(t, r) mansio.counter.add('n', -1); mansio.counter.add('n', x.n); "
      "mansio.hash.sha256('x', nil); mansio.memoize(print, {ttl = 5, size = nil}) end)",
      "local function on(event, f) mansio.on(event, f); mansio.on(event, {timeout = 1}, f) end; on('rcpt', print)",
      "local function on(event) mansio.on(event, function() end) end; on('rcpt')",
      // Arguments that are not known.
      "mansio.on('rcpt', function(t, r, ...) return mansio.reject(...) end)",
      "local f = print; mansio.on('rcpt', function(t, r) return mansio.reject(f(), f(), f()) end)",
      "local x = {}; mansio.on('rcpt', function(t, r) return mansio.reject(x.code, x.status, x.text) end)",
      "local x = {}; mansio.on('rcpt', function(t, r) return mansio.reject(x.code, 'no ' .. r.address) end)",
      "local x = {}; mansio.on('rcpt', function(t, r) return mansio.redirect(x.before .. x.domain) end)",
      "local x = {}; mansio.on('route', function(m, r) return mansio.route(x.way) end)",
      "local x = {}; mansio.on('route', function(m, r) return mansio.route{transport = x.way} end)",
      "local x = {}; mansio.on('route', function(m, r) return mansio.route{[x.field] = x.way} end)",
      "local x = {}; mansio.on('retry', function(m) return mansio.retry(x.time, x.text) end)",
      "local x = {}; mansio.on('rcpt', function(t, r) return mansio.hash.hmac(x.hash, x.key, x.text) and nil end)",
      "local x = {}; mansio.on('rcpt', function(t, r) return mansio.hash.hmac('sha256', x()) and nil end)",
      "local x = {}; mansio.on('rcpt', function(t, r) return mansio.ip.set(x.networks):contains(x.address) and nil "
      "end)",
      "local x = {}; mansio.on('rcpt', function(t, r) return mansio.re.compile('(' .. x.y .. ')'):test(x.z) and nil "
      "end)",
      "local x = {}; mansio.on('rcpt', function(t, r) return mansio.lookup(x.f()) and nil end)",
      "local x = {}; mansio.on('rcpt', function(t, r) return mansio.lookup(x.f, 7) and nil end)",
      "local x = {}; mansio.on('rcpt', function(t, r) return mansio.dns(x.f, x.type) and nil end)",
      "local x = {}; mansio.provide('transport', 'x', {deliver = function(d) for _, r in ipairs(d.recipients) do"
      " d:defer(r, x.code, x.text, {retry = x.retry, nexthop_failed = x.failed, relay = x.relay}) end end})",
      "local x = {}; mansio.provide('rate', 'x', {lease = function(q) return mansio.permits(x.n, {ttl = x.ttl}) end})",
      "local x = {}; mansio.provide('rate', 'x', {lease = function(q) return mansio.permits('' .. x.n) end})",
  };
  for (const auto &text : good) EXPECT_EQ(problem(text), "") << text;
}

std::string text_of_file(const std::filesystem::path &path) {
  std::ifstream in{path, std::ios::binary};
  return {std::istreambuf_iterator<char>{in}, {}};
}

const FakeHost::Options kAll{{"allow", "io,os,package,connect,http,redis,sqlite"}};

TEST(Slips, AreInNoExample) {
  std::size_t n = 0;
  for (const auto &entry : std::filesystem::directory_iterator{std::string{MANSIO_SOURCE_DIR} + "/examples/lua"}) {
    if (entry.path().extension() != ".lua") continue;
    EXPECT_TRUE(parse_source(text_of_file(entry.path()))) << entry.path();
    if (entry.path().string().ends_with("_test.lua")) continue;
    auto options = kAll;
    if (entry.path().filename() == "srs.lua") options["secrets"] = "secret=x";
    EXPECT_EQ(problem(text_of_file(entry.path()), options), "") << entry.path();
    ++n;
  }
  EXPECT_GT(n, 10u);
}

TEST(Slips, AreInNoScriptOfTheGuide) {
  const auto guide = text_of_file(std::string{MANSIO_SOURCE_DIR} + "/docs/lua-guide.md");
  std::size_t n = 0;
  for (auto at = guide.find("\n```lua\n"); at != guide.npos; at = guide.find("\n```lua\n", at + 1)) {
    const auto begin = at + 8;
    EXPECT_EQ(problem(guide.substr(begin, guide.find("\n```", begin) + 1 - begin), kAll), "");
    ++n;
  }
  EXPECT_GT(n, 10u);
}

// The declarations say of every event, object and kind what it has.
TEST(Slips, KnowAllEventsAndObjects) {
  const auto is_known = [](std::string_view type) {
    return type.empty() || type == "string" || find_shape(type.substr(0, type.find("[]")));
  };
  for (const auto &event : kEvents) {
    EXPECT_NE(types_at_event(event.name).front(), "") << event.name;
    EXPECT_EQ(types_of_provided("filter", event.name), types_at_event(event.name)) << event.name;
    for (const auto type : types_at_event(event.name)) EXPECT_TRUE(is_known(type)) << type;
    EXPECT_TRUE(find_results(event.name)) << event.name;
  }
  for (const auto &provided : kProvidedFields) {
    for (const auto &field : provided.fields) {
      const bool heard = field.type.starts_with("fun(") && field.type.find("): ") != field.type.npos;
      const auto at = std::string{provided.kind} + '.' + std::string{plain_name(field.name)};
      EXPECT_EQ(find_results(at) != nullptr, heard) << at;
    }
  }
  for (const auto &event : kMessageEvents)
    EXPECT_EQ(types_at_event(event.name).front(), event.name == "log" ? "string" : "event");
  EXPECT_EQ(types_at_event("abort").front(), "string");
  EXPECT_EQ(types_of_provided("filter", "abort"), types_at_event("abort"));
  EXPECT_EQ(types_at_event("no event").front(), "");
  EXPECT_EQ(types_of_provided("auth", "check").back(), "auth step");
  EXPECT_EQ(types_of_provided("transport", "deliver").front(), "delivery");
  EXPECT_EQ(type_of_walk("message:parts"), "part");
  EXPECT_EQ(type_of_result("mansio.dns"), "record[]");
  EXPECT_EQ(type_of_result("mansio.http.get"), "response");
  EXPECT_EQ(type_of_result("part:headers"), "header field[]");
  EXPECT_EQ(type_of_field("delivery", "origin"), "origin");
  for (const auto &functions : kAllFunctions) {
    for (const auto &function : functions) {
      const auto type = function.results.front().type;
      if (type.starts_with("mansio.") && type != "mansio.verdict") {  // which has no fields
        EXPECT_NE(type_of_result(function.name), "") << function.name;
      }
    }
  }
  for (const auto &shape : kObjectShapes) {
    std::size_t fields = 0;
    for (const auto field : shape.fields) {
      EXPECT_TRUE(is_known(type_of_field(shape.name, field))) << shape.name << '.' << field;
      fields += type_of_field(shape.name, field).empty() ? 0 : 1;
    }
    if (shape.name == "record" || shape.name == "response") {  // whose other fields are numbers, and a table
      EXPECT_EQ(fields, 1u) << shape.name;
    } else if (shape.name != "message" && shape.name != "version") {  // which have methods, and a number
      EXPECT_GT(fields, 1u) << shape.name;
    }
  }
}

TEST(Slips, AreReadAsLuaReadsThem) {
  for (const auto *good :
       {"", ";;;", "goto a ::a::", "local x <const>, y <close> = 1, nil", "x = 0x.1p-4 + 1e+5 + .5 + 3", "return;",
        "a.b['c']:d{1, 2; 3, x = 1, [2] = 3,}'s'[ [[l]] ]()", "function a.b.c:d(...) return ... end",
        "x = [==[\n]]\n]==] --[=[ ]] \n]=]", "x = 'a\\z \n b\\x41\\u{20AC}\\065\\\nc'", "repeat local x = 1 until x",
        "local function f() return f end", "x = - - #a ^ not b", "::l:: while true do break end",
        "if a then elseif b then else end", "for i = 1, 2, 3 do end for a, b in c, d do end", "a, b.c, d[1] = 1, 2, 3",
        "x = a // b % c << 1 >> 2 & 3 ~ 4 | ~5 ~= 6"})
    EXPECT_TRUE(parse_source(good)) << good;
  for (const auto *bad : {"x", "local", "if x then", "f(", "a = = 1", "'a", "x = 1 2", "return 1 x", "for i in do end",
                          "f() = 1", "--[[ x", "x = 3q", "x = '\\q'", "x = '\\300'", "!", "x = '\n'"})
    EXPECT_FALSE(parse_source(bad)) << bad;
  std::string deep = "x = 1", nested = "x = ";
  for (int i = 0; i < 5000; ++i) deep += " + 1", nested += "(";
  EXPECT_FALSE(parse_source(deep)) << "which is not looked at, and does no harm";
  EXPECT_FALSE(parse_source(nested));
  EXPECT_EQ(problem(deep + "\nmansio.on('rcpt', print)"), "");
}

}  // namespace
}  // namespace mansio::lua::testing
