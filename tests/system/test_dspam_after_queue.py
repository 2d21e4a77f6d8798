"""A real daemon of DSPAM as a content filter after the queue, set up as the README of filter-dspam has it: innocent mail comes
back through a second listener, spam stays with DSPAM, a second listener that is down makes mail wait, and DSPAM's client takes
corrections through the queue. Registered with test_filter_dspam_daemon.py."""
import unittest

import rig
import test_filter_dspam as scripted
from dspam_daemon import DspamDaemon
from test_filter_dspam_daemon import INNOCENT, SPAM, stuffed

CONFIG = '''
myhostname = "mx.mansio.test"
[smtpd]
mynetworks = ["127.0.0.0/8"]
[listener.smtp]
listen = ["127.0.0.1:{port}"]
content_filter = "dspam:[127.0.0.1]:%(dspam)d"
[listener.corrections]
listen = ["127.0.0.1:%(corrections)d"]
[listener.from-dspam]
listen = ["127.0.0.1:%(second)d"]
content_filter = ""
receive_override_options = ["no_unknown_recipient_checks", "no_address_mappings", "no_header_body_checks"]
filters = []
policies = []
[transport.dspam]
plugin = "transport-lmtp"
[transport.dspam-spam]
plugin = "transport-pipe"
argv = "%(client)s --user ${sender} --class=spam --source=error"
environment = ["DSPAM_CONF=%(conf)s"]
destination_recipient_limit = 1
[transport.relay]
plugin = "transport-smtp"
[[route]]
recipient = ["spam@two.example"]
transport = "dspam-spam"
[[route]]
transport = "relay"
nexthop = "[127.0.0.1]:%(sink)d"
[queue]
minimal_backoff_time = 1
maximal_backoff_time = 1
'''


class DspamAfterQueue(rig.TestCase):
    def setUp(self):
        super().setUp()
        self.sink = self.peer()

    def start(self, back=None):
        """DSPAM and Mansio; what DSPAM lets pass goes to `back`, or to the second listener."""
        second = rig.free_port()
        self.dspam = DspamDaemon(self.dir, parameters="--deliver=innocent", deliver_to=back or second)
        self.addCleanup(self.dspam.stop)
        self.dspam.start()
        self.corrections = rig.free_port()
        self.server = self.mansio(CONFIG % {"dspam": self.dspam.port, "second": second, "sink": self.sink.port,
                                            "corrections": self.corrections, "client": self.dspam.client,
                                            "conf": self.dspam.conf})

    def send(self, sender, recipients, content, port=None):
        with rig.Client(port or self.server.port) as client:
            client.cmd("EHLO client.test")
            client.message(sender, recipients, stuffed(content))

    def delivered(self, n):
        rig.wait_for(lambda: self.sink.count() >= n, f"{n} messages at the sink")
        with self.sink.lock:
            return list(self.sink.messages)

    def test_innocent_mail_comes_back_and_spam_stays(self):
        self.start()
        for user in ("bob@two.example", "eve@two.example"):
            self.dspam.train(user, SPAM, INNOCENT)
        self.send("a@example.com", ["bob@two.example", "eve@two.example"], INNOCENT)
        self.send("", ["bob@two.example"], INNOCENT)
        messages = self.delivered(3)
        self.assertEqual(sorted((m.sender, *m.recipients) for m in messages), [
            ("", "bob@two.example"), ("a@example.com", "bob@two.example"), ("a@example.com", "eve@two.example")])
        for message in messages:
            fields = scripted.FilterDspam.fields(message)
            self.assertEqual((fields["X-DSPAM-Result"], fields["Subject"]), (["Innocent"], ["Minutes of the meeting"]))
            self.assertIn("X-DSPAM-Signature", fields)
            self.assertEqual(message.content.partition(b"\r\n\r\n")[2].rstrip(),
                             INNOCENT.partition("\r\n\r\n")[2].rstrip().encode())
        self.send("a@example.com", ["bob@two.example", "joe@two.example"], SPAM)  # joe's has learnt nothing
        self.assertEqual(self.delivered(4)[3].recipients, ["joe@two.example"])
        rig.wait_for(lambda: "Click here to unsubscribe" in self.dspam.quarantine("bob@two.example"), "DSPAM's quarantine")
        rig.wait_for(lambda: self.server.queue() == [], "the queue to be empty")

    def test_a_next_listener_that_is_down_makes_mail_wait(self):
        down = ["451 4.3.0 not now"] * 2
        back = self.peer(on=lambda command, session, argument: down.pop() if command == "RCPT" and down else None)
        self.start(back.port)
        self.send("a@example.com", ["bob@two.example"], INNOCENT)
        self.server.wait_event("delivery", 2, status="deferred")
        rig.wait_for(lambda: back.count() == 1, "the message to come back")
        rig.wait_for(lambda: self.server.queue() == [], "the queue to be empty")
        self.assertEqual(back.messages[0].recipients, ["bob@two.example"])

    def test_a_daemon_that_is_down_makes_mail_wait(self):
        self.start()
        self.dspam.stop()
        self.send("a@example.com", ["bob@two.example"], INNOCENT)
        self.server.wait_event("delivery", status="deferred")
        self.assertEqual(self.sink.count(), 0)
        self.dspam.start()
        self.assertEqual(self.delivered(1)[0].recipients, ["bob@two.example"])

    def test_its_client_takes_corrections_through_the_queue(self):
        self.start()
        for n in range(1, 20):
            self.send("a@example.com", ["bob@two.example"], SPAM)
            rig.wait_for(lambda: self.sink.count() == n or self.dspam.quarantine("bob@two.example"), "DSPAM to judge")
            if self.dspam.quarantine("bob@two.example"):
                break
            # As it came, by a user's mail program: DSPAM looks for the signature in its header.
            self.send("bob@two.example", ["spam@two.example"], self.delivered(n)[n - 1].content.decode(), self.corrections)
            self.server.wait_event("delivery", n, status="sent", to="spam@two.example")
        self.assertIn("Click here to unsubscribe", self.dspam.quarantine("bob@two.example"))


if __name__ == "__main__":
    unittest.main()
