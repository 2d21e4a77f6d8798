"""Scripts in the whole program, in the ingress processes and in one of their own: what they refuse is refused, what they
change is delivered changed, a table of theirs is asked, and whatever one does wrong ends its own call only."""
import json
import os
import re
import smtplib
import ssl
import subprocess
import unittest

import rig

MODES = ("inproc", "process")

CONFIG = '''
myhostname = "mx.mansio.test"
[smtpd]
mynetworks = ["127.0.0.0/8"]
policies = ["judge"]
filters = ["edit"]
[listener.smtp]
listen = ["127.0.0.1:{port}"]
[lookup.users]
plugin = "lookup-file"
inline = """
alice@two.example 1
"""
[lookup.plus]
plugin = "lua"
script = "{dir}/table.lua"
[policy.judge]
plugin = "lua"
script = "{dir}/judge.lua"
isolation = "%(mode)s"
time_limit = "%(seconds)ds"
breaker_deaths = 100
[filter.edit]
plugin = "lua"
script = "{dir}/edit.lua"
isolation = "%(mode)s"
on_failure = "hold"
[transport.relay]
plugin = "transport-smtp"
[[route]]
transport = "relay"
nexthop = "[127.0.0.1]:%(next_hop)d"
'''
JUDGE = '''
local kept = {}
mansio.on("rcpt", function(transaction, rcpt)
  local name = rcpt.localpart
  if name == "fault" then return transaction[name] end
  if name == "loop" then while true do pcall(function() while true do end end) end end
  if name == "bomb" then while true do kept[#kept + 1] = ("x"):rep(100000) .. #kept end end
  if name == "regex" then mansio.re.compile("^(a+)+$"):test(("a"):rep(100) .. "b") end
  if name == "deep" then local function f() return 1 + f() end return f() end
  if name == "hang" then mansio.sleep("1d") end
  if name == "trap" then return mansio.redirect("review@two.example") end
  if not mansio.lookup("plus", rcpt.address) then return mansio.reject("5.1.1", "no such user") end
end)
'''
EDIT = '''
mansio.on("end-of-message", function(transaction, message)
  if message:header("X-Fail") then error("as asked") end
  if message:header("X-Review") then return mansio.redirect(message:header("X-Review")) end
  if message:header("X-Sleep") then mansio.sleep("10ms") end
  message:set_header("Subject", "[seen] " .. message:header("Subject"))
  for piece in message:body() do message:replace_body(piece:upper()) end
end)
'''
TABLE = '''
mansio.provide("lookup", "plus", {
  lookup = function(key) return mansio.lookup("users", (key:gsub("%+[^@]*", ""))) end,
})
'''
EVENTS = '''
local function saw(name, session, ...)
  mansio.log.info("saw " .. table.concat({name, session.tls_version or "clear", ...}, " "))
end
mansio.on("connect", function(session) saw("connect", session, session.client_address) end)
mansio.on("helo", function(session, name) saw("helo", session, name) end)
mansio.on("starttls", function(session)
  saw("starttls", session, session.helo_name)
  if session.helo_name == "old.test" then return mansio.reject("5.7.0", "your TLS is too old") end
end)
mansio.on("auth", function(session, mechanism, user) saw("auth", session, mechanism, user) end)
mansio.on("mail", function(transaction, sender)
  saw("mail", transaction.session, sender.address, transaction.session.tenant)
end)
mansio.on("rcpt", function(transaction, rcpt) saw("rcpt", transaction.session, rcpt.address) end)
mansio.on("data", function(transaction) saw("data", transaction.session, transaction.recipient_count) end)
mansio.on("header", function(transaction, name, value) saw("header", transaction.session, name .. ":" .. value) end)
mansio.on("eoh", function(transaction) saw("eoh", transaction.session) end)
mansio.on("body", function(transaction, piece) saw("body", transaction.session, (piece:gsub("%s+$", ""))) end)
mansio.on("end-of-message", function(transaction, message)
  saw("end-of-message", transaction.session, message:header("Subject"), transaction.session.auth_user)
end)
mansio.on("disconnect", function(session) saw("disconnect", session, session.auth_user) end)
'''
WATCHED = '''
myhostname = "mx.mansio.test"
[listener.smtp]
listen = ["127.0.0.1:{port}"]
policies = ["watch"]
tenant = "gold"
auth = "users"
sasl_auth_enable = true
tls_security_level = "may"
tls_cert_file = "{dir}/cert.pem"
tls_key_file = "{dir}/key.pem"
[policy.watch]
plugin = "lua"
script = "{dir}/events.lua"
isolation = "%s"
[auth.users]
plugin = "lua"
script = "{dir}/auth.users.lua"
[transport.discard]
plugin = "transport-discard"
[[route]]
transport = "discard"
'''
# A script of each kind but policy: {what the configuration calls it: the script}.
KINDS = {
    "lookup.plus": TABLE,
    "filter.edit": 'mansio.on("data", function() assert(mansio.lookup("plus", "alice+x@two.example") == "1") end)\n',
    "transport.hook": 'mansio.provide("transport", "hook", {deliver = function() return mansio.sent("as ever") end})\n',
    "auth.users": 'mansio.provide("auth", "users", {check = function(user) return user == "alice" end})\n',
    "rate.limit": 'mansio.provide("rate", "limit", {lease = function(asked) return mansio.permits(asked.want) end})\n',
    "event.told": 'mansio.on("delivered", function(event) mansio.log.info("told of " .. event.recipient.address) end)\n',
}
OF_ALL_KINDS = '''
myhostname = "mx.mansio.test"
[listener.smtp]
listen = ["127.0.0.1:{port}"]
filters = ["edit"]
auth = "users"
sasl_auth_enable = true
tls_auth_only = false
[lookup.users]
plugin = "lookup-file"
inline = """
alice@two.example 1
"""
[[route]]
transport = "hook"
''' + "".join(f'''
[{name}]
plugin = "lua"
script = "{{dir}}/{name}.lua"
{'transport_rate_plugin = "limit"' if name == "transport.hook" else ""}
{'transport_rate_limit = "100/s"' if name == "transport.hook" else ""}
''' for name in KINDS)


