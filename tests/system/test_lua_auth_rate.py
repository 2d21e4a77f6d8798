"""AUTH, rates and events in Lua in the whole program: clients of AUTH are who a script says they are and nobody else, a fault
lets nobody in; deliveries keep to a rate that a script owns and wait while it fails; and a script is told what became of
mail."""
import hashlib
import json
import os
import smtplib
import subprocess
import time
import unittest

import rig

PASSWORD = "correct-horse"
MODES = ("inproc", "process")

AUTH = '''
myhostname = "mx.mansio.test"
mydestination = ["mansio.test"]
[auth.users]
plugin = "lua"
script = "{dir}/auth.lua"
isolation = "%s"
[lookup.passwords]
plugin = "lookup-file"
inline = """
alice@example.com %s
"""
[listener.submission]
listen = ["127.0.0.1:{port}"]
mynetworks = []
auth = "users"
sasl_auth_enable = true
sasl_authenticated_header = true
tls_auth_only = false
error_sleep_time = 0
[transport.relay]
plugin = "transport-smtp"
[[route]]
transport = "relay"
nexthop = "[127.0.0.1]:%d"
'''
CHECK = '''
mansio.provide("auth", "users", {
  check = function(user, password, step)
    if user == "fault" then return password end
    if user == "loop" then while true do end end
    assert(step.client_address == "127.0.0.1" and step.tls_version == nil)
    mansio.sleep("1ms")
    local stored = mansio.lookup("passwords", user)
    return stored ~= nil and mansio.hash.equal(stored, mansio.hash.sha256(password))
  end,
})
'''
CRAM = '''
mansio.provide("auth", "users", {
  mechanisms = {"CRAM-MD5"},
  step = function(step)
    if step.number == 1 then
      step.meta.challenge = ("<%d.%x@mx.mansio.test>"):format(mansio.time.now() // 1, math.random(0))
      return mansio.challenge(step.meta.challenge)
    end
    local user, digest = step.response:match("^(.+) (%x+)$")
    local key = user and mansio.lookup("passwords", user)
    if not key then return mansio.reject("no such user") end
    if not mansio.hash.equal(digest, mansio.hash.hmac("md5", key, step.meta.challenge)) then
      return mansio.reject("wrong password")
    end
    return mansio.authenticated(user:match("^[^@]+"))
  end,
})
'''
RATE = '''
myhostname = "mx.mansio.test"
%s
[smtpd]
mynetworks = ["127.0.0.0/8"]
[listener.smtp]
listen = ["127.0.0.1:{port}"]
[transport.relay]
plugin = "transport-smtp"
transport_rate_plugin = "limit"
%s
[[route]]
transport = "relay"
nexthop = "[127.0.0.1]:%d"
[rate.limit]
plugin = "lua"
script = "{dir}/rate.lua"
'''
BUCKET = '''
local bucket = mansio.rate("bucket", "20/s", {burst = 5})

mansio.provide("rate", "limit", {
  lease = function(request)
    assert(request.limit == "transport_rate_limit" and request.key == "relay" and request.per_second == 1000)
    mansio.sleep("1ms")
    local given = math.min(request.want, bucket:free(request.key))
    assert(bucket:take(request.key, given))
    return mansio.permits(given, {ttl = "30s", retry = given == 0 and "50ms" or nil})
  end,
})
'''
PURSE = '''
mansio.provide("rate", "limit", {
  lease = function(request)
    mansio.log.info("gave %d of %s %s", request.want, request.limit, request.key)
    return mansio.permits(request.want, {ttl = "1h"})
  end,
  give_back = function(limit, key, unused) mansio.log.info("got back %d of %s %s", unused, limit, key) end,
})
'''
POLICY = '''
myhostname = "mx.mansio.test"
[smtpd]
policies = ["limit"]
mynetworks = ["127.0.0.0/8"]
[listener.smtp]
listen = ["127.0.0.1:{port}"]
[policy.limit]
plugin = "lua"
script = "{dir}/policy.lua"
isolation = "process"
[transport.discard]
plugin = "transport-discard"
[[route]]
transport = "discard"
'''


class Lua(rig.TestCase):
    def write(self, name, text):
        with open(self.path(name), "w") as f:
            f.write(text)
        os.chmod(self.path(name), 0o644)

    def send(self, server, recipients):
        with rig.Client(server.port) as client:
            self.assertEqual(client.cmd("EHLO client.test")[0], 250)
            for recipient in recipients:
                client.message("a@example.com", [recipient], "Subject: x\r\n\r\nHello.\r\n")


