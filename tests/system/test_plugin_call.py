"""`mansio plugin call`: an operator's word to a plugin, wherever its instance runs, and nobody else's."""
import json
import os
import pwd
import subprocess
import sys
import unittest

import rig

CONFIG = '''
myhostname = "mx.mansio.test"
mydestination = ["own.example"]
ingress_processes = 2
local_recipient_maps = ["told"]
[lookup.told]
plugin = "commands"
[filter.told]
plugin = "commands"
isolation = "{mode}"
[smtpd]
mynetworks = ["127.0.0.0/8"]
[listener.smtp]
listen = ["127.0.0.1:{{port}}"]
filters = ["told"]
[transport.discard]
plugin = "transport-discard"
[[route]]
transport = "discard"
'''
AS_NOBODY = '''
import os, socket, sys
os.setgroups([]); os.setgid(int(sys.argv[2])); os.setuid(int(sys.argv[2]))
s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])
s.sendall(b'{"command":"plugin-call","instance":"filter.told","name":"echo"}\\n')
print(s.makefile().readline())
'''


class PluginCall(rig.TestCase):
    def server(self, mode):
        return self.mansio(CONFIG.format(mode=mode), plugins=self.plugins("commands", "transport-discard"), name=mode)

    def call(self, server, *args, status=0):
        result = rig.run_program("plugin", "call", "--config", server.config, *args)
        self.assertEqual(result.returncode, status, result.stdout + result.stderr)
        return result

    def test_a_command_runs_in_every_process_that_has_the_instance(self):
        server = self.server("process")
        self.assertEqual(self.call(server, "filter.told", "echo", "--", "a b", "-c").stdout, "said\na b\n-c\n")
        self.assertEqual(server.stop(), 0)
        server.process = None
        server = self.server("inproc")
        said = sorted(self.call(server, "filter.told", "echo", "x").stdout.splitlines())
        self.assertEqual(said, ["ingress.0: said", "ingress.0: x", "ingress.1: said", "ingress.1: x"])
        logged, = server.events("operator command", command="plugin-call")
        self.assertEqual((logged["instance"], logged["name"]), ("filter.told", "echo"))

    def test_what_fails_or_is_not_there_is_said(self):
        server = self.server("process")
        failed = self.call(server, "filter.told", "fail", status=1)
        self.assertIn("not that", failed.stderr)
        unknown = self.call(server, "filter.told", "nonsense", status=1)
        self.assertIn("filter.told has no command nonsense", unknown.stderr)
        self.assertIn("echo: ARGUMENT...: says it again", unknown.stderr)
        self.assertNotIn("another", unknown.stderr)
        for instance in ("filter.other", "told", ""):
            self.assertIn("no process has the plugin instance", self.call(server, instance, "echo", status=1).stderr)
        self.assertEqual(self.call(server, "filter.told", "late").stdout, "refused\n")

    def test_a_reload_and_a_death_leave_it_reachable(self):
        server = self.server("process")
        server.cli("reload")
        self.assertEqual(self.call(server, "filter.told", "echo", "x").stdout, "said\nx\n")
        (pid,) = server.pids("host.filter")
        os.kill(pid, 9)
        rig.wait_for(lambda: rig.run_program("plugin", "call", "--config", server.config, "filter.told", "echo").returncode == 0,
                     "its successor to answer")

    @unittest.skipUnless(os.geteuid() == 0, "only root can become somebody else")
    def test_only_operators_may(self):
        server = self.server("process")
        stranger = max(entry.pw_uid for entry in pwd.getpwall() if entry.pw_name != "nobody" and entry.pw_uid < 60000) + 1
        os.chmod(self.dir, 0o755)
        os.chmod(server.spool, 0o755)
        result = subprocess.run([sys.executable, "-c", AS_NOBODY, os.path.join(server.spool, "control.sock"), str(stranger)],
                                capture_output=True, text=True, timeout=rig.LIMIT)
        self.assertIn("not permitted", json.loads(result.stdout)["error"], result.stderr)
        self.assertTrue(server.events("operator refused", command="plugin-call"))


if __name__ == "__main__":
    unittest.main()
