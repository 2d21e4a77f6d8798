"""Delivery by MX: preference, implicit MX, null MX, names that do not exist or do not answer, loops."""
import unittest

from dns_server import DnsServer
from rig import Client, Peer, TestCase, free_port, wait_for

CONFIG = """
myhostname = "mx.mansio.test"
mydestination = []
[smtpd]
mynetworks = ["127.0.0.0/8"]
client_name_lookup = false
[listener.smtp]
listen = ["127.0.0.1:{port}"]
[dns]
servers = ["127.0.0.1:{dns}"]
timeout = 3
tries = 1
min_ttl = 0
[queue]
minimal_backoff_time = 1
maximal_backoff_time = 1
[transport.smtp]
plugin = "transport-smtp"
{options}
smtp_tcp_port = {tcp}
smtp_connect_timeout = 2
[[route]]
recipient = ["a@example.org"]
transport = "bounces"
nexthop = "[127.0.0.1]:{bounces}"
[transport.bounces]
plugin = "transport-smtp"
[[route]]
transport = "smtp"
"""


class Dns(TestCase):
    def setUp(self):
        super().setUp()
        self.bounces = self.peer()
        self.tcp = free_port()
        self.dns = DnsServer({})
        self.addCleanup(self.dns.close)

    def start(self, records, options=""):
        self.dns.records.update(records)
        text = CONFIG.replace("{dns}", str(self.dns.port)).replace("{options}", options)
        text = text.replace("{tcp}", str(self.tcp)).replace("{bounces}", str(self.bounces.port))
        return self.mansio(text)

    def hop(self, address, on=None):
        return self.peer(address=address, port=self.tcp, on=on)

    def send(self, server, recipient):
        with Client(server.port) as client:
            client.cmd("EHLO test")
            client.message("a@example.org", [recipient], "Subject: x\r\n\r\nx\r\n")

    def test_the_best_preference_is_used_first(self):
        best, second = self.hop("127.0.0.2"), self.hop("127.0.0.3")
        server = self.start({("example.net", "MX"): [(20, "two.example.net"), (10, "one.example.net")],
                             ("one.example.net", "A"): ["127.0.0.2"], ("two.example.net", "A"): ["127.0.0.3"]})
        for _ in range(5):
            self.send(server, "b@example.net")
        wait_for(lambda: best.count() == 5, "five messages at the best MX")
        self.assertEqual(second.count(), 0)

    def test_a_transport_in_a_process_of_its_own_asks_as_well(self):
        best, second = self.hop("127.0.0.2"), self.hop("127.0.0.3")
        server = self.start({("example.net", "MX"): [(20, "two.example.net"), (10, "one.example.net")],
                             ("one.example.net", "A"): ["127.0.0.2"], ("two.example.net", "A"): ["127.0.0.3"]},
                            'isolation = "process"')
        self.send(server, "b@example.net")
        wait_for(lambda: best.count() == 1, "the message at the best MX")
        self.assertEqual(second.count(), 0)
        self.assertIn("host.transport.", server.children().values())

    def test_the_next_mx_is_tried_when_the_best_refuses_the_connection(self):
        second = self.hop("127.0.0.3")
        server = self.start({("example.net", "MX"): [(20, "two.example.net"), (10, "one.example.net")],
                             ("one.example.net", "A"): ["127.0.0.2"], ("two.example.net", "A"): ["127.0.0.3"]})
        self.send(server, "b@example.net")
        wait_for(lambda: second.count() == 1, "the message at the second MX")

    def test_a_4xx_greeting_sends_the_mail_to_the_next_mx(self):
        self.hop("127.0.0.2", on=lambda command, s, a: "421 4.3.2 busy" if command == "CONNECT" else None)
        second = self.hop("127.0.0.3")
        server = self.start({("example.net", "MX"): [(20, "two.example.net"), (10, "one.example.net")],
                             ("one.example.net", "A"): ["127.0.0.2"], ("two.example.net", "A"): ["127.0.0.3"]})
        self.send(server, "b@example.net")
        wait_for(lambda: second.count() == 1, "the message at the second MX")

    def test_a_domain_without_mx_is_its_own(self):
        peer = self.hop("127.0.0.2")
        server = self.start({("example.net", "A"): ["127.0.0.2"]})
        self.send(server, "b@example.net")
        wait_for(lambda: peer.count() == 1, "the message")

    def bounce(self, server, recipient):
        self.send(server, recipient)
        wait_for(lambda: self.bounces.count() == 1, "the bounce")
        return self.bounces.messages[0].content.decode()

    def test_a_null_mx_bounces(self):
        server = self.start({("example.net", "MX"): [(0, ".")]})
        self.assertIn("Status: 5.1.10", self.bounce(server, "b@example.net"))

    def test_a_domain_that_does_not_exist_bounces(self):
        server = self.start({})
        self.assertRegex(self.bounce(server, "b@nowhere.example.net"), "Status: 5.(4.4|1.2)")

    def test_a_name_server_that_is_silent_defers(self):
        self.dns.silent.add("example.net")
        server = self.start({})
        self.send(server, "b@example.net")
        server.wait_event("delivery", status="deferred")
        peer = self.hop("127.0.0.2")
        self.dns.records[("example.net", "A")] = ["127.0.0.2"]
        self.dns.silent.clear()
        wait_for(lambda: peer.count() == 1, "the delivery once the name server answers")

    def test_a_failing_name_server_defers(self):
        self.dns.failing.add("example.net")
        server = self.start({})
        self.send(server, "b@example.net")
        (line, *_) = server.wait_event("delivery", status="deferred")
        self.assertEqual(line["dsn"], "4.4.3")

    def test_mail_that_loops_back_to_us_bounces(self):
        server = self.start({("example.net", "MX"): [(10, "one.example.net")], ("one.example.net", "A"): ["127.0.0.1"]})
        text = self.bounce(server, "b@example.net")
        self.assertIn("Status: 5.4.6", text)
        self.assertIn("loops back", text)

    def test_a_backup_keeps_mail_while_the_best_mx_cannot_be_found(self):
        best = self.hop("127.0.0.2")
        self.dns.failing.add("one.example.net")
        server = self.start({("example.net", "MX"): [(10, "one.example.net"), (20, "two.example.net")],
                             ("one.example.net", "A"): ["127.0.0.2"], ("two.example.net", "A"): ["127.0.0.1"]})
        self.send(server, "b@example.net")
        (line, *_) = server.wait_event("delivery", status="deferred")
        self.assertEqual(line["dsn"], "4.4.4")
        self.dns.failing.clear()
        wait_for(lambda: best.count() == 1, "the delivery once the name server answers")


if __name__ == "__main__":
    unittest.main()
