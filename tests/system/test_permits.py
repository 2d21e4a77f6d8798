"""Permits of the queue's limits that plugins take: one bucket for all processes, and for mail."""
import os
import unittest

import rig

CONFIG = '''
myhostname = "mx.mansio.test"
[transport.one]
plugin = "takes"
[transport.two]
plugin = "takes"
isolation = "process"
[transport.none]
plugin = "takes"
limit = "no_such_limit"
[transport.free]
plugin = "takes"
key = "unlimited"
[[rate_limit]]
key = "campaign"
match = ["mailing"]
rate = "1/h"
burst = 7
[smtpd]
mynetworks = ["127.0.0.0/8"]
[listener.smtp]
listen = ["127.0.0.1:{port}"]
'''
ROUTES = "".join(f'[[route]]\ndomain = ["{name}.example"]\ntransport = "{name}"\n' for name in ("one", "two", "none", "free"))


class Permits(rig.TestCase):
    def setUp(self):
        super().setUp()
        self.server = self.mansio(CONFIG + ROUTES + '[[route]]\ntransport = "free"\n', plugins=self.plugins("takes"))

    def send(self, *recipients):
        with rig.Client(self.server.port) as client:
            self.assertEqual(client.cmd("EHLO client.test")[0], 250)
            for recipient in recipients:
                client.message("a@client.test", [recipient], "Subject: x\r\n\r\nx")

    def outcomes(self, *domains):
        """{recipient: status} of those that were tried"""
        return {d["to"]: d["status"] for d in self.server.deliveries() if d["to"].split("@")[1] in domains}

    def test_two_processes_have_one_limit(self):
        recipients = [f"{n}@{name}.example" for n in range(10) for name in ("one", "two")]
        self.send(*recipients)
        seen = rig.wait_for(lambda: len(o := self.outcomes("one.example", "two.example")) == 20 and o, "all to be tried")
        self.assertEqual(sorted(seen.values()), ["deferred"] * 13 + ["sent"] * 7)

    def test_what_no_table_limits_is_granted(self):
        self.send(*[f"{n}@free.example" for n in range(10)])
        seen = rig.wait_for(lambda: len(o := self.outcomes("free.example")) == 10 and o, "all to be tried")
        self.assertEqual(set(seen.values()), {"sent"})

    def test_a_limit_that_is_none_is_said(self):
        self.send("b@none.example")
        line = self.server.wait_event("delivery", to="b@none.example")[0]
        self.assertEqual(line["status"], "bounced")

    def test_the_count_outlives_the_router(self):
        self.send(*[f"{n}@one.example" for n in range(5)])
        rig.wait_for(lambda: len(self.outcomes("one.example")) == 5, "five to be tried")
        (pid,) = self.server.pids("router")
        os.kill(pid, 9)
        rig.wait_for(lambda: any(role == "router" and p != pid for p, role in self.server.children().items()), "another router")
        self.server.wait_event("process ready", 2, role="router")
        self.send(*[f"{n}@free.example" for n in range(3)])
        rig.wait_for(lambda: "sent" in self.outcomes("free.example").values(), "the new router to be asked")
        self.send(*[f"{n}@two.example" for n in range(5)])
        seen = rig.wait_for(lambda: len(o := self.outcomes("two.example")) == 5 and o, "five more to be tried")
        self.assertEqual(sorted(seen.values()), ["deferred"] * 3 + ["sent"] * 2)


if __name__ == "__main__":
    unittest.main()
