"""Domains of one provider in the whole program: the router finds out by DNS that they have the same mail exchangers,
and the queue gives them one set of limits."""
import json
import re
import threading
import unittest

from dns_server import DnsServer
from rig import Client, TestCase, free_port, wait_for

CONFIG = """
myhostname = "mx.mansio.test"
mydestination = []
[smtpd]
mynetworks = ["127.0.0.0/8"]
client_name_lookup = false
campaign_header = "X-Campaign"
[listener.smtp]
listen = ["127.0.0.1:{port}"]
[dns]
servers = ["127.0.0.1:{dns}"]
timeout = 3
tries = 1
[transport.smtp]
plugin = "transport-smtp"
smtp_tcp_port = {tcp}
destination_key = "site"
[[transport.smtp.destination]]
mx = [".p.example"]
destination_concurrency_limit = 1
[[route]]
transport = "smtp"
"""
SITE = "mx:mx1.p.example,mx2.p.example"
RECORDS = {
    ("one.example", "MX"): [(10, "mx1.p.example"), (20, "mx2.p.example")],
    ("two.example", "MX"): [(10, "mx2.p.example"), (20, "mx1.p.example")],
    ("other.example", "MX"): [(10, "mx.q.example")],
    ("mx1.p.example", "A"): ["127.0.0.2"],
    ("mx2.p.example", "A"): ["127.0.0.3"],
    ("mx.q.example", "A"): ["127.0.0.4"],
}


class Site(TestCase):
    def setUp(self):
        super().setUp()
        self.gate = threading.Event()  # open: the provider answers
        self.gate.set()
        self.dns = DnsServer(RECORDS)
        self.addCleanup(self.dns.close)
        tcp = free_port()
        self.first, self.second = (self.peer(address=a, port=tcp, on=self.on) for a in ("127.0.0.2", "127.0.0.3"))
        self.other = self.peer(address="127.0.0.4", port=tcp)
        self.server = self.mansio(CONFIG.replace("{dns}", str(self.dns.port)).replace("{tcp}", str(tcp)))
        self.addCleanup(self.gate.set)

    def on(self, command, session, argument):
        if command == "DOT":
            self.gate.wait()

    def send(self, recipient, header=""):
        """The message's queue id."""
        with Client(self.server.port) as client:
            client.cmd("EHLO test")
            said = client.message("a@example.org", [recipient], f"Subject: x\r\n{header}\r\nx\r\n")
        return re.search(r"queued as (\S+)", said[1])[1]

    def why(self, *what):
        return self.server.cli("queue", "why", *what, check=False)

    def test_domains_with_the_same_exchangers_share_a_limit(self):
        for domain in ("one", "two", "other"):
            self.send(f"b@{domain}.example")
        for domain in ("one", "two"):
            name = f"{domain}.example"
            wait_for(lambda: f"(site {SITE})" in self.why("--destination", name), f"the site of {name}")
        wait_for(lambda: [p.count() for p in (self.first, self.second, self.other)] == [1, 1, 1], "the first messages")

        self.gate.clear()
        under_way = self.send("c@one.example")
        wait_for(lambda: "delivery: " in self.why(under_way), "the delivery to one.example")
        waiting = self.send("c@two.example", "X-Campaign: spring\r\n")
        binds = f"destination_concurrency_limit: {SITE}: 1 at once now"
        wait_for(lambda: binds in self.why(waiting), "the site's limit")
        self.assertIn(binds, self.why("--destination", "two.example"))
        self.assertIn("1 of 1 deliveries at once", self.why("--destination", SITE))
        shown = json.loads(self.server.cli("queue", "show", waiting))
        self.assertEqual(shown["envelope"]["campaign"], "spring")
        self.send("c@other.example")
        wait_for(lambda: self.other.count() == 2, "the message to another site")
        self.assertEqual(self.second.count(), 1)

        self.gate.set()
        wait_for(lambda: (self.first.count(), self.second.count()) == (2, 2), "the rest")

    def test_no_mail_waits_for_an_answer_that_never_comes(self):
        self.dns.silent.add("silent.example")
        self.send("b@silent.example")
        asked = ("silent.example", "MX")
        wait_for(lambda: self.dns.queries.count(asked) >= 2, "the router's question and the transport's")
        self.server.wait_event("delivery", status="deferred")
        self.send("b@one.example")
        wait_for(lambda: self.first.count() == 1, "the message to one.example")


if __name__ == "__main__":
    unittest.main()
