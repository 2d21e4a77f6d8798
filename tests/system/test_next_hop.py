"""Next hops that misbehave: what is delivered, deferred, bounced and never lost."""
import unittest

from rig import Client, Peer, TestCase, free_port, relay_config, wait_for

QUICK = """
[queue]
minimal_backoff_time = 1
maximal_backoff_time = 1
"""


class NextHop(TestCase):
    def start(self, on, options="", extra=QUICK, **kw):
        peer = self.peer(on=on, **kw)
        config = relay_config(peer.port).replace('plugin = "transport-smtp"', 'plugin = "transport-smtp"\n' + options) + extra
        return peer, self.mansio(config)

    def send(self, server, recipients=("b@example.net",), sender="a@example.org", args="", content="Subject: x\r\n\r\nbody\r\n"):
        with Client(server.port) as client:
            client.cmd("EHLO test")
            return client.message(sender, recipients, content, args)

    @staticmethod
    def refuse_both(command, session, argument):
        """The recipient and the sender of what `send` sends, and nobody else."""
        if command == "RCPT" and ("<b@example.net>" in argument or "<a@example.org>" in argument):
            return "550 5.1.1 no such user"

    def test_refused_recipients_bounce_and_the_others_arrive(self):
        def on(command, session, argument):
            if command == "RCPT" and "bad" in argument:
                return "550 5.1.1 no such user"
        peer, server = self.start(on)
        self.send(server, ["good@example.net", "bad@example.net"])
        wait_for(lambda: peer.count() == 2, "message and bounce")
        message = next(m for m in peer.messages if m.sender)
        bounce = next(m for m in peer.messages if not m.sender)
        self.assertEqual(message.recipients, ["good@example.net"])
        self.assertEqual(bounce.recipients, ["a@example.org"])
        text = bounce.content.decode()
        self.assertIn("multipart/report", text)
        self.assertIn("Action: failed", text)
        self.assertIn("Status: 5.1.1", text)
        self.assertRegex(text, "Final-Recipient: rfc822; ?bad@example.net")
        self.assertIn("no such user", text)
        wait_for(lambda: server.queue() == [], "an empty queue")

    def test_a_recipient_answered_4xx_is_tried_again_alone(self):
        seen = []

        def on(command, session, argument):
            if command == "RCPT" and "later" in argument and not seen:
                seen.append(1)
                return "450 4.2.1 busy mailbox"
        peer, server = self.start(on)
        self.send(server, ["now@example.net", "later@example.net"])
        wait_for(lambda: sum(len(m.recipients) for m in peer.messages) == 2, "both recipients")
        self.assertEqual(sorted(m.recipients for m in peer.messages), [["later@example.net"], ["now@example.net"]])
        self.assertTrue(server.deliveries(status="deferred", to="later@example.net"))

    def test_452_on_rcpt_sends_the_rest_in_the_next_transaction(self):
        def on(command, session, argument):
            if command == "RCPT" and len(session["recipients"]) >= 3:
                return "452 4.5.3 too many recipients"
        peer, server = self.start(on, extra="")
        self.send(server, [f"r{i}@example.net" for i in range(8)])
        wait_for(lambda: sum(len(m.recipients) for m in peer.messages) == 8, "eight recipients")
        self.assertTrue(all(len(m.recipients) <= 3 for m in peer.messages))
        self.assertFalse(server.deliveries(status="deferred"))

    def test_a_connection_lost_after_the_dot_means_another_try_not_a_loss(self):
        seen = []

        def on(command, session, argument):
            if command == "DOT" and not seen:
                seen.append(1)
                return Peer.DROP
        peer, server = self.start(on)
        self.send(server)
        wait_for(lambda: peer.count() == 1, "the second try")
        wait_for(lambda: server.queue() == [], "an empty queue")

    def test_a_peer_that_stalls_is_given_up_and_tried_again(self):
        stalled = []

        def on(command, session, argument):
            if command == "MAIL" and not stalled:
                stalled.append(1)
                return Peer.STALL
        peer, server = self.start(on, options="smtp_mail_timeout = 1")
        self.send(server)
        wait_for(lambda: peer.count() == 1, "the second try")

    def test_5xx_at_the_end_of_the_content_bounces(self):
        def on(command, session, argument):
            if command == "DOT" and session["sender"]:
                return "554 5.7.1 content refused"
        peer, server = self.start(on)
        self.send(server)
        wait_for(lambda: peer.count() == 1, "the bounce")
        self.assertEqual(peer.messages[0].sender, "")
        self.assertIn(b"5.7.1", peer.messages[0].content)

    def test_a_bounce_that_bounces_is_not_bounced(self):
        peer, server = self.start(self.refuse_both)
        self.send(server)
        server.wait_event("delivery", 2, status="bounced")
        wait_for(lambda: server.queue() == [], "an empty queue")
        self.assertEqual(peer.count(), 0)
        self.assertEqual([d["to"] for d in server.deliveries()], ["b@example.net", "a@example.org"])
        self.assertEqual(len(server.events("undeliverable bounce dropped")), 1)

    def test_a_bounce_that_bounces_reaches_a_postmaster_who_wants_it(self):
        peer, server = self.start(self.refuse_both, extra=QUICK + 'notify_classes = ["2bounce"]\n')
        self.send(server)
        wait_for(lambda: peer.count() == 1, "the double bounce")
        wait_for(lambda: server.queue() == [], "an empty queue")
        (notice,) = peer.messages
        self.assertEqual(notice.sender, "double-bounce@mx.mansio.test")
        self.assertEqual(notice.recipients, ["postmaster@mx.mansio.test"])
        self.assertRegex(notice.content, rb"Final-Recipient: rfc822; ?a@example\.org")
        self.assertIn(b"no such user", notice.content)
        self.assertEqual([d["to"] for d in server.deliveries()], ["b@example.net", "a@example.org", "postmaster@mx.mansio.test"])

    def test_expiry_is_one_try_when_the_lifetime_is_zero(self):
        def on(command, session, argument):
            if command == "RCPT" and session["sender"]:
                return "450 4.2.0 not now"
        peer, server = self.start(on, extra="[queue]\nmaximal_queue_lifetime = 0\n")
        self.send(server)
        wait_for(lambda: peer.count() == 1, "the bounce")
        self.assertEqual(peer.messages[0].sender, "")

    def test_dsn_parameters_reach_a_peer_that_offers_dsn(self):
        peer, server = self.start(None)
        with Client(server.port) as client:
            client.cmd("EHLO test")
            self.assertEqual(client.cmd("MAIL FROM:<a@example.org> RET=HDRS ENVID=id+2B1")[0], 250)
            self.assertEqual(client.cmd("RCPT TO:<b@example.net> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;orig@example.net")[0], 250)
            client.cmd("DATA")
            client.send("Subject: x\r\n\r\nx\r\n.\r\n")
            self.assertEqual(client.reply()[0], 250)
        wait_for(lambda: peer.count() == 1, "the message")
        mail, rcpt = peer.messages[0].args
        self.assertIn("RET=HDRS", mail)
        self.assertIn("ENVID=id+2B1", mail)
        self.assertIn("ORCPT=rfc822;orig@example.net", rcpt)
        self.assertIn("NOTIFY=", rcpt)

    def test_success_is_notified_when_the_next_hop_cannot(self):
        peer, server = self.start(None, extensions=("PIPELINING",))
        with Client(server.port) as client:
            client.cmd("EHLO test")
            client.cmd("MAIL FROM:<a@example.org>")
            self.assertEqual(client.cmd("RCPT TO:<b@example.net> NOTIFY=SUCCESS")[0], 250)
            client.cmd("DATA")
            client.send("Subject: x\r\n\r\nx\r\n.\r\n")
            client.reply()
        wait_for(lambda: peer.count() == 2, "message and notification")
        report = next(m for m in peer.messages if not m.sender).content.decode()
        self.assertIn("Action: relayed", report)

    def test_never_means_no_bounce(self):
        def on(command, session, argument):
            if command == "RCPT":
                return "550 5.1.1 no"
        peer, server = self.start(on)
        with Client(server.port) as client:
            client.cmd("EHLO test")
            client.cmd("MAIL FROM:<a@example.org>")
            client.cmd("RCPT TO:<b@example.net> NOTIFY=NEVER")
            client.cmd("DATA")
            client.send("Subject: x\r\n\r\nx\r\n.\r\n")
            client.reply()
        server.wait_event("delivery", 1, status="bounced")
        wait_for(lambda: server.queue() == [], "an empty queue")
        self.assertEqual(len(server.deliveries()), 1)

    def test_eight_bit_content_is_converted_for_a_peer_without_8bitmime(self):
        peer, server = self.start(None, extensions=("PIPELINING",))
        self.send(server, args=" BODY=8BITMIME", content="MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
                  "Content-Transfer-Encoding: 8bit\r\nSubject: x\r\n\r\ngr\u00fc\u00dfe\r\n".encode())
        wait_for(lambda: peer.count() == 1, "the message")
        content = peer.messages[0].content
        self.assertTrue(all(b < 128 for b in content))
        self.assertIn(b"gr=C3=BC=C3=9Fe", content)

    def test_a_message_that_needs_smtputf8_bounces_where_the_peer_lacks_it(self):
        peer, server = self.start(None, extensions=("PIPELINING", "8BITMIME"))
        self.send(server, ["gr\u00fc\u00dfe@example.net"], args=" SMTPUTF8")
        wait_for(lambda: peer.count() == 1, "the bounce")
        self.assertIn(b"5.6.7", peer.messages[0].content)

    def test_dots_arrive_as_they_were_sent(self):
        peer, server = self.start(None)
        self.send(server, content="Subject: dots\r\n\r\n..one\r\n...two\r\nthree")
        wait_for(lambda: peer.count() == 1, "the message")
        self.assertTrue(peer.messages[0].content.endswith(b"\r\n\r\n.one\r\n..two\r\nthree\r\n"), peer.messages[0].content[-60:])

    def test_large_messages_arrive_whole(self):
        peer, server = self.start(None)
        line = b"0123456789abcdef" * 4 + b"\r\n"
        body = b"Subject: large\r\n\r\n" + line * 60000
        self.send(server, content=body[:-2])
        wait_for(lambda: peer.count() == 1, "the message")
        self.assertTrue(peer.messages[0].content.endswith(body))


if __name__ == "__main__":
    unittest.main()
