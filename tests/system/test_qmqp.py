"""QMQP: Postfix's qmqp-source into a listener, and what a client hears of what is not taken."""
import socket
import subprocess
import unittest

from rig import LIMIT, SLOW, TestCase, free_port, relay_config, run_program, wait_for

QMQP_SOURCE = "/usr/sbin/qmqp-source"


def net(text):
    text = text if isinstance(text, bytes) else text.encode()
    return b"%d:%s," % (len(text), text)


def request(message, *addresses):
    return net(net(message) + b"".join(net(a) for a in addresses))


def ask(port, text, source="127.0.0.1"):
    """All that the server says."""
    with socket.create_connection(("127.0.0.1", port), LIMIT, (source, 0)) as s:
        s.sendall(text)
        said = b""
        while more := s.recv(1000):
            said += more
    return said


class Qmqp(TestCase):
    def server(self, port, extra="", **kw):
        self.qmqp = free_port()
        return self.mansio(relay_config(port) + f'''
[listener.qmqp]
protocol = "qmqp"
listen = ["127.0.0.1:{self.qmqp}"]
qmqpd_authorized_clients = ["127.0.0.1"]
qmqpd_error_delay = "10ms"
{extra}''', **kw)

    def from_qmqp_source(self, single):
        peer = self.peer()
        server = self.server(peer.port, single=single)
        done = subprocess.run([QMQP_SOURCE, "-m", "100", "-s", "10", "-r", "3", "-l", "3000", "-f", "from@example.org", "-t", "to@example.net",
                               f"127.0.0.1:{self.qmqp}"], capture_output=True, text=True, timeout=60 * SLOW)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        server.wait_event("delivery", 300, status="sent")
        wait_for(lambda: server.queue() == [], "an empty queue")
        arrived = sorted(r for m in peer.messages for r in m.recipients)
        self.assertEqual(len(arrived), 300)
        self.assertEqual({m.sender for m in peer.messages}, {"from@example.org"})
        self.assertTrue(all(b" with QMQP id " in m.content for m in peer.messages))
        self.assertEqual(server.stop(), 0)

    def test_everything_from_qmqp_source_arrives(self):
        self.from_qmqp_source(single=False)

    def test_everything_from_qmqp_source_arrives_with_one_process(self):
        self.from_qmqp_source(single=True)

    def test_our_source_over_qmqp(self):
        peer = self.peer()
        server = self.server(peer.port)
        done = run_program("source", "--qmqp", f"127.0.0.1:{self.qmqp}", "-m", "20", "-r", "2", "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        server.wait_event("delivery", 40, status="sent")

    def test_a_message_that_was_answered_survives_a_kill(self):
        peer = self.peer(on=lambda command, session, argument: "450 4.3.0 not now" if command == "RCPT" and not self.open else None)
        self.open = False
        server = self.server(peer.port, "[queue]\nminimal_backoff_time = \"100ms\"\nmaximal_backoff_time = \"500ms\"\n")
        for n in range(20):
            self.assertTrue(ask(self.qmqp, request(f"Subject: {n}\n\nx\n", "a@example.org", f"u{n}@example.net")).split(b":", 1)[1].startswith(b"K"))
        server.kill()
        self.open = True
        server.start()
        wait_for(lambda: {r for m in peer.messages for r in m.recipients} == {f"u{n}@example.net" for n in range(20)}, "all 20 messages")

    def test_answers_letter_by_letter(self):
        peer = self.peer()
        server = self.server(peer.port, 'message_size_limit = 2000\n')
        self.assertIn(b":Kok".lower(), ask(self.qmqp, request(b"8-bit: \xc3\xa9\nline\n.\n", "", "c@example.net")).lower())
        self.assertIn(b"D5.3.4 ", ask(self.qmqp, b"4000:3000:"))
        self.assertIn(b"D5.5.2 ", ask(self.qmqp, b"EHLO x\r\n"))
        self.assertIn(b"D5.5.1 ", ask(self.qmqp, request("x", "a@example.org")))
        self.assertIn(b"D5.7.1 ", ask(self.qmqp, b"", source="127.0.0.2"))
        server.wait_event("delivery", 1, status="sent")
        self.assertIn(b"8-bit: \xc3\xa9\r\n", peer.messages[0].content)
        self.assertTrue(peer.messages[0].content.endswith(b"line\r\n.\r\n"), peer.messages[0].content)
        self.assertEqual(len(server.events("reject", what="QMQP")), 4)


if __name__ == "__main__":
    unittest.main()
