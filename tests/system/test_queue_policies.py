"""Policies that have a say in what the queue does, in the whole program: routes, deliveries, retries and notifications go
as a script says; what it decided outlives a crash of the queue process; and whatever becomes of the script's process, mail
is neither lost nor stopped."""
import contextlib
import datetime
import json
import os
import signal
import unittest

import rig

CONFIG = '''
myhostname = "mx.mansio.test"
ingress_processes = 1
[smtpd]
mynetworks = ["127.0.0.0/8"]
[listener.smtp]
listen = ["127.0.0.1:{port}"]
[policy.say]
plugin = "lua"
script = "%(script)s"
isolation = "process"
command_timeout = "%(seconds)ds"
%(policy)s
[queue]
policies = ["say"]
minimal_backoff_time = "%(backoff)s"
maximal_backoff_time = "%(backoff)s"
[transport.relay]
plugin = "transport-smtp"
[transport.other]
plugin = "transport-smtp"
[[route]]
transport = "relay"
nexthop = "[127.0.0.1]:%(relay)d"
'''

# What is done is the first recipient's localpart, or for notifications the sender's.
SCRIPT = '''
local OTHER = {transport = "other", nexthop = "[127.0.0.1]:%(other)d"}

mansio.on("route", function(mail, recipient)
  local what = recipient.localpart
  if what == "other" then return mansio.route(OTHER) end
  if what == "refused" then return mansio.reject("5.7.9", "not that way") end
  if what == "held" then return mansio.hold("look at it") end
  if what == "gone" then return mansio.discard("not wanted") end
  if what == "later" and mail.attempts == 0 then return mansio.retry("1s", "in a moment") end
  if what == "fault" then error("as asked") end
  if what == "nowhere" then return mansio.route{transport = "nowhere"} end
end)

mansio.on("predelivery", function(mail)
  local what = mail.recipients[1].localpart
  if what == "moved" and mail.transport == "relay" then return mansio.route(OTHER) end
  if what == "waits" and mail.attempts == 0 then return mansio.retry("1s", "not yet") end
  if what == "stopped" then return mansio.hold("stop") end
  if what == "never" then return mansio.reject("5.7.8", "never") end
  if what == "dropped" then return mansio.discard("of no use") end
end)

mansio.on("retry", function(mail)
  local what, last = mail.recipients[1].localpart, mail.recipients[1]
  assert(last.code == 451 and last.status == "4.2.0" and mail.retry_after > 0)
  if what == "soon" then return mansio.retry("1s") end
  if what == "late" then return mansio.retry("10h") end
  if what == "enough" then return mansio.reject("given up") end
  if what == "kept" then return mansio.hold("deferred once") end
end)

mansio.on("bounce", function(mail)
  if mail.kind ~= "failure" then return end
  if mail.sender.localpart == "silent" then return mansio.discard("nobody reads these") end
  if mail.sender.localpart == "list" then return mansio.redirect("owner@example.com") end
end)
'''
DEFERRED = ("soon", "late", "enough", "kept", "alone")


