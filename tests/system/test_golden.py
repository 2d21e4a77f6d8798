"""Plugins as they were released with ABI 1.0 (tests/abi/golden-1.0), in the whole program and in both modes: they load, answer,
deliver and count, and keep the rules of today's check. (What each of their calls sees: tests/unit/host/golden_test.cpp.)"""
import os
import re
import shutil
import unittest

import rig

GOLDEN = os.path.join(os.environ["MANSIO_BUILD"], "lib/golden")
CONFIG = '''
myhostname = "mx.mansio.test"
mydestination = ["own.test"]
local_recipient_maps = ["golden"]
[lookup.golden]
plugin = "golden-lookup"
isolation = "{mode}"
answer = "yes"
[transport.golden]
plugin = "golden-transport"
isolation = "{mode}"
[transport.discard]
plugin = "transport-discard"
[listener.smtp]
listen = ["127.0.0.1:{{port}}"]
[[route]]
domain = ["own.test"]
transport = "golden"
[[route]]
transport = "discard"
'''


class Golden(rig.TestCase):
    def setUp(self):
        super().setUp()
        self.directory = self.plugins("transport-discard")
        self.names = sorted(name for name in os.listdir(GOLDEN) if name.endswith(".so"))
        for name in self.names:
            shutil.copy(os.path.join(GOLDEN, name), self.directory)

    def test_they_answer_and_deliver_in_both_modes(self):
        for mode in ("inproc", "process"):
            with self.subTest(mode):
                server = self.mansio(CONFIG.format(mode=mode), name=mode, plugins=self.directory)
                with rig.Client(server.port) as client:
                    self.assertEqual(client.cmd("EHLO client.test")[0], 250)
                    client.message("a@sender.test", ["first@own.test", "second@own.test"], "Subject: x\r\n\r\nx")
                (sent,) = server.wait_event("delivery", to="first@own.test", status="sent")
                self.assertRegex(sent["text"], r"^250 2\.1\.5 a@sender\.test to first@own\.test of 2, \d+ bytes: Received: from ")
                self.assertEqual(sent["relay"], "golden")
                (bounced,) = server.wait_event("delivery", to="second@own.test", status="bounced")
                self.assertIn("the others are unknown", bounced["text"])
                counted = re.findall(r'^mansio_plugin_asked_total{[^}]*lookup="golden"[^}]*} (\S+)$',
                                     server.cli("status", "--metrics"), re.M)
                self.assertGreater(sum(map(float, counted)), 0)
                self.assertNotIn("plugin misbehaves", server.log_text())
                server.close()

    def test_they_keep_the_rules(self):
        self.assertEqual(self.names, ["golden-lookup.so", "golden-transport.so"])
        for name in self.names:
            checked = rig.run_program("plugin", "check", os.path.join(self.directory, name))
            self.assertIn("keeps the rules", checked.stdout)


if __name__ == "__main__":
    unittest.main()
