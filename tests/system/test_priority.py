"""MT-PRIORITY, priorities in header fields and tenants of listeners in the whole program: who may ask for what, what the queue knows of it, and what
the next hop hears."""
import json
import re
import unittest

import rig

OFFERS = ("PIPELINING", "8BITMIME", "DSN", "ENHANCEDSTATUSCODES", "MT-PRIORITY")


class Priority(rig.TestCase):
    def server(self, port):
        """Three listeners: the plain one, one for clients that may ask for any priority, one for those that may not."""
        self.inside, self.outside = rig.free_port(), rig.free_port()
        return self.mansio(rig.relay_config(port) + f'''
[listener.inside]
listen = ["127.0.0.1:{self.inside}"]
mt_priority = true
priority_header = "MT-Priority"
tenant = "acme"
[listener.outside]
listen = ["127.0.0.1:{self.outside}"]
mynetworks = []
mt_priority = true
priority_header = "X-Priority"
[queue]
notify_classes = []
''')

    def send(self, port, args, to="a@mansio.test", header=""):
        """Returns the answer to MAIL."""
        with rig.Client(port) as c:
            self.assertEqual(c.cmd("EHLO client.test")[0], 250)
            said = c.cmd(f"MAIL FROM:<me@mansio.test>{args}")
            self.assertEqual(c.cmd(f"RCPT TO:<{to}>")[0], 250)
            self.assertEqual(c.cmd("DATA")[0], 354)
            c.send(f"Subject: x\r\n{header}\r\nHello.\r\n.\r\n")
            self.assertEqual(c.reply()[0], 250)
            return said

    def priorities(self, sink, count):
        """What MAIL asked of the next hop, message by message."""
        rig.wait_for(lambda: sink.count() >= count, f"{count} messages at the sink")
        with sink.lock:
            found = [re.search("MT-PRIORITY=([-0-9]+)", m.args[0]) for m in sink.messages]
        return sorted(int(f[1]) if f else 0 for f in found)

    def test_it_is_offered_where_it_is_switched_on(self):
        server = self.server(rig.free_port())
        for port, offered in ((server.port, False), (self.inside, True), (self.outside, True)):
            with rig.Client(port) as c:
                self.assertEqual("MT-PRIORITY" in c.cmd("EHLO client.test")[1].split("\n"), offered)
                self.assertEqual(c.cmd("MAIL FROM:<a@mansio.test> MT-PRIORITY=3")[0], 250 if offered else 555)

    def test_the_next_hop_hears_what_those_asked_for_who_may(self):
        sink = self.peer(extensions=OFFERS)
        self.server(sink.port)
        for value in (9, -2, 0):
            self.assertEqual(self.send(self.inside, f" MT-PRIORITY={value}"), (250, "2.1.0 Ok"))
        self.assertEqual(self.send(self.inside, ""), (250, "2.1.0 Ok"))
        self.assertEqual(self.send(self.outside, " MT-PRIORITY=7"), (250, "2.3.6 0 is the priority of this message"))
        self.assertEqual(self.send(self.outside, " MT-PRIORITY=-7"), (250, "2.1.0 Ok"))
        self.assertEqual(self.priorities(sink, 6), [-7, -2, 0, 0, 0, 9])

    def test_the_next_hop_hears_what_a_header_field_asked_for(self):
        sink = self.peer(extensions=OFFERS)
        self.server(sink.port)
        self.send(self.inside, "", header="MT-Priority: 7\r\n")
        self.send(self.inside, " MT-PRIORITY=3", header="MT-Priority: 8\r\n")
        self.send(self.outside, "", header="X-Priority: 1 (Highest)\r\n")
        self.send(self.outside, "", header="X-Priority: 4\r\n")
        self.assertEqual(self.priorities(sink, 4), [-2, 0, 3, 7])

    def test_the_trace_says_it(self):
        sink = self.peer()
        self.server(sink.port)
        self.send(self.inside, " MT-PRIORITY=-3")
        rig.wait_for(lambda: sink.count() == 1, "the message at the sink")
        with sink.lock:
            self.assertRegex(sink.messages[0].content, rb"^Received: [^;]* PRIORITY -3;")

    def test_a_next_hop_that_does_not_offer_it_does_not_hear_of_it(self):
        sink = self.peer()
        self.server(sink.port)
        self.send(self.inside, " MT-PRIORITY=5")
        rig.wait_for(lambda: sink.count() == 1, "the message at the sink")
        with sink.lock:
            self.assertNotIn("MT-PRIORITY", sink.messages[0].args[0])

    def test_a_notification_is_as_urgent_as_its_message(self):
        def on(command, session, argument):
            return "550 5.1.1 nobody" if command == "RCPT" and "lost@" in argument else None
        sink = self.peer(on=on, extensions=OFFERS)
        self.server(sink.port)
        self.send(self.inside, " MT-PRIORITY=5", to="lost@mansio.test")
        self.assertEqual(self.priorities(sink, 1), [5])
        with sink.lock:
            self.assertEqual(sink.messages[0].sender, "")

    def test_the_queue_knows_priority_and_tenant(self):
        sink = self.peer(on=lambda command, *_: "450 4.2.0 not now" if command == "RCPT" else None)
        server = self.server(sink.port)
        self.send(self.inside, " MT-PRIORITY=-5")
        server.wait_deferred()
        (waiting,) = server.queue()
        shown = json.loads(server.cli("queue", "show", waiting["queue_id"]))
        self.assertEqual((shown["envelope"]["priority"], shown["envelope"]["tenant"]), (-5, "acme"))
        server.cli("queue", "suspend", "--tenant", "acme")
        server.cli("queue", "flush", waiting["queue_id"])
        rig.wait_for(lambda: "suspended" in server.cli("queue", "why", waiting["queue_id"]), "it to be suspended")


if __name__ == "__main__":
    unittest.main()
