"""What senders are told: the delay warning, reports about internationalised mail, and texts of the operator's own."""
import email
import email.policy
import threading
import unittest

from rig import Client, TestCase, relay_config, wait_for

QUEUE = """
[queue]
minimal_backoff_time = 1
maximal_backoff_time = 1
"""


class Notifications(TestCase):
    def start(self, on, queue=""):
        peer = self.peer(on=on)
        return peer, self.mansio(relay_config(peer.port) + QUEUE + queue)

    def send(self, server, recipient, sender="a@example.org", args="", content="Subject: x\r\n\r\nbody\r\n"):
        with Client(server.port) as client:
            client.cmd("EHLO test")
            client.message(sender, [recipient], content, args)

    def notice(self, peer, count=1):
        """The `count`th message of the null sender, parsed."""
        notices = wait_for(lambda: (lambda n: n if len(n) >= count else None)([m for m in peer.messages if not m.sender]),
                           f"{count} notifications")
        return notices[count - 1], email.message_from_bytes(notices[count - 1].content, policy=email.policy.SMTPUTF8)

    def test_the_sender_is_warned_once_of_mail_that_is_delayed(self):
        open_for_all = threading.Event()
        tries = []

        def on(command, session, argument):
            if command == "RCPT" and "b@example.net" in argument and not open_for_all.is_set():
                tries.append(argument)
                return "451 4.2.1 mailbox busy"
        peer, server = self.start(on, 'delay_warning_time = "1s"\n')
        self.send(server, "b@example.net")
        received, notice = self.notice(peer)
        self.assertEqual(received.recipients, ["a@example.org"])
        self.assertEqual(notice["Subject"], "Your message is delayed")
        text, status, _ = notice.get_payload()
        self.assertIn("THERE IS NO NEED TO SEND YOUR MESSAGE AGAIN", text.get_content())
        for line in text.get_content().splitlines():
            self.assertLessEqual(len(line), 78, line)
        report = status.as_string()
        for field in ("Action: delayed", "Status: 4.2.1", "Final-Recipient: rfc822; b@example.net", "Will-Retry-Until: "):
            self.assertIn(field, report)
        # More attempts fail after the warning, and nobody is warned again.
        failed = len(tries)
        wait_for(lambda: len(tries) >= failed + 2, "two more attempts")
        open_for_all.set()
        wait_for(lambda: [m for m in peer.messages if m.sender], "the message")
        wait_for(lambda: server.queue() == [], "an empty queue")
        self.assertEqual(len([m for m in peer.messages if not m.sender]), 1)

    def test_a_report_about_an_internationalised_message_is_internationalised(self):
        def on(command, session, argument):
            if command == "RCPT" and "用户@" in argument:
                return "550 5.1.1 そのような利用者はいません"
        peer, server = self.start(on)
        self.send(server, "用户@example.net", sender="jürgen@example.org", args=" SMTPUTF8 BODY=8BITMIME",
                  content="Subject: Grüße\r\n\r\nHallo\r\n")
        received, notice = self.notice(peer)
        self.assertEqual(received.recipients, ["jürgen@example.org"])
        self.assertIn(" SMTPUTF8", received.args[0])
        self.assertEqual(notice.get_content_type(), "multipart/report")
        self.assertEqual(notice.get_param("report-type"), "global-delivery-status")
        self.assertEqual([part.get_content_type() for part in notice.get_payload()],
                         ["text/plain", "message/global-delivery-status", "message/global"])
        whole = received.content.decode()
        self.assertIn("Final-Recipient: utf-8; 用户@example.net\r\n", whole)
        self.assertIn("そのような利用者はいません", whole)
        self.assertIn("Subject: Grüße\r\n", whole)

    def test_the_texts_of_a_template_file_are_used(self):
        with open(self.path("bounce.cf"), "w") as f:
            f.write("failure_template = <<EOF\nCharset: utf-8\nFrom: Postamt <post@$mydomain>\n"
                    "Subject: Unzustellbar: $queue_id\n\nIhre Nachricht über ${myhostname} kam nicht an, das kostet 0 $$.\n\n"
                    "$reasons\nMit freundlichen Grüßen\nEOF\n")

        def on(command, session, argument):
            if command == "RCPT" and "b@example.net" in argument:
                return "550 5.1.1 no such user"
        peer, server = self.start(on, f'bounce_template_file = "{self.path("bounce.cf")}"\n')
        self.send(server, "b@example.net")
        _, notice = self.notice(peer)
        self.assertEqual(notice["From"], "Postamt <post@mansio.test>")
        self.assertEqual(notice["Subject"], "Unzustellbar: " + server.deliveries(status="bounced")[0]["qid"])
        text = notice.get_payload()[0].get_content().replace("\r\n", "\n")
        self.assertIn("Ihre Nachricht über mx.mansio.test kam nicht an, das kostet 0 $.\n", text)
        self.assertRegex(text, r"<b@example\.net>:.*550 5\.1\.1 no such user \(in reply to\s+RCPT TO\)\n\nMit freundlichen Grüßen\n")


if __name__ == "__main__":
    unittest.main()
