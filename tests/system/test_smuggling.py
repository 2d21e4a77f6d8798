"""Only CRLF.CRLF ends a message: no combination of bare CR and LF round a dot makes two messages of one."""
import itertools
import unittest

from rig import Client, TestCase, relay_config, wait_for

ENDS = [b"\r\n", b"\n", b"\r", b"\r\r\n", b"\n\r", b"\n\n", b"\r\r", b"\0\r\n"]
INNER = b"MAIL FROM:<evil@example.org>\r\nRCPT TO:<victim@example.net>\r\nDATA\r\nSubject: smuggled\r\n\r\nsmuggled\r\n"


class Smuggling(TestCase):
    def config(self, mode):
        """Of a server that would run what is smuggled, though it comes in one piece with the rest."""
        peer = self.peer()
        options = f'forbid_bare_newline = "{mode}"\nforbid_unauth_pipelining = false\n'
        return peer, relay_config(peer.port).replace("[listener.smtp]", options + "[listener.smtp]")

    def attempts(self):
        for before, after in itertools.product(ENDS, ENDS):
            if b"\r\n.\r\n" not in before + b"." + after:  # which does end a message
                yield before + b"." + after

    def run_data(self, server, dot):
        with Client(server.port) as client:
            client.cmd("EHLO test")
            client.cmd("MAIL FROM:<a@example.org>")
            client.cmd("RCPT TO:<b@example.net>")
            self.assertEqual(client.cmd("DATA")[0], 354)
            client.send(b"Subject: outer\r\n\r\nbefore" + dot + INNER + b"\r\n.\r\n")
            code = client.reply()[0]
            # No command of what is smuggled is answered so.
            self.assertEqual(client.cmd("VRFY x")[0], 252, "the dialogue is out of step after %r" % dot)
            return code

    def run_bdat(self, server, dot):
        body = b"Subject: outer\r\n\r\nbefore" + dot + INNER
        with Client(server.port) as client:
            client.cmd("EHLO test")
            client.cmd("MAIL FROM:<a@example.org>")
            client.cmd("RCPT TO:<b@example.net>")
            half = len(b"Subject: outer\r\n\r\nbefore" + dot[:1])
            client.send(b"BDAT %d\r\n" % half + body[:half])
            first = client.reply()[0]
            client.send(b"BDAT %d LAST\r\n" % (len(body) - half) + body[half:])
            code = client.reply()[0]
            self.assertEqual(client.cmd("VRFY x")[0], 252)
            return code if first == 250 else first

    def check(self, run, mode):
        peer, config = self.config(mode)
        server = self.mansio(config)
        accepted = 0
        for dot in self.attempts():
            code = run(server, dot)
            self.assertIn(code, (250, 550, 521, 554, 500, 501), "after %r" % dot)
            accepted += code == 250
        if mode == "normalize":
            self.assertGreater(accepted, 0)
        wait_for(lambda: peer.count() >= accepted and server.queue() == [], "all accepted messages")
        self.assertEqual(peer.count(), accepted)
        for message in peer.messages:
            self.assertEqual(message.sender, "a@example.org")
            self.assertEqual(message.recipients, ["b@example.net"])
            stripped = message.content.replace(b"\r\n", b"")
            self.assertNotIn(b"\n", stripped)
            self.assertNotIn(b"\r", stripped)

    def test_data_normalize(self):
        self.check(self.run_data, "normalize")

    def test_data_reject(self):
        self.check(self.run_data, "reject")

    def test_bdat_normalize(self):
        self.check(self.run_bdat, "normalize")

    def test_bdat_reject(self):
        self.check(self.run_bdat, "reject")


if __name__ == "__main__":
    unittest.main()
