"""Limits of what one client may do in a unit of time, with two ingress processes: they count together, and what one counted
is not forgotten when it dies."""
import contextlib
import json
import os
import pwd
import re
import signal
import unittest

from rig import Client, TestCase, free_port, wait_for

CONFIG = """
myhostname = "mx.mansio.test"
mydestination = ["mansio.test"]
ingress_processes = 2
[smtpd]
client_event_limit_exceptions = []
client_connection_count_limit = 0
client_name_lookup = false
anvil_rate_time_unit = "1h"
{smtpd}
[listener.smtp]
listen = ["127.0.0.1:{port}"]
{more}
[transport.local]
plugin = "transport-maildir"
directory = "{dir}/mail/{domain}/{user}"
[[route]]
transport = "local"
"""


class ClientRates(TestCase):
    def serve(self, smtpd="", more=""):
        os.mkdir(self.path("mail"))
        if os.geteuid() == 0:
            os.chown(self.path("mail"), pwd.getpwnam("nobody").pw_uid, -1)
        return self.mansio(CONFIG.replace("{smtpd}", smtpd).replace("{more}", more))

    @staticmethod
    def ingress(server):
        return sorted(server.pids("ingress"))

    @contextlib.contextmanager
    def served_by(self, server, index):
        """Meanwhile the other process stands still."""
        other = self.ingress(server)[1 - index]
        os.kill(other, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(other, signal.SIGCONT)

    @staticmethod
    def code(port, source=None):
        c = Client(port, greet=False, source=source)
        code, text = c.reply()
        c.close()
        return code, text

    @staticmethod
    def refused(server, event):
        found = re.findall(rf'(?m)^mansio_smtpd_rate_limited_total{{[^}}]*event="{event}"[^}}]*}} (\S+)$', server.cli("status", "--metrics"))
        return sum(float(n) for n in found)

    def test_connections_are_counted_over_all_processes_also_those_of_a_dead_one(self):
        server = self.serve("client_connection_rate_limit = 4")
        self.assertEqual(len(self.ingress(server)), 2)
        with self.served_by(server, 0):
            self.assertEqual([self.code(server.port)[0] for _ in range(2)], [220] * 2)
        with self.served_by(server, 1):
            self.assertEqual([self.code(server.port)[0] for _ in range(2)], [220] * 2)
            code, text = self.code(server.port)
            self.assertEqual((code, text[:5]), (421, "4.7.0"))
        self.assertEqual(len({e["process"] for e in server.events("connect")}), 2)
        with self.served_by(server, 0):
            self.assertEqual(self.code(server.port)[0], 421)
        self.assertEqual(self.code(server.port, source="127.0.0.2")[0], 220)
        before = self.ingress(server)
        for pid in before:
            os.kill(pid, signal.SIGKILL)
        wait_for(lambda: len(set(self.ingress(server)) - set(before)) == 2, "new processes")
        self.assertEqual(self.code(server.port)[0], 421)
        self.assertEqual(self.code(server.port, source="127.0.0.3")[0], 220)
        lines = [json.loads(line) for line in server.log_text().splitlines() if '"event":"client over its rate' in line]
        self.assertEqual(len(lines), 1)  # for three refusals by different processes
        self.assertEqual((lines[0]["client"], lines[0]["option"], lines[0]["limit"]), ("127.0.0.1", "client_connection_rate_limit", 4))

    def test_mail_and_recipients_are_counted_over_all_processes(self):
        server = self.serve("client_message_rate_limit = 4\nclient_recipient_rate_limit = 6")
        with self.served_by(server, 0), Client(server.port) as c:
            c.cmd("EHLO x")
            c.message("a@example.org", ["b@mansio.test", "c@mansio.test"], "Subject: 1\r\n\r\nx")
            c.message("a@example.org", ["b@mansio.test"], "Subject: 2\r\n\r\nx")
        with self.served_by(server, 1), Client(server.port) as c:
            c.cmd("EHLO x")
            c.message("a@example.org", ["b@mansio.test"], "Subject: 3\r\n\r\nx")
            self.assertEqual(c.cmd("MAIL FROM:<a@example.org>")[0], 250)
            self.assertEqual([c.cmd(f"RCPT TO:<{i}@mansio.test>")[0] for i in range(3)], [250, 250, 450])
            c.cmd("RSET")
            code, text = c.cmd("MAIL FROM:<a@example.org>")
            self.assertEqual((code, text[:5]), (450, "4.7.1"))
        self.assertEqual(self.refused(server, "recipient"), 1)
        self.assertEqual(self.refused(server, "message"), 1)

    def test_a_unit_of_time_ends(self):
        server = self.serve("client_message_rate_limit = 1", more='anvil_rate_time_unit = "2s"')
        with Client(server.port) as c:
            c.cmd("EHLO x")
            c.send("MAIL FROM:<a@example.org>\r\nRSET\r\nMAIL FROM:<a@example.org>\r\n")
            self.assertEqual([c.reply()[0] for _ in range(3)], [250, 250, 450])

        def taken():
            with Client(server.port) as c:
                c.cmd("EHLO x")
                return c.cmd("MAIL FROM:<a@example.org>")[0] == 250
        wait_for(taken, "the next unit of time")

    def test_a_network_is_one_client_to_each_listener(self):
        other = free_port()
        server = self.serve("client_connection_rate_limit = 1\nclient_ipv4_prefix_length = 24",
                            more=f'[listener.other]\nlisten = ["127.0.0.1:{other}"]\nclient_ipv4_prefix_length = 32\n')
        self.assertEqual(self.code(server.port, source="127.0.0.1")[0], 220)
        self.assertEqual(self.code(server.port, source="127.0.0.9")[0], 421)
        self.assertEqual(self.code(server.port, source="127.0.1.9")[0], 220)
        self.assertEqual(self.code(other, source="127.0.0.1")[0], 220)
        self.assertEqual(self.code(other, source="127.0.0.9")[0], 220)
        self.assertEqual(self.code(other, source="127.0.0.9")[0], 421)


if __name__ == "__main__":
    unittest.main()