class LuaAuth(Lua):
    def start(self, script, isolation="inproc", stored=hashlib.sha256(PASSWORD.encode()).hexdigest()):
        self.write("auth.lua", script)
        sink = self.peer()
        server = self.mansio(AUTH % (isolation, stored, sink.port), name=f"mansio-{isolation}",
                             plugins=self.plugins("lua", "lookup-file", "transport-smtp"))
        rig.wait_for(lambda: self.offers_auth(server), "AUTH to be offered")  # by a process of its own once it is there
        return server, sink

    @staticmethod
    def offers_auth(server):
        with smtplib.SMTP("127.0.0.1", server.port) as client:
            client.ehlo("test")
            return client.has_extn("auth")

    def swaks(self, server, mechanism, user="alice@example.com", password=PASSWORD):
        return subprocess.run(["swaks", "--server", f"127.0.0.1:{server.port}", "--from", "alice@example.com", "--to",
                               "bob@elsewhere.example", "--auth", mechanism, "--auth-user", user, "--auth-password", password],
                              capture_output=True, text=True, timeout=60 * rig.SLOW)

    def login(self, server, user, password):
        """The code that answers PLAIN."""
        with smtplib.SMTP("127.0.0.1", server.port) as client:
            client.ehlo("test")
            client.user, client.password = user, password
            try:
                return client.auth("PLAIN", client.auth_plain)[0]
            except smtplib.SMTPAuthenticationError as e:
                return e.smtp_code

    def test_who_a_script_knows_may_relay(self):
        for isolation in MODES:
            with self.subTest(isolation=isolation):
                server, sink = self.start(CHECK, isolation)
                for count, mechanism in enumerate(("PLAIN", "LOGIN"), 1):
                    said = self.swaks(server, mechanism)
                    self.assertEqual(said.returncode, 0, said.stdout)
                    self.assertIn("235 2.7.0 Authentication successful", said.stdout)
                    rig.wait_for(lambda: sink.count() == count, "the message")
                self.assertIn(b"(Authenticated sender: alice@example.com)", sink.messages[0].content)
                for wrong in (self.swaks(server, "PLAIN", password="wrong"), self.swaks(server, "LOGIN", user="bob@example.com")):
                    self.assertIn("535 5.7.8 ", wrong.stdout)
                server.wait_event("authentication failed", 2)
                with rig.Client(server.port) as client:
                    client.cmd("EHLO client.test")
                    client.cmd("MAIL FROM:<alice@example.com>")
                    self.assertEqual(client.cmd("RCPT TO:<bob@elsewhere.example>")[0], 554)
                self.assertNotIn(PASSWORD, server.log_text())
                server.close()

    def test_a_fault_lets_nobody_in_and_ends_its_exchange_only(self):
        server, _ = self.start(CHECK)
        self.assertEqual(self.login(server, "fault", PASSWORD), 454)
        self.assertEqual(self.login(server, "loop", PASSWORD), 454)
        self.assertEqual(self.login(server, "alice@example.com", PASSWORD), 235)
        self.assertEqual(self.login(server, "alice@example.com", "wrong"), 535)
        log = server.log_text()
        self.assertIn("the check of AUTH returned string, expected true, false", log)
        self.assertRegex(log, "instructions_limit|run_time")
        self.assertNotIn(PASSWORD, log)

    def test_a_mechanism_of_its_own_has_several_steps(self):
        for isolation in MODES:
            with self.subTest(isolation=isolation):
                server, sink = self.start(CRAM, isolation, stored=PASSWORD)
                with smtplib.SMTP("127.0.0.1", server.port) as client:
                    client.ehlo("test")
                    self.assertEqual(client.esmtp_features["auth"].split(), ["CRAM-MD5"])
                    self.assertEqual(client.login("alice@example.com", PASSWORD)[0], 235)
                    client.sendmail("alice@example.com", ["bob@elsewhere.example"], "Subject: x\r\n\r\nx\r\n")
                rig.wait_for(lambda: sink.count() == 1, "the message")
                self.assertIn(b"(Authenticated sender: alice)", sink.messages[0].content)
                with smtplib.SMTP("127.0.0.1", server.port) as client:
                    self.assertRaises(smtplib.SMTPAuthenticationError, client.login, "alice@example.com", "wrong")
                with rig.Client(server.port) as client:  # given up half-way, and begun again
                    client.cmd("EHLO client.test")
                    self.assertEqual(client.cmd("AUTH CRAM-MD5")[0], 334)
                    self.assertEqual(client.cmd("*")[0], 501)
                    self.assertEqual(client.cmd("AUTH CRAM-MD5")[0], 334)
                server.close()


