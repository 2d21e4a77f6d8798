"""Bytes of one message never reach the peer of another, though segments are filled anew: whoever still reads, however
its reader ended, and whatever the kernel still has to send for it."""
import collections
import glob
import os
import signal
import socket
import threading
import unittest

import rig

LINE = 64  # octets of a line; every line of a message names the message
LINES = 4000  # 250 KiB: sent by sendfile() from an ordinary segment
FILL = 12  # messages that fill more than three segments


def content(name, lines=LINES):
    return b"Subject: %s\r\n\r\n" % name + ((name * LINE)[:LINE - 2] + b"\r\n") * lines


def others(received, name):
    """What is in there, trace headers apart, that is not this message's."""
    body = received.split(b"Subject: ", 1)[-1].split(b"\r\n\r\n", 1)[-1]
    line = (name * LINE)[:LINE - 2]
    return {l for l in body.split(b"\r\n") if l != line and not line.startswith(l) and l not in (b".", b"QUIT")}


class Staller(rig.Peer):
    """Stops reading in the middle of the first content it is sent, and reads on when it is told to. `answer`: its
    reply to the dot, given before it has seen it; None: it gives one like any other peer."""

    def __init__(self, answer=None):
        self.answer = answer
        self.stalled, self.go_on, self.ended = threading.Event(), threading.Event(), threading.Event()
        self.got = b""
        super().__init__()
        # Of connections to come: little fits into the receiver's buffer, the rest stays with the sender.
        self.server.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)

    def content(self, handler, state, answer):
        with self.lock:
            first, self.first = getattr(self, "first", True), False
        if not first:
            return super().content(handler, state, answer)
        self.got = handler.rfile.read(4096)
        if self.answer:
            handler.wfile.write(self.answer)
        self.stalled.set()
        if not self.go_on.wait(rig.LIMIT):
            return
        try:
            while b"\r\n.\r\n" not in self.got[-6:]:
                data = handler.rfile.read1(65536)
                if not data:
                    break
                self.got += data
            else:
                if not self.answer:
                    handler.wfile.write(b"250 2.0.0 Ok\r\n")
        except OSError:
            pass  # reset: that is well, too
        self.ended.set()


class Base(rig.TestCase):
    def begin(self, config, **kw):
        config += '[log]\nlevel = "debug"\n[segments]\nsegment_size = "1M"\nspare_segments = 1\n'
        self.server = self.mansio(config, **kw)
        self.client = rig.Client(self.server.port)
        self.addCleanup(self.client.close)
        self.client.cmd("EHLO test")
        self.sent = 0

    def send(self, name, sender="a", to="b", lines=LINES):
        self.client.message(f"{sender}@example.com", [f"{to}@example.net"], content(name, lines))

    def grants(self, segment=None):
        return [g for g in self.server.events("segment granted") if segment in (None, g["segment"])]

    def segment_of(self, name):
        """Where the message's bytes are."""
        for path in glob.glob(os.path.join(self.server.spool, "segments", "*")):
            with open(path, "rb") as f:
                if (name * LINE)[:LINE - 2] in f.read():
                    return int(os.path.basename(path), 16)
        self.fail("the message is in no segment")

    def others_are_filled_anew(self):
        grants = collections.Counter(g["segment"] for g in self.grants())
        return max(grants.values()) > 2

    def fill(self, until, arrived):
        """New mail, each message with bytes of its own, until then."""
        while not until():
            for _ in range(FILL):
                self.send(b"new%d." % self.sent)
                self.sent += 1
            rig.wait_for(lambda: arrived() >= self.sent, "the new mail")
            self.assertLess(self.sent, 50 * FILL, "nothing is filled anew")


