"""One plugin for each way to break the rules (tests/fixtures/sins), in the process that uses it and in one of its own.
What is expected stands in the plugin's file. Whatever a plugin does, no message that was acknowledged is lost, and mail
that does not need it keeps flowing."""
import re
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
[transport.sin]
plugin = "%s"
isolation = "%s"
delivery_time_limit = "%ds"
%s
[[route]]
domain = ["sin.example"]
transport = "sin"
[[route]]
transport = "good"
[queue]
minimal_backoff_time = "300s"
'''


class Sins(rig.TestCase):
    def config(self, name, mode):
        return CONFIG % (name, mode, 2 * rig.SLOW, sins.BUDGETS[mode])

    def refused(self, name, regex):
        """By the check, which a start and a reload do too, wherever it would run. After the reload all is as it was."""
        good = self.mansio(self.config("transport-discard", "inproc"), name=f"{name}-good",
                           plugins=self.plugins(name, "transport-discard"))
        for refusals, mode in enumerate(("inproc", "process"), 1):
            good.write_config(self.config(name, mode))
            reload = rig.run_program("reload", "--config", good.config)
            self.assertNotEqual(reload.returncode, 0)
            self.assertRegex(reload.stdout + reload.stderr, regex)
            failed = good.wait_event("reload failed, the old configuration stays in force", refusals)
            self.assertRegex(failed[-1]["reason"], regex)
            server = rig.Mansio(self.dir, self.config(name, mode), name=f"{name}-{mode}",
                                plugins=self.plugins(name, "transport-discard"))
            result = rig.run_program("check", "--config", server.config)
            self.assertEqual(result.returncode, 1, result.stdout)
            self.assertRegex(result.stderr, regex)
            server.start(wait=False)
            self.assertNotEqual(server.process.wait(rig.LIMIT), 0)
            self.assertRegex(server.log_text(), regex)
        with rig.Client(good.port) as c:
            self.assertEqual(c.cmd("EHLO client.test")[0], 250)
            c.message("a@example.com", ["first@sin.example", "1@good.example"], "Subject: good\r\n\r\nx")
        for transport in ("sin", "good"):
            good.wait_event("delivery", transport=transport, status="sent")

    def runs(self, name, mode, outcome, regex):
        server = rig.Mansio(self.dir, self.config(name, mode), name=f"{name}-{mode}", env=sins.quiet(name),
                            plugins=self.plugins(name, "transport-discard"))
        self.addCleanup(server.close)
        server.start()
        with rig.Client(server.port) as c:
            self.assertEqual(c.cmd("EHLO client.test")[0], 250)
            c.message("a@example.com", ["first@sin.example"], "Subject: sin\r\n\r\nx")
            for i in range(GOOD):
                c.message("a@example.com", [f"{i}@good.example"], "Subject: good\r\n\r\nx")
        server.wait_event("delivery", count=GOOD, transport="good", status="sent")
        rig.wait_for(lambda: re.search(regex, server.log_text()), f"a log line like {regex}")
        if outcome == "sent":
            server.wait_event("delivery", transport="sin", status="sent")
            rig.wait_for(lambda: server.queue() == [], "an empty queue")
        else:
            # It is still there, has not gone back to its sender, and nothing claims that it was delivered.
            rig.wait_for(lambda: len(server.queue()) == 1, "the queue to hold that message alone")
            self.assertEqual(server.deliveries(transport="sin", status="sent"), [])
            self.assertEqual(server.deliveries(status="bounced"), [])
        server.close()

    def holds(self, name, mode, outcome, regex):
        if mode == "load":
            self.refused(name, regex)
        else:
            self.runs(name, mode, outcome, regex)

    def test_a_process_whose_plugin_blocks_does_not_wait_for_the_end_of_a_delivery(self):
        config = self.config("sin-blocks-loop", "inproc").replace(f'delivery_time_limit = "{2 * rig.SLOW}s"', "")
        server = self.mansio(config, plugins=self.plugins("sin-blocks-loop", "transport-discard"))
        with rig.Client(server.port) as c:
            self.assertEqual(c.cmd("EHLO client.test")[0], 250)
            c.message("a@example.com", ["first@sin.example"], "Subject: sin\r\n\r\nx")
        said = "egress process ends itself: its loop hangs; its loop is in the code of transport sin"
        rig.wait_for(lambda: said in server.log_text(), said)
        server.wait_event("process ended", role="egress.sin")
        self.assertEqual(len(server.queue()), 1)


sins.add_tests(Sins, "sins", Sins.holds)


if __name__ == "__main__":
    unittest.main()