class QueuePolicies(rig.TestCase):
    def setUp(self):
        super().setUp()
        self.seen = set()
        self.relay = self.peer(on=self.reply)
        self.other = self.peer()

    def reply(self, command, session, argument):
        """The first attempt for each of these is deferred."""
        if command == "RCPT":
            for name in DEFERRED:
                if f"<{name}@" in argument and argument not in self.seen:
                    self.seen.add(argument)
                    return "451 4.2.0 come again"
            if "<nobody@" in argument:
                return "550 5.1.1 no such user"
        return None

    def server(self, policy="", script=SCRIPT, backoff="300s", seconds=5):
        path = self.path("say.lua")
        with open(path, "w") as f:
            f.write(script % {"other": self.other.port})
        os.chmod(path, 0o644)
        values = {"script": path, "policy": policy, "backoff": backoff, "relay": self.relay.port, "seconds": seconds * rig.SLOW}
        return self.mansio(CONFIG % values, plugins=self.plugins("lua", "transport-smtp"))

    def send_again(self, server, name):
        """As a client does it: until the message has been taken."""
        def taken():
            try:
                self.send(server, name)
                return True
            except (AssertionError, OSError):
                return False
        rig.wait_for(taken, f"{name} to be taken")

    def send(self, server, *names, sender="a@example.com"):
        with rig.Client(server.port) as client:
            self.assertEqual(client.cmd("EHLO client.test")[0], 250)
            for name in names:
                client.message(sender, [f"{name}@d.example"], f"Subject: {name}\r\n\r\nbody")

    def at(self, peer):
        with peer.lock:
            return sorted(r for m in peer.messages for r in m.recipients)

    def arrives(self, peer, *recipients):
        rig.wait_for(lambda: set(recipients) <= set(self.at(peer)), f"{recipients} to arrive; there is {self.at(peer)}")

    def kill_queue(self, server):
        ready = len(server.events("process ready", role="queue"))
        os.kill(server.pids("queue")[0], signal.SIGKILL)
        server.wait_event("process ready", ready + 1, role="queue")
        rig.wait_for(lambda: server.events("spool recovered"), "the spool")

    def tracebacks(self, server):
        """The queue ids of those that the script caused by error("as asked")."""
        lines = [json.loads(line) for line in server.log_text().splitlines() if "as asked; stack traceback" in line]
        return [line.get("qid") for line in lines]

    def held(self, server):
        return {m["recipients"][0]["address"]: m for m in server.queue() if m["queue_name"] == "hold"}

    def decided(self, server, stage):
        return [(line["to"], line["decision"]) for line in server.events("decided by a policy", stage=stage)]

    def test_mail_goes_the_way_that_the_script_says(self):
        server = self.server()
        self.send(server, "plain", "other", "refused", "held", "gone", "later")
        self.arrives(self.relay, "plain@d.example", "later@d.example")
        self.arrives(self.other, "other@d.example")
        bounced = server.wait_event("delivery", to="refused@d.example")[0]
        self.assertEqual((bounced["status"], bounced["dsn"], bounced["text"]), ("bounced", "5.7.9", "not that way"))
        self.arrives(self.relay, "a@example.com")  # the notification goes the usual way
        gone = server.wait_event("delivery", to="gone@d.example")[0]
        self.assertEqual((gone["status"], gone["text"]), ("sent", "discarded by policy.say: not wanted"))
        rig.wait_for(lambda: list(self.held(server)) == ["held@d.example"], "one to be held")
        held = self.held(server)["held@d.example"]
        self.assertIn("by policy.say: look at it", server.cli("queue", "show", held["queue_id"]))
        server.cli("queue", "release", held["queue_id"])
        self.arrives(self.relay, "held@d.example")
        self.assertNotIn("plain@d.example", [to for to, _ in self.decided(server, "route")])
        self.assertIn(("other@d.example", f"route transport other nexthop [127.0.0.1]:{self.other.port}"),
                      self.decided(server, "route"))
        rig.wait_for(lambda: server.queue() == [], "an empty queue")

    def test_a_delivery_begins_when_and_where_the_script_says(self):
        server = self.server()
        self.send(server, "plain", "moved", "waits", "stopped", "never", "dropped")
        self.arrives(self.relay, "plain@d.example", "waits@d.example", "a@example.com")
        self.arrives(self.other, "moved@d.example")
        self.assertNotIn("moved@d.example", self.at(self.relay))
        self.assertEqual(server.wait_event("delivery", to="never@d.example")[0]["text"], "never")
        self.assertEqual(server.wait_event("delivery", to="dropped@d.example")[0]["text"], "discarded by policy.say: of no use")
        rig.wait_for(lambda: list(self.held(server)) == ["stopped@d.example"], "one to be held")
        # Who has released it has looked: the script is not asked again.
        server.cli("queue", "release", self.held(server)["stopped@d.example"]["queue_id"])
        self.arrives(self.relay, "stopped@d.example")
        rig.wait_for(lambda: server.queue() == [], "an empty queue")

    def test_a_deferred_message_is_tried_again_when_the_script_says(self):
        server = self.server()
        self.send(server, "soon", "late", "enough", "kept", "alone")
        self.arrives(self.relay, "soon@d.example", "a@example.com")
        given_up = server.wait_event("delivery", to="enough@d.example", status="bounced")[0]
        self.assertTrue(given_up["text"].startswith("given up (") and "451 4.2.0 come again" in given_up["text"], given_up)
        rig.wait_for(lambda: list(self.held(server)) == ["kept@d.example"], "one to be held")
        rig.wait_for(lambda: len(self.decided(server, "retry")) >= 4, "all decisions")

        def waits():
            """{recipient: seconds until its next attempt}."""
            found = {}
            for message in server.queue():
                why = json.loads(server.cli("queue", "why", "--json", message["queue_id"]).splitlines()[0])
                if "eligible" in why:
                    at = datetime.datetime.fromisoformat(why["eligible"].replace("Z", "+00:00"))
                    found[message["recipients"][0]["address"]] = (at - datetime.datetime.now(datetime.timezone.utc)).total_seconds()
            return found

        def as_decided():
            now = waits()
            return 34000 < now.get("late@d.example", 0) <= 36000 and 0 < now.get("alone@d.example", 0) <= 400
        rig.wait_for(as_decided, "the times to be those")
        self.kill_queue(server)
        rig.wait_for(as_decided, "the times to be those after a crash")
        self.assertEqual(list(self.held(server)), ["kept@d.example"])

    def test_a_notification_is_written_if_and_to_whom_the_script_says(self):
        server = self.server()
        self.send(server, "nobody", sender="silent@example.com")
        self.send(server, "nobody", sender="list@example.com")
        self.send(server, "nobody", sender="plain@example.com")
        self.arrives(self.relay, "owner@example.com", "plain@example.com")
        rig.wait_for(lambda: server.queue() == [], "an empty queue")
        self.assertNotIn("silent@example.com", self.at(self.relay))
        self.assertNotIn("list@example.com", self.at(self.relay))
        self.assertEqual(len(server.events("notification")), 2)
        self.assertIn(("nobody@d.example", "discard: nobody reads these"), self.decided(server, "bounce"))
        self.kill_queue(server)
        self.send_again(server, "plain")
        self.arrives(self.relay, "plain@d.example")
        self.assertEqual(len(server.events("notification")), 2)

    def test_a_fault_of_the_script_is_on_failures(self):
        server = self.server(policy='on_failure = "hold"\nbreaker_deaths = 100')
        self.send(server, "fault", "nowhere", "plain")
        self.arrives(self.relay, "plain@d.example")
        rig.wait_for(lambda: sorted(self.held(server)) == ["fault@d.example", "nowhere@d.example"], "both to be held")
        reasons = {line["reason"] for line in server.events("policy failed", policy="policy.say")}
        self.assertTrue(any("not configured: nowhere" in reason for reason in reasons), reasons)
        held = self.held(server)
        self.assertEqual(set(self.tracebacks(server)), {held["fault@d.example"]["queue_id"]})
        for message in held.values():
            server.cli("queue", "release", message["queue_id"])
        self.arrives(self.relay, "fault@d.example", "nowhere@d.example")

    def test_a_fault_about_a_retry_is_logged_with_the_queue_id(self):
        server = self.server(policy='on_failure = "skip"\nbreaker_deaths = 100', script='''
mansio.on("retry", function(mail) error("as asked") end)  -- %(other)d
''')
        self.send(server, "soon")
        (line,) = server.wait_event("delivery", to="soon@d.example", status="deferred")
        rig.wait_for(lambda: self.tracebacks(server), "the fault to be logged")
        self.assertEqual(self.tracebacks(server), [line["qid"]])

    def test_a_script_that_keeps_failing_is_not_asked_for_a_while(self):
        server = self.server(policy='on_failure = "skip"\nbreaker_deaths = 3', script='''
mansio.on("route", function(mail, recipient) error("as asked") end)  -- %(other)d
''')
        self.send(server, *(str(i) for i in range(20)))
        self.arrives(self.relay, *(f"{i}@d.example" for i in range(20)))
        server.wait_event("breaker open: the policy keeps failing and is not asked for a while; on_failure answers")
        self.assertLess(server.log_text().count("as asked"), 20)

    def test_mail_flows_past_a_process_that_stands_still_or_dies(self):
        for on_failure in ("skip", "defer"):
            with self.subTest(on_failure=on_failure):
                with self.relay.lock:
                    self.relay.messages.clear()
                server = self.server(policy=f'on_failure = "{on_failure}"\nbreaker_deaths = 100', backoff="2s", seconds=1)
                (pid,) = server.pids("host.policy")
                os.kill(pid, signal.SIGSTOP)
                self.addCleanup(self.resume, pid)
                self.send(server, "one", "two")
                if on_failure == "skip":
                    self.arrives(self.relay, "one@d.example", "two@d.example")
                else:
                    server.wait_event("delivery", to="one@d.example", status="deferred")
                    self.assertEqual(self.at(self.relay), [])
                os.kill(pid, signal.SIGKILL)
                self.arrives(self.relay, "one@d.example", "two@d.example")
                rig.wait_for(lambda: any(p != pid for p in server.pids("host.policy")), "a successor")
                self.send(server, "other", "three")
                self.arrives(self.relay, "three@d.example")
                self.arrives(self.other, "other@d.example")
                rig.wait_for(lambda: server.queue() == [], "an empty queue")
                self.assertEqual(self.at(self.relay).count("one@d.example"), 1)
                server.close()
                with self.other.lock:
                    self.other.messages.clear()

    def resume(self, pid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)

    def test_nothing_is_lost_while_everything_dies(self):
        server = self.server(policy="breaker_deaths = 100", backoff="1s")
        names = [f"m{i}" for i in range(60)] + ["other"] * 3 + ["moved"] * 3 + ["waits"] * 3
        for i, name in enumerate(names):
            self.send_again(server, name)
            if i % 20 == 10:
                for role in ("queue", "router", "host.policy", "egress.relay"):
                    for pid in server.pids(role):
                        with contextlib.suppress(ProcessLookupError):
                            os.kill(pid, signal.SIGKILL)
                rig.wait_for(lambda: server.pids("queue") and server.pids("router"), "successors")
                rig.wait_for_port(server.port)
        self.arrives(self.relay, *(f"m{i}@d.example" for i in range(60)), "waits@d.example")
        self.arrives(self.other, "other@d.example", "moved@d.example")
        rig.wait_for(lambda: server.queue() == [], "an empty queue")
        self.assertGreaterEqual(self.at(self.other).count("other@d.example"), 3)
        self.assertGreaterEqual(self.at(self.other).count("moved@d.example"), 3)
        self.assertGreaterEqual(self.at(self.relay).count("waits@d.example"), 3)

    def test_a_reload_changes_to_another_script(self):
        server = self.server()
        self.send(server, "other")
        self.arrives(self.other, "other@d.example")
        with open(self.path("say.lua"), "w") as f:
            f.write('mansio.on("route", function(mail, recipient) if recipient.localpart == "new" then '
                    'return mansio.reject("5.7.1", "the new script") end end)\n')
        server.cli("reload")
        self.send(server, "other", "new")
        self.arrives(self.relay, "other@d.example")
        self.assertEqual(server.wait_event("delivery", to="new@d.example")[0]["text"], "the new script")


if __name__ == "__main__":
    unittest.main()