class Stalled(Base):
    def start(self, peer, extra="", backoff="1s"):
        config = rig.relay_config(peer.port, extra="ingress_processes = 1").replace(
            'plugin = "transport-smtp"', 'plugin = "transport-smtp"\ndestination_concurrency_failed_cohort_limit = 0\n'
            + extra)
        self.begin(config + f'[queue]\nminimal_backoff_time = "{backoff}"\nmaximal_backoff_time = "{backoff}"\n')

    def peer_of(self, answer):
        peer = Staller(answer)
        self.addCleanup(peer.close)
        self.addCleanup(peer.go_on.set)
        return peer

    def stalled_one(self, peer):
        """The segment of a message that the peer has read a part of."""
        self.send(b"old.")
        self.assertTrue(peer.stalled.wait(rig.LIMIT))
        return self.segment_of(b"old.")

    def fill_past(self, peer, until):
        self.fill(until, lambda: sum(b"Subject: new" in m.content for m in list(peer.messages)))
        for m in peer.messages:
            name = m.content.split(b"Subject: ", 1)[1].split(b"\r\n", 1)[0]
            self.assertEqual(others(m.content, name), set())

    def given_up(self, segment):
        """New mail was written there, or its file was removed and another is in its place."""
        name = os.path.join(self.server.spool, "segments", f"{segment:08x}")
        return lambda: len(self.grants(segment)) > 1 or not os.path.exists(name)

    def let_it_read(self, peer):
        peer.go_on.set()
        self.assertTrue(peer.ended.wait(rig.LIMIT))
        self.assertEqual(others(peer.got, b"old."), set())

    def test_a_peer_that_stops_reading_keeps_the_segment_from_being_filled_anew(self):
        peer = self.peer_of(None)
        self.start(peer)
        segment = self.stalled_one(peer)
        # Others are filled, emptied and filled again meanwhile; this one is not.
        self.fill_past(peer, self.others_are_filled_anew)
        self.assertEqual(len(self.grants(segment)), 1)
        self.assertEqual(self.segment_of(b"old."), segment)
        self.let_it_read(peer)
        self.assertEqual(peer.got.count(b"old." * 15), LINES)
        rig.wait_for(lambda: self.server.queue() == [], "an empty queue")

    def test_what_the_kernel_still_sends_for_a_killed_reader_is_not_filled_anew(self):
        peer = self.peer_of(None)
        self.start(peer)
        segment = self.stalled_one(peer)
        egress = self.server.pids("egress.relay")[0]
        os.kill(egress, signal.SIGKILL)
        self.fill_past(peer, self.given_up(segment))
        self.let_it_read(peer)

    def test_what_the_kernel_still_sends_of_a_message_that_was_compacted_is_not_filled_anew(self):
        peer = self.peer_of(None)
        peer.on = lambda command, session, argument: (
            "450 4.2.0 later" if command == "RCPT" and "later@" in argument and peer.stalled.is_set() else None)
        self.start(peer, backoff="1h")
        fits = LINES * 3 // 4  # less than a quarter of a segment
        self.send(b"old.", to="later", lines=fits)
        self.assertTrue(peer.stalled.wait(rig.LIMIT))
        segment = self.segment_of(b"old.")
        egress = self.server.pids("egress.relay")[0]
        os.kill(egress, signal.SIGKILL)
        self.server.wait_event("delivery", status="deferred")
        self.fill_past(peer, lambda: self.sent >= FILL)
        self.send(b"two.", to="later", lines=fits)  # one sparse segment alone is not emptied
        self.fill_past(peer, lambda: self.sent >= 2 * FILL)
        rig.wait_for(lambda: segment in {e["segment"] for e in self.server.events("segment compacted")}, "it to be emptied")
        self.fill_past(peer, self.given_up(segment))
        self.let_it_read(peer)

    def test_what_the_kernel_still_sends_for_a_delivery_that_timed_out_is_not_filled_anew(self):
        peer = self.peer_of(None)
        self.start(peer, 'smtp_data_done_timeout = "1s"\nsmtp_data_xfer_timeout = "1s"\n')
        segment = self.stalled_one(peer)
        self.server.wait_event("delivery", status="deferred")
        self.fill_past(peer, self.given_up(segment))
        self.let_it_read(peer)

    def test_a_peer_that_answers_before_it_reads_is_sent_no_other_mail(self):
        peer = self.peer_of(b"250 2.0.0 Ok\r\n")
        self.start(peer, "smtp_connection_reuse_count_limit = 1\n")
        segment = self.stalled_one(peer)
        self.server.wait_event("delivery", status="sent")
        self.fill_past(peer, self.given_up(segment))
        self.let_it_read(peer)
        self.assertEqual(peer.got.count(b"old." * 15), LINES)


class Leaked(Base):
    def test_what_a_plugin_leaks_shows_no_other_mail_and_its_end_gives_the_segment_back(self):
        self.begin("""
myhostname = "mx.mansio.test"
mydestination = ["mansio.test"]
ingress_processes = 1
[smtpd]
mynetworks = ["127.0.0.0/8"]
[listener.smtp]
listen = ["127.0.0.1:{port}"]
[transport.leaky]
plugin = "transport-leaky"
[[route]]
transport = "leaky"
nexthop = "nowhere"
""", plugins=rig.FIXTURES)
        self.send(b"old.", "keep")
        self.server.wait_event("delivery", text="kept")
        first, grants = self.segment_of(b"old."), len(self.grants())
        # A writer asks for its next segment before its first is full: one more grant says only that it has that.
        self.fill(lambda: len(self.grants()) > grants + 1, self.taken)
        self.send(b"map.", "map")
        self.server.wait_event("delivery", text="mapped")
        second = self.segment_of(b"map.")
        self.assertNotEqual(first, second)  # so that each alone keeps one
        self.fill(self.others_are_filled_anew, self.taken)
        self.send(b"x", "show")
        self.server.wait_event("delivery", text="both show the same bytes")
        self.assertEqual((len(self.grants(first)), len(self.grants(second))), (1, 1))
        recycled = {e["segment"] for e in self.server.events("segment recycled")}
        self.assertFalse(recycled & {first, second})
        (egress,) = self.server.pids("egress")
        os.kill(egress, signal.SIGKILL)
        for number in (first, second):
            self.server.wait_event("segment recycled", segment=number)

    def taken(self):
        return len(self.server.events("delivery", text="taken"))


if __name__ == "__main__":
    unittest.main()
