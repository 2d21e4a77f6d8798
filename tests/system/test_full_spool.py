"""The spool's file system fills up: new mail is refused from the reserve on, what was accepted is delivered all the
same, and acceptance comes back by itself. A file system of 64 MiB, mounted where only this test sees it."""
import os
import tempfile
import unittest

from namespaces import enter, mount_tmpfs

DISK = "MANSIO_TEST_DISK"
if __name__ == "__main__":
    enter("m", lambda: os.environ.update({DISK: mount_tmpfs("64m")}))

import rig  # noqa: E402

RESERVE = 8 << 20
BODY = b"Subject: %d\r\n\r\n" + b"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcd\r\n" * 1600  # 100 KiB


class FullSpool(rig.TestCase):
    def start(self, reserve=RESERVE, extra=""):
        self.up = self.some_wait = False
        self.peer = super().peer(on=self.answer)
        config = rig.relay_config(self.peer.port, extra=extra) + f"""
[queue]
minimal_backoff_time = "1s"
maximal_backoff_time = "1s"
notify_classes = []
[log]
level = "debug"
[segments]
segment_size = "1M"
reserve = {reserve}
"""
        # A directory of its own for each test, on the same disk.
        self.disk = tempfile.TemporaryDirectory(dir=os.environ[DISK])
        self.addCleanup(self.disk.cleanup)
        os.chmod(self.disk.name, 0o755)
        self.server = rig.Mansio(self.dir, config)
        self.server.spool = os.path.join(self.disk.name, "spool")
        self.server.write_config(config)
        self.addCleanup(self.server.close)
        self.server.start()
        self.client = rig.Client(self.server.port)
        self.addCleanup(lambda: self.client.close())
        self.client.cmd("EHLO test")
        self.accepted = []

    def answer(self, command, session, argument):
        if self.up:
            return None
        if self.some_wait:
            return "450 4.2.0 later" if command == "RCPT" and "later@" in argument else None
        return "421 4.3.2 not now" if command == "CONNECT" else None

    def reconnect(self):
        self.client.close()
        self.client = rig.Client(self.server.port)
        self.client.cmd("EHLO test")

    def send(self, number, content=None, to="b@example.net"):
        """The first reply that is not what a client hopes for, or that to the content."""
        for command, hoped in (("RSET", 250), ("MAIL FROM:<a@example.org>", 250), (f"RCPT TO:<{to}>", 250), ("DATA", 354)):
            code, text = self.client.cmd(command)
            if code != hoped:
                return f"{code} {text}"
        self.client.send((content or BODY % number) + b".\r\n")
        code, text = self.client.reply()
        if code == 250:
            self.accepted.append(number)
        return f"{code} {text}"

    def ballast(self, leave=0):
        """Another program's file, over all the space but so much."""
        path = os.path.join(self.disk.name, "ballast")
        with open(path, "ab") as f:
            while True:
                room = self.free() - leave
                if room < 4096:
                    return path
                try:
                    f.write(b"x" * min(room, 1 << 20))
                    f.flush()
                except OSError:
                    return path

    def free(self):
        s = os.statvfs(self.disk.name)
        return s.f_bavail * s.f_frsize

    def arrived(self):
        """Numbers at the next hop, each message's bytes complete."""
        with self.peer.lock:
            contents = [m.content for m in self.peer.messages]
        numbers = []
        for content in contents:
            number = int(content.split(b"Subject: ", 1)[1].split(b"\r\n", 1)[0])
            self.assertTrue(content.endswith(BODY % number), f"message {number} is not whole")
            numbers.append(number)
        return sorted(numbers)

    def metric(self, name):
        return float(next(line.split()[1] for line in self.server.cli("status", "--metrics").splitlines()
                          if line.split()[0].split("{")[0] == name))

    def waiting(self):
        return len(self.server.queue())

    def drained(self):
        self.up = True
        rig.wait_for(lambda: self.arrived() == sorted(self.accepted) and self.waiting() == 0, "all that was accepted")

    def accepts_again(self, number):
        rig.wait_for(lambda: self.send(number).startswith("250 "), "mail to be accepted again")
        self.drained()
        self.assertEqual(self.server.stop(), 0)
        self.assertIn("; 0 problems", self.server.cli("spool", "check"))

    def test_the_reserve_is_refused_to_new_mail_and_an_emptied_queue_gives_space_back(self):
        self.start()
        number = refused = 0
        while refused < 6:  # a segment that is being made counts twice for a moment: the first may be one too early
            reply = self.send(number)
            if reply.startswith("250 "):
                number += 1
                refused = 0
                self.assertLess(number, 1000, "the disk does not fill")
            else:
                self.assertEqual(reply.split()[:2], ["452", "4.3.1"])
                refused += 1
        self.assertGreater(number, 50)
        self.assertGreater(self.free(), RESERVE - (2 << 20))  # what the journal took since
        self.assertEqual(self.waiting(), number)
        self.drained()
        self.accepts_again(number + 1)

    def test_a_disk_without_a_free_byte_drains_over_a_restart_too(self):
        self.start()
        for number in range(20):
            self.assertEqual(self.send(number).split()[0], "250")
        ballast = self.ballast()
        rig.wait_for(lambda: self.send(20).split()[:2] == ["452", "4.3.1"], "mail to be refused")
        self.assertEqual(self.waiting(), len(self.accepted))
        self.server.kill()
        self.server.start()
        self.reconnect()
        rig.wait_for(lambda: self.send(30).split()[:2] == ["452", "4.3.1"], "mail to be refused")
        self.assertEqual(self.waiting(), len(self.accepted))
        self.drained()
        os.unlink(ballast)
        self.accepts_again(40)

    def test_a_few_waiting_messages_do_not_keep_a_full_disk_full(self):
        reserve = 16 << 20
        self.start(reserve, extra="ingress_processes = 1")
        waiting = range(0, 120, 8)
        for number in range(120):  # each segment takes about ten, one or two of which are to wait
            self.assertEqual(self.send(number, to="later@example.net" if number in waiting else "b@example.net").split()[0], "250")

        def full():
            self.ballast(leave=reserve - (6 << 20))  # more than spare segments could give back
            self.reconnect()  # who is refused often is hung up on
            return self.send(200).split()[:2] == ["452", "4.3.1"]
        rig.wait_for(full, "mail to be refused")
        self.some_wait = True

        def accepts():
            self.reconnect()
            return self.send(201).startswith("250 ")
        rig.wait_for(accepts, "mail to be accepted again")
        self.assertTrue(self.server.events("segment compacted"))
        rig.wait_for(lambda: self.metric("mansio_compacted_messages_total") > 0, "what was moved to be counted")
        self.assertGreaterEqual(self.waiting(), len(waiting))
        self.some_wait = False
        self.drained()
        self.accepts_again(202)

    def test_large_messages_under_way_stop_at_the_reserve(self):
        self.start()
        line = b"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcd\r\n"
        clients = [rig.Client(self.server.port) for _ in range(3)]
        for c in clients:
            self.addCleanup(c.close)
            for command in ("EHLO test", "MAIL FROM:<a@example.org>", "RCPT TO:<b@example.net>", "DATA"):
                self.assertIn(c.cmd(command)[0], (250, 354))
            c.send(b"Subject: large\r\n\r\n" + line * 32768)  # 2 MiB: it gets a segment of its own
        rig.wait_for(lambda: sum(e["size"] > 1 << 20 for e in self.server.events("segment granted")) == len(clients),
                     "each to have its segment")
        ballast = self.ballast(leave=RESERVE - (1 << 20))
        writers = sum(name.startswith("ingress") for name in self.server.children().values())
        rig.wait_for(lambda: len(self.server.events("new mail is refused for now")) == writers, "all to be told")
        for c in clients:
            c.send(line * 65536 + b".\r\n")  # 4 MiB each
        for c in clients:
            code, text = c.reply()
            self.assertEqual((code, text.split()[0]), (452, "4.3.1"))
        self.assertGreater(self.free(), RESERVE - (3 << 20))
        self.assertEqual(self.waiting(), 0)
        os.unlink(ballast)
        self.accepts_again(1)

    def test_a_message_that_finds_no_space_in_its_middle_leaves_nothing(self):
        self.start(reserve=0)
        self.ballast(leave=1 << 20)
        large = b"Subject: large\r\n\r\n" + b"x" * 62 + b"\r\n" + (b"x" * 62 + b"\r\n") * 65536
        self.assertEqual(self.send(0, large).split()[:2], ["452", "4.3.1"])
        self.assertEqual(self.waiting(), 0)
        self.assertEqual(self.send(1).split()[0], "250")  # there is room for this one
        self.drained()
        os.unlink(os.path.join(self.disk.name, "ballast"))
        self.accepts_again(2)


if __name__ == "__main__":
    unittest.main()
