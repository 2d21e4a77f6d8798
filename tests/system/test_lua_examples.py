"""Examples of scripts that have a say in what the queue does, with a running Mansio: examples/lua/routing.lua, backoff.lua
and quiet_hours.lua, with the addresses and times of the test in the place of theirs."""
import datetime
import json
import os
import unittest

import rig

EXAMPLES = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "examples", "lua")
CONFIG = '''
myhostname = "mx.mansio.test"
[smtpd]
mynetworks = ["127.0.0.0/8"]
policies = [%(watches)s]
[listener.smtp]
listen = ["127.0.0.1:{port}"]
[policy.example]
plugin = "lua"
script = "{dir}/example.lua"
isolation = "process"
[queue]
policies = ["example"]
minimal_backoff_time = "60s"
maximal_backoff_time = "60s"
[transport.smtp]
plugin = "transport-smtp"
[transport.bulk]
plugin = "transport-discard"
[[route]]
transport = "smtp"
nexthop = "[127.0.0.1]:%(relay)d"
'''


class LuaExamples(rig.TestCase):
    def server(self, example, relay, replaced=(), watches=""):
        with open(os.path.join(EXAMPLES, example)) as f:
            text = f.read()
        for there, here in replaced:
            self.assertEqual(text.count(there), 1, there)
            text = text.replace(there, here)
        with open(self.path("example.lua"), "w") as f:
            f.write(text)
        os.chmod(self.path("example.lua"), 0o644)
        return self.mansio(CONFIG % {"watches": watches, "relay": relay.port},
                           plugins=self.plugins("lua", "transport-smtp", "transport-discard"))

    def arrives(self, peer, recipient):
        def there():
            with peer.lock:
                return [m for m in peer.messages if recipient in m.recipients]
        return rig.wait_for(there, f"{recipient} to arrive")

    def due(self, server, recipient):
        """When the message to that recipient is tried next, as `queue why` says; None while it does not wait for a time."""
        for message in server.queue():
            if message["recipients"][0]["address"] == recipient:
                why = json.loads(server.cli("queue", "why", "--json", message["queue_id"]).splitlines()[0])
                if "eligible" in why:
                    return datetime.datetime.fromisoformat(why["eligible"].replace("Z", "+00:00"))
        return None

    def waits_about(self, server, recipient, least, most):
        """Seconds from now; what passes meanwhile is why it is a range."""
        def so():
            at = self.due(server, recipient)
            now = datetime.datetime.now(datetime.timezone.utc)
            return at is not None and least < (at - now).total_seconds() <= most
        rig.wait_for(so, f"{recipient} to wait for {least} to {most} s; it is due at {self.due(server, recipient)}")

    def test_mail_goes_the_way_that_its_header_asks_for(self):
        relay, partner = self.peer(), self.peer()
        server = self.server("routing.lua", relay, [('"[mx.partner.example]:25"', f'"[127.0.0.1]:{partner.port}"')],
                             watches='"example"')
        client = self.client(server)
        client.message("app@example.com", ["one@d.example"], "X-Route: partner\r\nSubject: 1\r\n\r\nbody")
        client.message("app@example.com", ["two@d.example"], "Subject: 2\r\n\r\nbody")
        client.message("app@example.com", ["three@d.example"], "List-Id: <news.example.com>\r\nSubject: 3\r\n\r\nbody")
        self.arrives(partner, "one@d.example")
        self.arrives(relay, "two@d.example")
        self.assertEqual(server.wait_event("delivery", to="three@d.example")[0]["transport"], "bulk")
        self.assertEqual((relay.count(), partner.count()), (1, 1))
        for command, code in (("MAIL FROM:<app@example.com>", 250), ("RCPT TO:<four@d.example>", 250), ("DATA", 354)):
            self.assertEqual(client.cmd(command)[0], code)
        self.assertEqual(client.cmd("X-Route: nowhere\r\n\r\nbody\r\n."), (550, "5.6.0 X-Route names no way that there is"))

    def test_mail_is_tried_again_by_what_the_server_said(self):
        said = {"grey": "450 4.7.1 greylisted", "busy": "450 4.3.2 too busy", "other": "450 4.2.1 not now"}

        def reply(command, _session, argument):
            for name, answer in said.items():
                if command == "RCPT" and f"<{name}@" in argument:
                    return answer
            return None
        server = self.server("backoff.lua", self.peer(on=reply))
        client = self.client(server)
        for name in said:
            client.message("a@example.com", [f"{name}@{name}.example"], "Subject: x\r\n\r\nbody")
        self.waits_about(server, "grey@grey.example", 90, 120)
        self.waits_about(server, "busy@busy.example", 540, 600)
        self.waits_about(server, "other@other.example", 0, 90)  # the configuration's

    def test_newsletters_wait_for_the_morning(self):
        relay = self.peer()
        server = self.server("quiet_hours.lua", relay, [("BEGIN, END = 22, 7", "BEGIN, END = 0, 7")])  # it is night all day
        client = self.client(server)
        began = datetime.date.today()
        client.message("letter@news.example.com", ["waits@d.example"], "Subject: x\r\n\r\nbody")
        client.message("a@example.com", ["goes@d.example"], "Subject: x\r\n\r\nbody")
        self.arrives(relay, "goes@d.example")
        at = rig.wait_for(lambda: self.due(server, "waits@d.example"), "the message to wait").astimezone()
        self.assertIn(at.date() - datetime.timedelta(days=1), (began, datetime.date.today()))
        # The script says how many seconds, and they count from when it has said so.
        seven = at.replace(hour=7, minute=0, second=0, microsecond=0)
        self.assertLess(abs((at - seven).total_seconds()), 30 * rig.SLOW)
        (message,) = server.queue()
        self.assertIn("quiet hours until 07:00", server.cli("queue", "show", message["queue_id"]))
        self.assertEqual(relay.count(), 1)


if __name__ == "__main__":
    unittest.main()
