"""Several instances of one plugin are independent of one another, in one process and in processes of their own: what one is
asked, counts and fails in is not the other's."""
import os
import re
import signal
import unittest

import rig

# Each listener asks an instance of its own for the name in EHLO: "no" is not found, "empty" a failure.
CONFIG = '''
myhostname = "mx.mansio.test"
ingress_processes = 1
[smtpd]
mynetworks = ["127.0.0.0/8"]
[lookup.one]
plugin = "lookup-odd"
isolation = "%(mode)s"
breaker_deaths = 3
breaker_time = "3600s"
[lookup.two]
plugin = "lookup-odd"
isolation = "%(mode)s"
breaker_deaths = 3
breaker_time = "3600s"
[listener.smtp]
listen = ["127.0.0.1:{port}"]
helo_access_maps = ["one"]
[listener.second]
listen = ["127.0.0.1:%(second)d"]
helo_access_maps = ["two"]
[transport.good]
plugin = "transport-discard"
[[route]]
transport = "good"
'''


class Instances(rig.TestCase):
    def server(self, mode):
        self.second = rig.free_port()
        return self.mansio(CONFIG % {"mode": mode, "second": self.second}, name=mode,
                           plugins=self.plugins("lookup-odd", "transport-discard"))

    def rcpt(self, port, name):
        with rig.Client(port) as c:
            self.assertEqual(c.cmd(f"EHLO {name}")[0], 250)
            self.assertEqual(c.cmd("MAIL FROM:<a@example.com>")[0], 250)
            return c.cmd("RCPT TO:<b@example.net>")[0]

    def asked(self, server, table):
        """What the plugin itself has counted, over all processes."""
        found = re.findall(rf'^mansio_plugin_asked_total{{[^}}]*lookup="{table}"[^}}]*}} (\S+)$', server.cli("status", "--metrics"), re.M)
        return sum(float(n) for n in found)

    def test_in_one_process_they_count_and_fail_apart(self):
        server = self.server("inproc")
        for port in (server.port, self.second):
            self.assertEqual(self.rcpt(port, "no"), 250)
        for _ in range(3):
            self.assertEqual(self.rcpt(server.port, "empty"), 451)
        opened = server.wait_event("breaker open: the plugin keeps failing and is not asked for a while; on_failure answers; "
                                   "mend it, and have it asked at once with mansio reload")
        self.assertEqual([e["lookup"] for e in opened], ["one"])
        self.assertEqual(self.rcpt(server.port, "other"), 451)
        self.assertEqual(self.rcpt(self.second, "no"), 250)
        self.assertEqual((self.asked(server, "one"), self.asked(server, "two")), (4, 2))  # nothing is cached; the first was not asked for "other"

    def test_in_processes_of_their_own_one_lives_when_the_other_is_given_up(self):
        server = self.server("process")
        for port in (server.port, self.second):
            self.assertEqual(self.rcpt(port, "no"), 250)

        def hosts(table):
            return [pid for pid, name in server.children().items() if name == f"host.lookup.{table}"[:15]]
        (two,) = hosts("two")
        for _ in range(3):
            (old,) = rig.wait_for(lambda: hosts("one"), "the process of the first")
            os.kill(old, signal.SIGKILL)
            rig.wait_for(lambda: old not in hosts("one"), "its end")
        opened = server.wait_event("breaker open: the plugin's process keeps dying and is not started for a while; on_failure answers")
        self.assertEqual([e["role"] for e in opened], ["host.lookup.one"])
        self.assertEqual(self.rcpt(server.port, "other"), 451)
        self.assertEqual(self.rcpt(self.second, "no"), 250)
        self.assertEqual(hosts("two"), [two])
        # What the second counts is shown from its own process, too; the first has none any more.
        self.assertEqual((self.asked(server, "one"), self.asked(server, "two")), (0, 2))


if __name__ == "__main__":
    unittest.main()
