"""A few deferred messages do not keep their segments: they are copied into another, the segments are used again, and
after a kill -9 of everything each message arrives once, byte for byte."""
import contextlib
import os
import signal
import unittest

import rig

LINE = b"0123456789abcdef0123456789abcdef0123456789abcdef0123456789ab\r\n"
WAITING = 20  # of so many messages one is deferred


def content(number):
    return b"Subject: %d\r\n\r\n" % number + (b"%06d" % number + LINE) * 300  # 20 KiB


class Compaction(rig.TestCase):
    def start(self):
        self.up = False
        self.peer = super().peer(on=lambda command, session, argument: "450 4.2.0 later" if command == "RCPT" and
                                 "later@" in argument and not self.up else None)
        self.server = self.mansio(rig.relay_config(self.peer.port, extra="ingress_processes = 1") + """
[log]
level = "debug"
[queue]
minimal_backoff_time = "1h"
maximal_backoff_time = "1h"
[segments]
segment_size = "1M"
spare_segments = 1
""")

    def kill_everything(self):
        everybody = [self.server.process.pid, *self.server.children()]
        for pid in everybody:
            with contextlib.suppress(ProcessLookupError):  # the others end with their supervisor
                os.kill(pid, signal.SIGKILL)
        self.server.process.wait()
        rig.wait_for(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in everybody), "the end of all processes")

    def arrived(self):
        """Number of times each message has arrived; all of them whole."""
        with self.peer.lock:
            messages = list(self.peer.messages)
        times = {}
        for m in messages:
            number = int(m.content.split(b"Subject: ", 1)[1].split(b"\r\n", 1)[0])
            self.assertTrue(m.content.endswith(content(number)), f"message {number} is not whole")
            times[number] = times.get(number, 0) + 1
        return times

    def test_deferred_mail_leaves_its_segments_and_arrives_once_after_a_kill(self):
        self.start()
        deferred = set(range(0, 240, WAITING))
        with rig.Client(self.server.port) as client:
            client.cmd("EHLO test")
            for number in range(240):
                client.message("a@example.com", ["later@example.net" if number in deferred else "b@example.net"],
                               content(number).removesuffix(b"\r\n"))
        rig.wait_for(lambda: len(self.arrived()) == 240 - len(deferred), "what is not deferred")
        self.server.wait_event("delivery", count=len(deferred), status="deferred")
        moved = self.server.wait_event("segment compacted", count=2)
        for segment in moved[:2]:
            self.assertGreater(segment["messages"], 0)
            self.server.wait_event("segment recycled", segment=segment["segment"], epoch=segment["epoch"])
        rig.wait_for(lambda: len(self.server.queue()) == len(deferred), "the deferred messages alone in the queue")
        # An attempt that is brought forward begins once the journal is on the disk, and with it what was delivered before.
        self.server.cli("queue", "flush", self.server.queue()[0]["queue_id"])
        self.server.wait_deferred(len(deferred) + 1)
        self.kill_everything()
        self.assertIn("; 0 problems", self.server.cli("spool", "check"))
        self.server.start()
        rig.wait_for(lambda: len(self.server.queue()) == len(deferred), "the deferred messages to be found")
        self.up = True
        # Again and again: the one whose attempt was not written down has another one at once, which a flush leaves alone.
        rig.wait_for(lambda: self.server.cli("queue", "flush", "--all") and len(self.arrived()) == 240, "the deferred messages")
        rig.wait_for(lambda: self.server.queue() == [], "an empty queue")
        self.assertEqual(set(self.arrived().values()), {1})
        self.assertEqual(self.server.stop(), 0)
        self.assertIn("; 0 problems", self.server.cli("spool", "check"))


if __name__ == "__main__":
    unittest.main()
