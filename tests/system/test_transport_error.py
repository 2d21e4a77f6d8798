"""transport-error in the whole program: the reason that a route or the transport gives is what the sender reads, and what
is deferred stays."""
import unittest

import rig

CONFIG = '''
myhostname = "mx.mansio.test"
[smtpd]
mynetworks = ["127.0.0.0/8"]
[listener.smtp]
listen = ["127.0.0.1:{port}"]
[transport.error]
plugin = "transport-error"
text = "5.2.1 mailbox closed"
[transport.retry]
plugin = "transport-error"
action = "defer"
[transport.relay]
plugin = "transport-smtp"
[[route]]
domain = ["moved.example"]
transport = "error"
nexthop = "5.1.2 this domain has moved"
[[route]]
domain = ["closed.example"]
transport = "error"
[[route]]
domain = ["later.example"]
transport = "retry"
nexthop = "4.3.2 down for maintenance"
[[route]]
transport = "relay"
nexthop = "[127.0.0.1]:%d"
'''


class TransportError(rig.TestCase):
    def test_reasons_reach_the_sender_and_deferred_mail_stays(self):
        peer = self.peer()
        server = self.mansio(CONFIG % peer.port)
        with rig.Client(server.port) as client:
            client.cmd("EHLO test")
            for domain in ("moved", "closed", "later"):
                client.message("a@sender.example", [f"b@{domain}.example"], "Subject: x\r\n\r\nbody")
        for domain, status, dsn, text in (("moved", "bounced", "5.1.2", "this domain has moved"),
                                          ("closed", "bounced", "5.2.1", "mailbox closed"),
                                          ("later", "deferred", "4.3.2", "down for maintenance")):
            line = server.wait_event("delivery", to=f"b@{domain}.example")[0]
            self.assertEqual((line["status"], line["dsn"], line["text"]), (status, dsn, text))
        # The postmaster may hear of the maintenance, too.
        def to_sender():
            return [m for m in list(peer.messages) if m.recipients == ["a@sender.example"]]
        rig.wait_for(lambda: len(to_sender()) == 2, "two bounces")
        bounces = b"".join(m.content for m in to_sender())
        self.assertTrue(all(m.sender == "" for m in to_sender()))
        for part in (b"Status: 5.1.2", b"this domain has moved", b"Status: 5.2.1", b"mailbox closed"):
            self.assertIn(part, bounces)
        rig.wait_for(lambda: [m["sender"] for m in server.queue()] == ["a@sender.example"], "one message in the queue")

    def test_a_reason_without_text_is_refused_by_check(self):
        server = rig.Mansio(self.dir, CONFIG.replace("5.2.1 mailbox closed", "5.2.1") % rig.free_port())
        result = rig.run_program("check", "--config", server.config)
        self.assertEqual(result.returncode, 1)
        self.assertRegex(result.stderr, r'transport\.error\.text is "5\.2\.1", expected a reason')


if __name__ == "__main__":
    unittest.main()
