"""A policy whose script fails each time costs its listener's mail a few calls and then nothing, in the ingress process and
in a process of its own: on_failure answers, mail of another listener flows, and once the script is mended it is asked
again. Calls are counted, by what the script logs; nothing here goes by time."""
import os
import re
import unittest

import rig

MODES = ("inproc", "process")
ROUNDS = 20  # of a recipient for the policy and a message for the other listener

CONFIG = '''
myhostname = "mx.mansio.test"
ingress_processes = 1
[smtpd]
mynetworks = ["127.0.0.0/8"]
[listener.smtp]
listen = ["127.0.0.1:{port}"]
[listener.watched]
listen = ["127.0.0.1:%(watched)d"]
policies = ["loops"]
[policy.loops]
plugin = "lua"
script = "{dir}/policy.lua"
isolation = "%(mode)s"
breaker_deaths = 3
breaker_time = "%(pause)s"
on_failure = "%(on_failure)s"
[transport.good]
plugin = "transport-discard"
[[route]]
transport = "good"
'''
# MAIL is fine each time, which is no recovery.
LOOPS = '''
mansio.on("mail", function() end)
mansio.on("rcpt", function()
  mansio.log.info("asked")
  if mansio.counter.add("calls") <= %d then while true do end end
end)
'''
FOR_EVER = 1000000
OPEN = ("breaker open: the plugin keeps failing and is not asked for a while; on_failure answers; mend it, and have it asked "
        "at once with mansio reload")


class FilterBreaker(rig.TestCase):
    def write(self, loops):
        """By rename, as an operator should."""
        with open(self.path("new.lua"), "w") as f:
            f.write(LOOPS % loops)
        os.chmod(self.path("new.lua"), 0o644)
        os.rename(self.path("new.lua"), self.path("policy.lua"))

    def server(self, mode, on_failure, loops, pause="3600s"):
        self.write(loops)
        self.watched = rig.free_port()
        config = CONFIG % {"mode": mode, "on_failure": on_failure, "pause": pause, "watched": self.watched}
        server = rig.Mansio(self.dir, config, plugins=self.plugins("lua", "transport-discard"), name=f"{mode}-{on_failure}")
        self.addCleanup(server.close)
        server.start()
        rig.wait_for_port(self.watched)
        return server

    def recipient(self):
        """What the policy's listener says of one, to a client of its own."""
        with rig.Client(self.watched) as client:
            client.cmd("EHLO client.test")
            self.assertEqual(client.cmd("MAIL FROM:<a@example.com>")[0], 250)
            return client.cmd("RCPT TO:<b@two.example>")[0]

    def metric(self, server, name):
        found = re.search(rf'^{name}{{[^}}]*policy="loops"[^}}]*plugin="lua"[^}}]*}} (\S+)$', server.cli("status", "--metrics"), re.M)
        self.assertIsNotNone(found, f"no metric {name}")
        return float(found[1])

    def test_a_policy_that_keeps_failing_costs_nothing_any_more(self):
        for mode in MODES:
            for on_failure, code in (("defer", 451), ("skip", 250)):
                with self.subTest(isolation=mode, on_failure=on_failure):
                    server = self.server(mode, on_failure, FOR_EVER)
                    for i in range(ROUNDS):
                        self.assertEqual(self.recipient(), code)
                        with rig.Client(server.port) as other:
                            other.cmd("EHLO client.test")
                            other.message("a@example.com", ["bob@two.example"], f"Subject: {i}\r\n\r\nx")
                    server.wait_event("delivery", count=ROUNDS, status="sent")
                    self.assertEqual(len(server.events("asked", plugin="lua")), 3)
                    self.assertEqual(server.log_text().count("stack traceback"), 3)
                    opened = server.events(OPEN)
                    self.assertEqual([(e["policy"], e["stage"]) for e in opened], [("loops", "RCPT")])
                    self.assertIn("the call was ended", opened[0]["reason"])
                    failed = server.events("filter failed", filter="policy.loops", on_failure=on_failure)
                    unasked = [e for e in failed if e["reason"] == "it keeps failing and is not asked for a while"]
                    self.assertEqual((len(failed), len(unasked)), (ROUNDS, ROUNDS - 3))
                    self.assertEqual(self.metric(server, "mansio_plugin_breakers_open"), 1)
                    self.assertEqual(self.metric(server, "mansio_plugin_breaker_opened_total"), 1)
                    server.close()

    def test_it_is_tried_after_the_pause(self):
        for mode in MODES:
            with self.subTest(isolation=mode):
                # The third call opens the breaker, the fourth is a try that fails, the fifth one that goes well.
                server = self.server(mode, "defer", 4, pause="1ms")
                rig.wait_for(lambda: self.recipient() == 250, "the policy to be asked again")
                server.wait_event("breaker closed: the plugin answers again", policy="loops", stage="RCPT")
                self.assertEqual(len(server.events(OPEN)), 2)
                self.assertEqual(len(server.events("asked", plugin="lua")), 5)
                self.assertEqual(self.metric(server, "mansio_plugin_breakers_open"), 0)
                self.assertEqual(self.metric(server, "mansio_plugin_breaker_opened_total"), 2)
                self.assertEqual(self.recipient(), 250)
                self.assertEqual(len(server.events("asked", plugin="lua")), 6)
                server.close()

    def test_it_is_asked_at_once_when_it_was_mended(self):
        for mode in MODES:
            with self.subTest(isolation=mode):
                server = self.server(mode, "defer", FOR_EVER)
                for _ in range(4):
                    self.assertEqual(self.recipient(), 451)
                server.wait_event(OPEN)
                self.write(0)
                server.cli("reload")
                server.wait_event("reloaded", epoch=2)
                self.assertEqual(self.recipient(), 250)
                self.assertEqual(len(server.events("asked", plugin="lua")), 4)
                server.close()


if __name__ == "__main__":
    unittest.main()
