"""A program that a plugin started may outlive the process that did: that one's death is noticed all the same."""
import contextlib
import os
import signal
import unittest

import rig


CONFIG = '''
myhostname = "mx.mansio.test"
[smtpd]
mynetworks = ["127.0.0.0/8"]
[listener.smtp]
listen = ["127.0.0.1:{port}"]
[transport.x]
plugin = "transport-starts"
isolation = "%s"
[[route]]
transport = "x"
'''


def programs_of(pid):
    found = []
    for task in os.listdir(f"/proc/{pid}/task"):
        with contextlib.suppress(*rig.GONE), open(f"/proc/{pid}/task/{task}/children") as children:
            found += [int(child) for child in children.read().split()]
    return found


def end(pid):
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


class Programs(rig.TestCase):
    def pid(self, server, role):
        return next(iter(server.pids(role)), None)

    def outlived(self, isolation, role):
        server = self.mansio(CONFIG % isolation, plugins=self.plugins("transport-starts"))
        with rig.Client(server.port) as c:
            self.assertEqual(c.cmd("EHLO client.test")[0], 250)
            c.message("a@example.com", ["b@example.org"], "Subject: x\r\n\r\nx\r\n")
        rig.wait_for(lambda: server.deliveries(status="sent"), "the delivery")
        old = self.pid(server, role)
        programs = programs_of(old)
        for program in programs:
            self.addCleanup(end, program)
        self.assertEqual(len(programs), 1)
        os.kill(old, signal.SIGKILL)
        rig.wait_for(lambda: self.pid(server, role) not in (None, old), "another process in its place")
        os.kill(programs[0], 0)  # it is there still
        self.assertEqual(server.stop(), 0)

    def test_a_delivery_process_that_one_outlives_is_started_again(self):
        self.outlived("inproc", "egress.x")

    def test_a_plugins_process_that_one_outlives_is_started_again(self):
        self.outlived("process", "host.")


if __name__ == "__main__":
    unittest.main()
