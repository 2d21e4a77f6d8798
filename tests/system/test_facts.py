"""What a plugin is told of itself and of the host is the same in the process that uses it and in one of its own; and one
that keeps state has a directory for it, its own, for as long as the spool is there."""
import os
import re
import stat
import unittest

import rig

ALL_KINDS = '''
myhostname = "mx.mansio.test"
mydestination = ["own.example"]
local_recipient_maps = ["facts"]
proxy_interfaces = ["192.0.2.77"]
[lookup.facts]
plugin = "facts"
isolation = "{mode}"
[filter.facts]
plugin = "facts"
isolation = "{mode}"
[auth.facts]
plugin = "facts"
isolation = "{mode}"
[transport.facts]
plugin = "facts"
isolation = "{mode}"
[smtpd]
mynetworks = ["127.0.0.0/8"]
[listener.smtp]
listen = ["127.0.0.1:{{port}}"]
sasl_auth_enable = true
tls_auth_only = false
auth = "facts"
filters = ["facts"]
[[route]]
transport = "facts"
'''
STATE = '''
myhostname = "mx.mansio.test"
mydestination = ["one.example"]
local_recipient_maps = ["one", "two"]
[lookup.one]
plugin = "keeps-state"
isolation = "process"
[lookup.two]
plugin = "keeps-state"
isolation = "process"
[filter.one]
plugin = "keeps-state"
isolation = "process"
[smtpd]
mynetworks = ["127.0.0.0/8"]
[listener.smtp]
listen = ["127.0.0.1:{port}"]
filters = ["one"]
[transport.good]
plugin = "transport-discard"
[[route]]
transport = "good"
'''
KINDS = ("lookup", "filter", "auth", "transport")


class Facts(rig.TestCase):
    def told(self, server):
        """{kind: what the plugin said that it was told}"""
        found = {}
        for kind in KINDS:
            lines = [line for line in server.log_text().splitlines() if f'"{kind}":"facts"' in line and '"event":"told ' in line]
            if lines:
                found[kind] = re.search('"event":"(told [^"]*)"', lines[0])[1]
        return found

    def test_every_kind_is_told_the_same_in_both_modes(self):
        said = {}
        for mode in ("inproc", "process"):
            server = self.mansio(ALL_KINDS.format(mode=mode), name=mode, plugins=self.plugins("facts"))
            with rig.Client(server.port) as c:  # a table starts when it is first asked
                self.assertEqual(c.cmd("EHLO client.test")[0], 250)
                self.assertEqual(c.cmd("MAIL FROM:<a@example.com>")[0], 250)
                self.assertEqual(c.cmd("RCPT TO:<b@own.example>")[0], 550)
            said[mode] = rig.wait_for(lambda: len(self.told(server)) == len(KINDS) and self.told(server), "all of them to speak")
        self.assertEqual(said["inproc"], said["process"])
        for kind, line in said["process"].items():
            self.assertRegex(line, rf"^told instance=facts kind={kind} myhostname=mx\.mansio\.test self_addresses=\S* state_directory=$")
            addresses = re.search(r"self_addresses=(\S*)", line)[1].split(",")
            self.assertIn("127.0.0.1", addresses)
            self.assertIn("192.0.2.77", addresses)

    def test_state_is_kept_over_restarts_and_is_each_instances_own(self):
        server = self.mansio(STATE, plugins=self.plugins("keeps-state", "transport-discard"))
        for start in (1, 2):
            for name in ("lookup.one", "lookup.two", "filter.one"):
                directory = os.path.join(server.spool, "state", name)
                server.wait_event(f"start {start} in {directory}")
                seen = os.stat(directory)
                self.assertEqual(stat.S_IMODE(seen.st_mode), 0o700)
                self.assertEqual(seen.st_uid, os.stat(server.spool).st_uid)
                with open(os.path.join(directory, "starts")) as f:
                    self.assertEqual(f.read(), "x" * start)
            with rig.Client(server.port) as c:
                self.assertEqual(c.cmd("EHLO client.test")[0], 250)
                c.message("a@example.com", ["b@one.example"], "Subject: x\r\n\r\nx")
            server.wait_event("delivery", start, status="sent")
            self.assertEqual(server.stop(), 0)
            if start == 1:
                server.start()
        server.process = None

    def test_who_keeps_state_has_a_process_of_its_own(self):
        server = rig.Mansio(self.dir, STATE.replace('isolation = "process"', ""), plugins=self.plugins("keeps-state", "transport-discard"))
        result = rig.run_program("check", "--config", server.config)
        self.assertEqual(result.returncode, 1, result.stdout)
        for table in ("lookup.one", "lookup.two", "filter.one"):
            self.assertRegex(result.stderr, rf'{table}\.isolation is "inproc", but keeps-state .*keeps state.*expected "process"')

    def test_mansio_lookup_leaves_the_state_of_others_alone(self):
        server = self.mansio(STATE, plugins=self.plugins("keeps-state", "transport-discard"))
        result = rig.run_program("lookup", "one", "key", "--config", server.config)
        self.assertEqual((result.returncode, result.stdout), (75, ""))
        self.assertIn("keeps state, which only a process of its own in a running Mansio has", result.stderr)

    def test_plugin_check_has_a_directory_for_one_that_keeps_state(self):
        file = os.path.join(self.plugins("keeps-state"), "keeps-state.so")
        result = rig.run_program("plugin", "check", file, env={**os.environ, "TMPDIR": self.dir})
        self.assertIn("keeps the rules", result.stdout)
        self.assertEqual([name for name in os.listdir(self.dir) if name.startswith("mansio-check")], [])


if __name__ == "__main__":
    unittest.main()
