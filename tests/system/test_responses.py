"""What next hops' replies make the whole program do: a destination that asks for less is suspended, or slowed down until an
operator ends that."""
import json
import unittest

import rig

CONFIG = '''
myhostname = "mx.mansio.test"
mydestination = []
[smtpd]
mynetworks = ["127.0.0.0/8"]
client_name_lookup = false
[listener.smtp]
listen = ["127.0.0.1:{port}"]
[transport.relay]
plugin = "transport-smtp"
[[route]]
transport = "relay"
nexthop = "[127.0.0.1]:%d"
[queue]
minimal_backoff_time = "1s"
maximal_backoff_time = "1s"
notify_classes = []
[[response]]
code = ["421"]
pattern = "(?i)too many connections"
action = "suspend"
time = "4s"
[[response]]
code = ["4.7.1"]
action = "slow"
'''


class Responses(rig.TestCase):
    def start(self, reply):
        self.reply = reply
        self.next_hop = self.peer(on=lambda command, *_: self.reply if command == "RCPT" else None)
        self.name = f"[127.0.0.1]:{self.next_hop.port}"
        self.server = self.mansio(CONFIG % self.next_hop.port)

    def send(self):
        with rig.Client(self.server.port) as client:
            client.cmd("EHLO client.test")
            client.message("a@example.org", ["b@example.com"], "Subject: x\r\n\r\nHello.\r\n")

    def why(self):
        return [json.loads(line) for line in
                self.server.cli("queue", "why", "--json", "--destination", self.name, check=False).splitlines()]

    def test_a_destination_that_asks_for_it_is_suspended_for_a_while(self):
        self.start("421 4.7.0 Too many connections, try later")
        self.send()
        self.server.wait_event("delivery", status="deferred")
        (line,) = rig.wait_for(lambda: [w for w in self.why() if w["why"] == "suspended"], "the suspension")
        self.assertIn("for its reply: ", line["detail"])
        self.assertIn("Too many connections", line["detail"])
        self.assertIn("eligible", line)
        self.assertIn(f"destination {self.name}: since", self.server.cli("queue", "suspensions"))
        self.reply = None
        self.send()  # waits for the end of it as well
        rig.wait_for(lambda: self.next_hop.count() == 2, "both messages")
        with self.next_hop.lock:
            tried = sum(1 for command, _ in self.next_hop.commands if command == "RCPT")
        self.assertEqual(tried, 3)  # nothing in between
        self.assertEqual(self.server.cli("queue", "suspensions"), "")

    def test_one_that_is_slowed_down_is_shown_and_let_go(self):
        self.start("450 4.7.1 You send too much")
        self.send()
        self.server.wait_event("delivery", status="deferred")
        shown = rig.wait_for(lambda: self.server.cli("queue", "responses"), "the pace that was found")
        self.assertIn(f"relay {self.name}: slowed down to ", shown)
        self.reply = None
        self.assertEqual(rig.run_program("queue", "unthrottle", "--destination", self.name, "--config",
                                         self.server.config).returncode, 0)
        rig.wait_for(lambda: self.next_hop.count() == 1, "the message")
        self.assertEqual(self.server.cli("queue", "responses"), "")
        again = rig.run_program("queue", "unthrottle", "--destination", self.name, "--config", self.server.config)
        self.assertNotEqual(again.returncode, 0)
        self.assertIn("nothing that is in force", again.stderr)


if __name__ == "__main__":
    unittest.main()
