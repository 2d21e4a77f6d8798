"""Processes that run out of file descriptors: they refuse, they do not spin, they go on when there are some again."""
import os
import select
import subprocess
import time
import unittest

from rig import LIMIT, MANSIO, SLOW, Client, TestCase, relay_config, wait_for

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
        server = self.mansio(config + extra)
        Client(server.port).close()  # whoever answers has all that its start gives it
        return server

    def pid(self, server, name):
        return server.pids(name)[0]

    def limit(self, pid, number):
        """Sets the soft limit; returns what puts the old one back. Done as the user of the process, since not every
        root may do it to others."""
        with open(f"/proc/{pid}/limits") as f:
            old = int(next(line for line in f if line.startswith("Max open files")).split()[3])
        with open(f"/proc/{pid}/status") as f:
            ids = {line.split()[0]: int(line.split()[1]) for line in f if line.startswith(("Uid:", "Gid:"))}
        account = {"user": ids["Uid:"], "group": ids["Gid:"], "extra_groups": []} if os.geteuid() == 0 else {}

        def put(soft):
            subprocess.run(["prlimit", f"--pid={pid}", f"--nofile={soft}:"], check=True, **account)
        put(number)
        return lambda: put(old)

    def send(self, server):
        with Client(server.port) as c:
            c.cmd("EHLO test")
            c.message("a@example.org", ["b@example.net"], "Subject: x\r\n\r\nx\r\n")

    def test_an_ingress_without_descriptors_refuses_rests_and_recovers(self):
        server = self.start()
        ingress = self.pid(server, "ingress")
        put_back = self.limit(ingress, max(descriptors(ingress)) + 1)
        held, refused, connections = [], 0, 1
        while not refused:  # fills what gaps there are
            connections += 1
            client = Client(server.port, greet=False)
            self.addCleanup(client.close)
            code, text = client.reply()
            if code == 220:
                held.append(client)
            else:
                self.assertEqual(code, 421, text)
                self.assertIn("too busy", text)
                refused = 1
        if not held:  # no gap: one is made, for somebody who waits
            self.limit(ingress, max(descriptors(ingress)) + 2)

            def admitted():  # not while the last who was refused still holds it
                nonlocal connections
                connections += 1
                client = Client(server.port, greet=False)
                self.addCleanup(client.close)
                return client.reply()[0] == 220 and held.append(client) is None
            wait_for(admitted, "a client to find the gap")
        # Others keep coming until the first, idle, is sent away for that.
        self.assertEqual(held[0].cmd("NOOP")[0], 250)
        before = cpu_seconds(ingress)
        for client in held[1:]:
            client.close()
        while not select.select([held[0].sock], [], [], 0)[0]:
            with Client(server.port, greet=False) as client:
                self.assertIn(client.reply()[0], (220, 421))  # 220: in the place of another that has gone
            connections += 1
        self.assertEqual(held[0].reply()[0], 421)
        self.assertLess(cpu_seconds(ingress) - before, IDLE / 4)
        # Each futile attempt is logged. There is one for somebody who is sent away, or behind the last who is not: the
        # system finds that there is no descriptor before it looks whether somebody waits.
        self.assertLessEqual(len(server.events("cannot accept connections for want of resources; raise the descriptor limit "
                                               "or lower connection_limit")), connections)
        put_back()
        self.send(server)
        wait_for(lambda: self.hop.count() == 1, "the message")
        self.assertEqual(self.pid(server, "ingress"), ingress)

    def starve_the_egress(self, spare):
        """Leaves the egress process so many descriptors, sends it a message, and gives them back when it has failed:
        with none it cannot even be given the message, with one it cannot connect. What it only had open for a moment
        when they were counted is one more, so that either may be seen."""
        server = self.start("[queue]\nminimal_backoff_time = 1\nmaximal_backoff_time = 1\n")
        egress = self.pid(server, "egress.relay")
        put_back = self.limit(egress, lowest_free(egress) + spare)
        self.send(server)
        wait_for(lambda: server.events("lease refused") or server.events("delivery", status="deferred"), "a failure")
        self.assertEqual(self.hop.connections, 0)
        put_back()
        wait_for(lambda: self.hop.count() == 1, "the message")
        wait_for(lambda: server.queue() == [], "an empty queue")
        self.assertEqual(self.pid(server, "egress.relay"), egress)

    def test_an_egress_that_cannot_be_given_a_message_gets_it_later(self):
        self.starve_the_egress(0)

    def test_an_egress_that_cannot_connect_defers_and_delivers_later(self):
        self.starve_the_egress(1)

    def test_a_control_process_without_descriptors_rests_and_answers_later(self):
        server = self.start()
        server.cli("status")  # it has all that its start gives it
        control = self.pid(server, "control")
        put_back = self.limit(control, 3)  # no gap below that: there are the standard streams
        before = cpu_seconds(control)
        asking = self.spawn([MANSIO, "status", "--config", server.config], stdout=subprocess.PIPE, text=True)
        time.sleep(IDLE)
        self.assertIsNone(asking.poll())
        self.assertLess(cpu_seconds(control) - before, IDLE / 10)
        put_back()
        answer, _ = asking.communicate(timeout=LIMIT)
        self.assertEqual(asking.returncode, 0)
        self.assertIn("egress.relay", answer)
        self.assertEqual(self.pid(server, "control"), control)


if __name__ == "__main__":
    unittest.main()
