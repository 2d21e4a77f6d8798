"""Processes that run out of file descriptors: they refuse, they do not spin, they go on when there are some again."""
import os
import resource
import select
import unittest

from rig import SLOW, Client, TestCase, relay_config, wait_for

IDLE = 3 * SLOW  # seconds


def descriptors(pid):
    return {int(n) for n in os.listdir(f"/proc/{pid}/fd")}


def lowest_free(pid):
    used = descriptors(pid)
    return next(n for n in range(len(used) + 1) if n not in used)


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Descriptors(TestCase):
    def start(self, extra=""):
        self.hop = self.peer()
        config = relay_config(self.hop.port, "ingress_processes = 1").replace("[smtpd]", f'[smtpd]\ntimeout = "{IDLE}s"')
        return self.mansio(config + extra)

    def pid(self, server, name):
        return next(pid for pid, role in server.children().items() if role.startswith(name))

    def limit(self, pid, number):
        """Lowers the soft limit; returns what puts it back."""
        old = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (number, old[1]))
        return lambda: resource.prlimit(pid, resource.RLIMIT_NOFILE, old)

    def send(self, server):
        with Client(server.port) as c:
            c.cmd("EHLO test")
            c.message("a@example.org", ["b@example.net"], "Subject: x\r\n\r\nx\r\n")

    def test_an_ingress_without_descriptors_refuses_rests_and_recovers(self):
        server = self.start()
        ingress = self.pid(server, "ingress")
        put_back = self.limit(ingress, max(descriptors(ingress)) + 1)
        held, refused = [], 0
        while not refused:  # fills what gaps there are
            client = Client(server.port, greet=False)
            self.addCleanup(client.close)
            code, text = client.reply()
            if code == 220:
                held.append(client)
            else:
                self.assertEqual(code, 421, text)
                self.assertIn("too busy", text)
                refused += 1
        if not held:  # no gap: one is made, for somebody who waits
            self.limit(ingress, max(descriptors(ingress)) + 2)
            held.append(Client(server.port))
            self.addCleanup(held[0].close)
        # Others keep coming until the first, idle, is sent away for that.
        self.assertEqual(held[0].cmd("NOOP")[0], 250)
        before = cpu_seconds(ingress)
        while not select.select([held[0].sock], [], [], 0)[0]:
            with Client(server.port, greet=False) as client:
                code = client.reply()[0]
                self.assertIn(code, (220, 421))  # 220: of another idle one's descriptor
                refused += code == 421
        self.assertEqual(held[0].reply()[0], 421)
        self.assertLess(cpu_seconds(ingress) - before, IDLE / 4)
        # Each futile attempt is logged, and each sent somebody away.
        self.assertLessEqual(len(server.events("cannot accept connections for want of resources; raise the descriptor limit "
                                               "or lower connection_limit")), refused)
        put_back()
        self.send(server)
        wait_for(lambda: self.hop.count() == 1, "the message")
        self.assertEqual(self.pid(server, "ingress"), ingress)

    def test_an_egress_without_descriptors_defers_and_delivers_later(self):
        server = self.start("[queue]\nminimal_backoff_time = 1\nmaximal_backoff_time = 1\n")
        egress = self.pid(server, "egress.relay")
        put_back = self.limit(egress, lowest_free(egress))
        self.send(server)
        server.wait_event("delivery", status="deferred")
        self.assertEqual(self.hop.connections, 0)
        put_back()
        wait_for(lambda: self.hop.count() == 1, "the message")
        wait_for(lambda: server.queue() == [], "an empty queue")
        self.assertEqual(self.pid(server, "egress.relay"), egress)


if __name__ == "__main__":
    unittest.main()