class LuaRate(Lua):
    def start(self, script, limits, sink, head=""):
        self.write("rate.lua", script)
        return self.mansio(RATE % (head, limits, sink.port), plugins=self.plugins("lua", "transport-smtp"))

    def test_deliveries_keep_to_a_rate_that_a_script_owns(self):
        rate, burst, count = 20, 5, 40
        begun = []
        sink = self.peer(on=lambda command, session, argument: begun.append(time.monotonic()) if command == "MAIL" else None)
        start = time.monotonic()
        server = self.start(BUCKET, 'transport_rate_limit = "1000/s"\ntransport_rate_burst = 100', sink)
        self.send(server, [f"{i}@one.example" for i in range(count)])
        rig.wait_for(lambda: sink.count() == count, "every message at the sink")
        for number, at in enumerate(sorted(begun), 1):
            self.assertLessEqual(number, burst + rate * (at - start) + 1e-6, f"delivery {number} after {at - start} s")
        server.wait_event("delivery", count, status="sent")

    def test_mail_waits_while_the_script_fails_and_goes_once_it_is_mended(self):
        sink = self.peer()
        server = self.start(BUCKET.replace("local given", 'error("as asked")\n    local given'),
                            'transport_rate_limit = "1000/s"\ntransport_rate_burst = 100', sink)
        self.send(server, ["1@one.example", "2@one.example"])
        server.wait_event("a rate plugin fails: on_failure says what becomes of its limits", rate="limit")
        self.assertIn("as asked", server.log_text())
        self.assertEqual(sink.count(), 0)
        self.write("rate.lua", BUCKET)
        server.cli("reload")
        rig.wait_for(lambda: sink.count() == 2, "the messages at the sink")

    def test_what_was_not_used_goes_back_at_the_end(self):
        sink = self.peer(on=lambda command, session, argument: rig.Peer.STALL if command == "MAIL" else None)
        server = self.start(PURSE, 'transport_rate_limit = "1/h"\ntransport_rate_burst = 10\nprocess_limit = 1\n'
                            "destination_recipient_limit = 1", sink, head='stop_timeout = "3s"')
        with rig.Client(server.port) as client:
            self.assertEqual(client.cmd("EHLO client.test")[0], 250)
            client.message("a@example.com", [f"{i}@one.example" for i in range(5)], "Subject: x\r\n\r\nHello.\r\n")
        server.wait_event("gave 5 of transport_rate_limit relay", rate="limit")
        rig.wait_for(lambda: any(command == "MAIL" for command, _ in sink.commands), "the first delivery")
        self.assertEqual(server.stop(), 0)
        server.wait_event("got back 4 of transport_rate_limit relay", rate="limit")

    def test_a_policy_keeps_one_rate_over_all_sessions(self):
        self.write("policy.lua", '''
            local clients = mansio.rate("clients", "5/h")
            mansio.on("mail", function(transaction)
              local granted, wait = clients:take(transaction.session.client_address)
              if not granted then return mansio.defer("4.7.1", wait > 0 and "slow down" or "no") end
            end)
        ''')
        server = self.mansio(POLICY, plugins=self.plugins("lua", "transport-discard"))
        answers = []
        for _ in range(8):
            with rig.Client(server.port) as client:
                client.cmd("EHLO client.test")
                answers.append(client.cmd("MAIL FROM:<a@example.com>"))
        self.assertEqual([code for code, _ in answers], [250] * 5 + [451] * 3)
        self.assertIn("4.7.1 slow down", answers[-1][1])


class LuaEvents(Lua):
    def test_a_script_is_told_what_became_of_mail(self):
        self.write("events.lua", '''
            for _, name in ipairs{"inserted", "routed", "delivering", "delivered", "bounced", "removed"} do
              mansio.on(name, function(event)
                mansio.sleep("1ms")
                mansio.log.info("told %s %s", event.name, event.recipient and event.recipient.address or "-")
              end)
            end
            mansio.on("bounced", function(event) mansio.log.info("told why: %s", event.fields.dsn) end)
            mansio.on("deferred", function() error("as asked") end)
        ''')

        def replies(command, session, argument):
            if command == "RCPT" and "nobody@" in argument:
                return "550 5.1.1 no such user"
            if command == "RCPT" and "later@" in argument:
                return "451 4.2.0 come again"
            return None
        sink = self.peer(on=replies)
        server = self.mansio(rig.relay_config(sink.port) + '[event.told]\nplugin = "lua"\nscript = "{dir}/events.lua"\n',
                             plugins=self.plugins("lua", "transport-smtp"))
        self.send(server, ["b@one.example", "nobody@two.example", "later@three.example"])
        server.wait_event("delivery", to="b@one.example", status="sent")  # and mail flows
        sent, gone, late = (server.wait_event("delivery", to=to)[0]["qid"]
                            for to in ("b@one.example", "nobody@two.example", "later@three.example"))
        for qid, told in ((sent, "delivering b@one.example"), (sent, "delivered b@one.example"),
                          (gone, "bounced nobody@two.example"), (gone, "why: 5.1.1"), (late, "routed later@three.example"),
                          (sent, "removed -"), *((qid, "inserted -") for qid in (sent, gone, late))):
            server.wait_event(f"{qid}: told {told}")
        rig.wait_for(lambda: "as asked" in server.log_text(), "the fault to be logged")
        faults = [line["event"] for line in map(json.loads, server.log_text().splitlines()) if "as asked" in line["event"]]
        self.assertRegex(faults[0], late + r": .*events\.lua:\d+: as asked; stack traceback")
        self.assertEqual(server.stop(), 0)


if __name__ == "__main__":
    unittest.main()
