"""The log in syslog: a daemon of the test's own at /dev/log, which only this test's namespace sees."""
import ctypes
import os
import re
import socket
import tempfile
import unittest

from namespaces import enter

MS_BIND = 0x1000


def private_dev():
    """A /dev of ours, with the devices that programs need and room for a socket."""
    libc = ctypes.CDLL(None, use_errno=True)

    def bind(source, target):
        if libc.mount(source.encode(), target.encode(), None, MS_BIND, None) != 0:
            raise OSError(ctypes.get_errno(), "mount", target)
    directory = tempfile.mkdtemp(prefix="mansio-dev-")
    os.chmod(directory, 0o755)
    for name in ("null", "zero", "full", "random", "urandom"):
        path = os.path.join(directory, name)
        open(path, "w").close()
        bind("/dev/" + name, path)
    bind(directory, "/dev")


if __name__ == "__main__":
    enter("m", private_dev)

from rig import LIMIT, Client, TestCase, relay_config  # noqa: E402

FRAME = re.compile(r"^<(\d+)>([A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d) ([^\[ ]+)\[(\d+)\]: (.*)$", re.S)


class Syslog(TestCase):
    def setUp(self):
        super().setUp()
        self.daemon = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(self.daemon.close)
        self.listen()

    def listen(self):
        if os.path.exists("/dev/log"):
            os.unlink("/dev/log")
        self.daemon.bind("/dev/log")
        os.chmod("/dev/log", 0o666)
        self.daemon.settimeout(LIMIT)

    def line(self, what):
        """The next whose text matches: (priority, tag, pid, text)."""
        while True:
            packet = self.daemon.recv(65536).decode()
            frame = FRAME.match(packet)
            self.assertTrue(frame, packet)
            if re.search(what, frame[5]):
                return int(frame[1]), frame[3], int(frame[4]), frame[5]

    def start(self, log):
        hop = self.peer()
        server = self.mansio(relay_config(hop.port, f"log = {{ {log} }}"), wait=False)
        self.line("ready")
        return server

    def mansio(self, config, wait=True):
        from rig import Mansio
        server = Mansio(self.dir, config)
        self.addCleanup(server.close)
        server.start(wait)
        return server

    def send(self, server):
        with Client(server.port) as c:
            c.cmd("EHLO test")
            c.message("a@example.org", ["b@example.net"], "Subject: x\r\n\r\nx\r\n")

    def process(self, server, role):
        return server.pids(role)[0]

    def test_postfixs_lines_have_one_header_with_the_tag_of_who_did_it(self):
        server = self.start('format = "postfix", target = "syslog"')
        self.send(server)
        priority, tag, pid, text = self.line("to=<")
        self.assertEqual((priority, tag, pid), (22, "mansio/relay", self.process(server, "egress.relay")))
        self.assertRegex(text, r"^[0-9A-Z]{13}: to=<b@example\.net>, relay=\S+\[127\.0\.0\.1\]:\d+, delay=[\d.]+, "
                               r"delays=[\d./]+, dsn=2\.0\.0, status=sent \(.*Ok: queued\)$")
        qid = text.split(":")[0]
        self.assertEqual(self.line("removed"), (22, "mansio/qmgr", self.process(server, "queue"), qid + ": removed"))

    def test_json_lines_have_the_process_as_their_tag(self):
        server = self.start('target = "syslog"')
        self.send(server)
        priority, tag, pid, text = self.line('"event":"delivery"')
        self.assertEqual((priority, tag, pid), (22, "mansio/queue", self.process(server, "queue")))
        self.assertTrue(text.startswith('{"time":') and text.endswith("}"), text)

    def test_a_daemon_that_was_started_anew_is_found(self):
        server = self.start('format = "postfix", target = "syslog"')
        self.send(server)
        self.line("to=<")
        self.daemon.close()
        self.daemon = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.listen()
        self.addCleanup(self.daemon.close)
        self.send(server)
        self.assertEqual(self.line("to=<")[1], "mansio/relay")


if __name__ == "__main__":
    unittest.main()