def slips(name):
    """[(a script that cannot be of that kind, what is said of it)]"""
    kind, right = name.split(".")
    wrong = right + "s"
    unknown = 'mansio has no "provid"; did you mean "provide"?'
    if kind == "event":
        other, said = 'mansio.on("rcpt", function() end)\n', "used: it has no handler of what became of messages"
    else:
        other = KINDS[name] if kind != "filter" else 'mansio.provide("filter", "edit", {data = function() end})\n'
        other = other.replace(f'"{right}"', f'"{wrong}"')
        line = 1 + other[:other.index("mansio.provide")].count("\n")
        said = (f'{name}.lua:{line}: it provides the {kind} "{wrong}", and the configuration asks for "{right}"; '
                f'did you mean "{right}"?')
    # The second one is in a function, which does not run.
    return [("\nmansio.provid()\n", f"{name}.lua:2: {unknown}"),
            ("\n\nfunction slip() return mansio.provid() end\n", f"{name}.lua:3: {unknown}"), (other, said)]


class Lua(rig.TestCase):
    def setUp(self):
        super().setUp()
        self.sink = self.peer()
        for name, text in (("judge.lua", JUDGE), ("edit.lua", EDIT), ("table.lua", TABLE)):
            self.write(name, text)

    def write(self, name, text):
        """By rename, as an operator should."""
        with open(self.path(name + ".new"), "w") as f:
            f.write(text)
        os.chmod(self.path(name + ".new"), 0o644)
        os.rename(self.path(name + ".new"), self.path(name))

    def config(self, mode):
        return CONFIG % {"mode": mode, "next_hop": self.sink.port, "seconds": rig.SLOW}

    def each_mode(self):
        for mode in MODES:
            with self.subTest(isolation=mode):
                with self.sink.lock:
                    self.sink.messages.clear()
                server = rig.Mansio(self.dir, self.config(mode), plugins=self.plugins("lua", "lookup-file", "transport-smtp"),
                                    name=mode)
                self.addCleanup(server.close)
                server.start()
                yield server
                server.close()

    def test_they_refuse_and_edit(self):
        for server in self.each_mode():
            client = self.client(server)
            client.cmd("MAIL FROM:<a@example.com>")
            self.assertEqual(client.cmd("RCPT TO:<bob@two.example>"), (550, "5.1.1 no such user"))
            client.cmd("RSET")
            client.message("a@example.com", ["alice+lists@two.example"], "Subject: one\r\nX-Sleep: 1\r\n\r\nbody")
            rig.wait_for(lambda: self.sink.count() == 1, "the message")
            self.assertIn(b"\r\nSubject: [seen] one\r\n", self.sink.messages[0].content)
            self.assertTrue(self.sink.messages[0].content.rstrip().endswith(b"\r\n\r\nBODY"), self.sink.messages[0].content)

    def test_they_send_a_message_to_somebody_else(self):
        for server in self.each_mode():
            client = self.client(server)
            content = "Subject: one\r\n\r\nbody"
            client.message("a@example.com", ["trap@two.example", "alice@two.example"], content)
            client.message("a@example.com", ["alice@two.example"], "X-Review: other@two.example\r\n" + content)
            rig.wait_for(lambda: self.sink.count() == 2, "both messages")
            self.assertEqual(sorted(m.recipients for m in self.sink.messages), [["other@two.example"], ["review@two.example"]])
            client.message("a@example.com", ["alice@two.example"], "X-Review: no address@\r\n" + content)
            rig.wait_for(lambda: [m["queue_name"] for m in server.queue()] == ["hold"], "the message to be held")
            self.assertIn("which is no address", server.log_text())

    def test_they_see_every_event_of_a_session(self):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                        "-subj", "/CN=mx", "-keyout", self.path("key.pem"), "-out", self.path("cert.pem")], check=True,
                       capture_output=True)
        self.write("events.lua", EVENTS)
        self.write("auth.users.lua", KINDS["auth.users"])
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        for mode in MODES:
            with self.subTest(isolation=mode):
                server = self.mansio(WATCHED % mode, plugins=self.plugins("lua", "transport-discard"), name=f"watched-{mode}")
                with smtplib.SMTP("127.0.0.1", server.port, local_hostname="client.test") as client:
                    client.starttls(context=context)
                    version = client.sock.version()
                    client.login("alice", "secret")
                    client.sendmail("a@example.com", ["bob@two.example"], "Subject: one\r\nX-Two: 2\r\n\r\nbody\r\n")
                rig.wait_for(lambda: "saw disconnect" in server.log_text(), "the end of the session")
                seen = [json.loads(line)["event"][4:] for line in server.log_text().splitlines() if '"saw ' in line]
                self.assertEqual(seen, [
                    "connect clear 127.0.0.1", "helo clear client.test", "starttls clear client.test",
                    f"helo {version} client.test", f"auth {version} PLAIN alice", f"mail {version} a@example.com gold",
                    f"rcpt {version} bob@two.example", f"data {version} 1", f"header {version} Subject: one",
                    f"header {version} X-Two: 2", f"eoh {version}", f"body {version} body",
                    f"end-of-message {version} one alice", f"disconnect {version} alice"])
                with smtplib.SMTP("127.0.0.1", server.port, local_hostname="old.test") as client:
                    client.ehlo()
                    self.assertEqual(client.docmd("STARTTLS"), (554, b"5.7.0 your TLS is too old"))
                    self.assertEqual(client.noop()[0], 250)
                server.close()

    def test_a_fault_is_told_once_with_the_message_and_the_place(self):
        for server in self.each_mode():
            client = self.client(server)
            client.message("a@example.com", ["alice@two.example"], "Subject: one\r\nX-Fail: 1\r\n\r\nbody")
            rig.wait_for(lambda: [m["queue_name"] for m in server.queue()] == ["hold"], "the message to be held")
            faults = [line for line in server.log_text().splitlines() if "as asked" in line and "stack traceback" in line]
            self.assertEqual(len(faults), 1, server.log_text()[-4000:])
            fault = json.loads(faults[0])
            self.assertEqual(fault["plugin"], "lua")
            self.assertTrue(fault["qid"])
            self.assertIn("edit.lua:3: as asked", fault["event"])

    def test_what_it_does_wrong_ends_its_call_only(self):
        for server in self.each_mode():
            before = server.children()
            for sin in ("fault", "loop", "bomb", "regex", "deep", "hang"):
                with self.subTest(sin=sin):
                    client = self.client(server)
                    client.cmd("MAIL FROM:<a@example.com>")
                    self.assertEqual(client.cmd(f"RCPT TO:<{sin}@two.example>")[0], 451)
                    other = self.client(server)
                    other.message("a@example.com", ["alice@two.example"], f"Subject: {sin}\r\n\r\nbody")
            rig.wait_for(lambda: self.sink.count() == 6, "the other mail")
            self.assertEqual(server.children(), before)

    def test_a_reload_takes_a_new_script_and_keeps_the_old_one_for_a_bad_one(self):
        for server in self.each_mode():
            idle, client = self.client(server), self.client(server)
            client.cmd("MAIL FROM:<a@example.com>")
            self.assertEqual(client.cmd("RCPT TO:<bob@two.example>"), (550, "5.1.1 no such user"))
            self.assertEqual(client.cmd("RCPT TO:<alice@two.example>")[0], 250)
            self.assertEqual(client.cmd("DATA")[0], 354)
            client.send("Subject: old\r\n")
            self.write("judge.lua", 'mansio.on("rcpt", function() return mansio.reject("5.7.1", "nobody today") end)\n')
            self.write("edit.lua", 'mansio.on("end-of-message", function() return mansio.hold("a look") end)\n')
            server.cli("reload")
            server.wait_event("reloaded", epoch=2)
            new = self.client(server)
            new.cmd("MAIL FROM:<a@example.com>")
            self.assertEqual(new.cmd("RCPT TO:<alice@two.example>"), (550, "5.7.1 nobody today"))
            # A session goes on with the scripts that it began with.
            self.assertEqual(client.cmd("\r\nbody\r\n.")[0], 250)
            for old in (idle, client):
                old.cmd("MAIL FROM:<a@example.com>")
                self.assertEqual(old.cmd("RCPT TO:<bob@two.example>"), (550, "5.1.1 no such user"))
                self.assertEqual(old.cmd("RCPT TO:<alice@two.example>")[0], 250)
            rig.wait_for(lambda: self.sink.count() == 1, "the message")
            self.assertIn(b"\r\nSubject: [seen] old\r\n", self.sink.messages[0].content)
            self.write("judge.lua", '\nmansio.on("rctp", print)\n')
            result = rig.run_program("check", "--config", server.config)
            self.assertEqual(result.returncode, 1)
            self.assertRegex(result.stderr, r':\d+: policy\.judge\.script names .*judge\.lua:2: there is no event "rctp"; did you mean "rcpt"\?')
            server.cli("reload", check=False)
            rig.wait_for(lambda: "there is no event" in server.log_text(), "the refusal of the script")
            again = self.client(server)
            again.cmd("MAIL FROM:<a@example.com>")
            self.assertEqual(again.cmd("RCPT TO:<alice@two.example>"), (550, "5.7.1 nobody today"))
            client.close()
            self.write("judge.lua", JUDGE)
            self.write("edit.lua", EDIT)

    def test_a_bad_script_of_any_kind_keeps_the_old_one(self):
        for name, text in KINDS.items():
            self.write(name + ".lua", text)
        server = self.mansio(OF_ALL_KINDS, plugins=self.plugins("lua", "lookup-file"))
        for name, text in KINDS.items():
            for slip, said in slips(name):
                with self.subTest(name=name, said=said):
                    self.write(name + ".lua", slip)
                    result = rig.run_program("check", "--config", server.config)
                    self.assertEqual(result.returncode, 1)
                    self.assertRegex(result.stderr, rf"{re.escape(name)}\.script names .*{re.escape(said)}")
                    server.cli("reload", check=False)
                    rig.wait_for(lambda: json.dumps(said)[1:-1] in server.log_text(), "the refusal of the script")
            self.write(name + ".lua", text)
        with smtplib.SMTP("127.0.0.1", server.port) as client:
            self.assertRaises(smtplib.SMTPAuthenticationError, client.login, "bob", "secret")
        with smtplib.SMTP("127.0.0.1", server.port) as client:
            client.login("alice", "secret")
            client.sendmail("a@example.com", ["bob@two.example"], "Subject: x\r\n\r\nbody")
        self.assertEqual(server.wait_event("delivery", to="bob@two.example")[0]["text"], "as ever")
        rig.wait_for(lambda: "told of bob@two.example" in server.log_text(), "the event")
        self.assertNotIn('"reloaded"', server.log_text())

    def test_its_tables_are_asked_by_the_command_line(self):
        server = rig.Mansio(self.dir, self.config("inproc"), plugins=self.plugins("lua", "lookup-file", "transport-smtp"))
        result = rig.run_program("lookup", "--config", server.config, "plus", "alice+x@two.example")
        self.assertEqual((result.returncode, result.stdout), (0, "1\n"), result.stderr)
        self.assertEqual(rig.run_program("lookup", "--config", server.config, "plus", "bob@two.example").returncode, 1)

    def test_a_script_is_checked_alone(self):
        server = rig.Mansio(self.dir, self.config("inproc"), plugins=self.plugins("lua"))
        good = rig.run_program("lua", "check", "--config", server.config, "--allow", "http", self.path("judge.lua"),
                               self.path("table.lua"))
        self.assertEqual((good.returncode, good.stdout.count(": good\n")), (0, 2), good.stderr)
        self.write("bad.lua", "mansio.on('rcpt', function() end)\nmansio.json.encod(1)\n")
        bad = rig.run_program("lua", "check", "--config", server.config, self.path("bad.lua"))
        self.assertEqual(bad.returncode, 1)
        self.assertEqual(bad.stderr, self.path("bad.lua") + ':2: mansio.json has no "encod"; did you mean "encode"?\n')
        self.write("bad.lua", "mansio.on('rcpt', function(transaction, rcpt)\n"
                   "  if rcpt.domian == 'x' then\n    return mansio.reject(450, 'no')\n  end\nend)\n")
        bad = rig.run_program("lua", "check", "--config", server.config, self.path("bad.lua"))
        self.assertEqual(bad.returncode, 1)
        self.assertIn('bad.lua:2: address has no "domian"; did you mean "domain"?, and at line 3: the code is 450',
                      bad.stderr)

    def test_it_keeps_the_rules_of_plugins(self):
        self.plugins("lua")
        result = rig.run_program("plugin", "check", self.path("plugins", "lua.so"), "--option", f"script={self.path('judge.lua')}")
        self.assertIn("keeps the rules", result.stdout, result.stderr)
        for kind in ("event", "rate", "auth"):
            self.assertIn(f"as {kind}: not with these options", result.stdout)


if __name__ == "__main__":
    unittest.main()
