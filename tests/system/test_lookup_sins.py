"""One lookup for each way to break the rules (tests/fixtures/lookup-sins), in the process that asks and in one of its own.
What is expected stands in the plugin's file. Whatever a lookup does wrong, it is never taken for "not found": mail that
needs it waits, and other mail flows. And a lookup that keeps failing is left alone for a while."""
import os
import re
import shutil
import unittest

import rig
import sins

GOOD = 40  # messages for others, while the plugin sins

CONFIG = '''
myhostname = "mx.mansio.test"
[smtpd]
mynetworks = ["127.0.0.0/8"]
[listener.smtp]
listen = ["127.0.0.1:{port}"]
[transport.good]
plugin = "transport-discard"
[transport.asks]
plugin = "transport-asks"
delivery_time_limit = "%ds"
[lookup.sin]
plugin = "%s"
isolation = "%s"
time_limit = "%ds"
%s
[[route]]
domain = ["sin.example"]
transport = "asks"
[[route]]
transport = "good"
[queue]
minimal_backoff_time = "300s"
'''


class LookupSins(rig.TestCase):
    def server(self, name, mode, options=""):
        directory = self.plugins(name, "transport-asks", "transport-discard")
        return self.mansio(CONFIG % (10 * rig.SLOW, name, mode, 2 * rig.SLOW, options), plugins=directory,
                           env=sins.quiet(name))

    def send(self, server, *recipients):
        with rig.Client(server.port) as c:
            self.assertEqual(c.cmd("EHLO client.test")[0], 250)
            for recipient in recipients:
                c.message("a@example.com", [recipient], "Subject: sin\r\n\r\nx")

    def runs(self, name, mode, outcome, regex):
        server = self.server(name, mode)
        egress = server.pids("egress.asks")
        self.send(server, "first@sin.example", *(f"{i}@good.example" for i in range(GOOD)))
        server.wait_event("delivery", count=GOOD, transport="good", status="sent")
        rig.wait_for(lambda: re.search(regex, server.log_text()), f"a log line like {regex}")
        if outcome == "sent":
            server.wait_event("delivery", transport="asks", status="sent")
            rig.wait_for(lambda: server.queue() == [], "an empty queue")
        else:
            # A message that is held for it makes one to the postmaster besides.
            rig.wait_for(lambda: sum(m["sender"] == "a@example.com" for m in server.queue()) == 1,
                         "the queue to hold that message alone")
            self.assertEqual(server.deliveries(transport="asks", status="sent"), [])
        self.assertEqual(server.deliveries(status="bounced"), [])
        if mode == "process":
            self.assertEqual(server.pids("egress.asks"), egress)

    def test_a_lookup_that_keeps_failing_is_left_alone(self):
        for mode in ("inproc", "process"):
            with self.subTest(mode):
                server = self.server("lookup-sin-throws-in-call", mode, 'breaker_deaths = 3\nbreaker_time = "3600s"')
                for i in range(10):  # one after the other: what was asked before the breaker opened fails as the plugin does
                    self.send(server, f"{i}@sin.example")
                    server.wait_event("delivery", count=i + 1, transport="asks", status="deferred")
                self.assertEqual(len(server.events("breaker open: the plugin keeps failing and is not asked for a while; "
                                                   "on_failure answers; mend it, and have it asked at once with mansio reload")), 1)
                texts = [d["text"] for d in server.deliveries(transport="asks")]
                self.assertEqual(sum("is not asked for a while" in t for t in texts), 7, texts)
                server.close()
                os.remove(server.log)
                shutil.rmtree(server.spool)

    def test_an_open_breaker_answers_as_configured(self):
        server = self.server("lookup-sin-throws-in-call", "inproc",
                             'breaker_deaths = 1\nbreaker_time = "3600s"\non_failure = "skip"')
        self.send(server, "0@sin.example", "1@sin.example")  # not found, says this transport, is a bounce
        server.wait_event("delivery", count=2, transport="asks", status="bounced")


sins.add_tests(LookupSins, "lookup-sins", LookupSins.runs)


if __name__ == "__main__":
    unittest.main()
