"""mansio qshape beside Postfix's own: the same mail, once in a Postfix queue directory made up here, once in a running
Mansio or behind a control socket made up here (live mail cannot be of every age)."""
import collections
import json
import os
import pty
import random
import re
import select
import signal
import socket
import subprocess
import threading
import time
import unittest

import rig

QSHAPE = "/usr/sbin/qshape"


def record(kind, text):
    data = text.encode()
    length, size = bytearray(), len(data)
    while True:
        length.append(size & 0x7F | (0x80 if size > 0x7F else 0))
        size >>= 7
        if not size:
            return kind.encode() + bytes(length) + data


def postfix_file(directory, number, age, sender, recipients, now):
    """A queue file as cleanup(8) leaves it: size, time, sender, recipients, content, end."""
    envelope = b"".join([record("T", f"{now - age} 0"), record("S", sender), *[record("R", r) for r in recipients], record("M", "")])
    content = record("N", "Subject: x") + record("N", "") + record("N", "x")
    # The size record's first number is how far the content reaches from its beginning on.
    head = record("C", f"{len(content):15} {0:15} {len(recipients):15} {0:15} {0:15} {0:15}")
    path = os.path.join(directory, f"{0xABC0000 + number:X}")
    with open(path, "wb") as f:
        f.write(head + envelope + content + record("X", "") + record("E", ""))
    os.chmod(path, 0o700)


def domain(address):
    return (address.lower().rpartition("@")[2] if address else "MAILER-DAEMON")


def rows(mail, senders, buckets, minutes, linear):
    """What the queue process answers: by another way to the bucket than Mansio's or Postfix's."""
    found = collections.defaultdict(lambda: [0] * buckets)
    for age, sender, recipients in mail:
        bucket, end = 0, minutes
        while bucket < buckets - 1 and age >= end * 60:
            bucket, end = bucket + 1, end + minutes if linear else end * 2
        for address in [sender] if senders else recipients:
            found[domain(address)][bucket] += 1
    return [{"domain": name, "total": sum(ages), "ages": ages} for name, ages in found.items()]


class MadeUpControl:
    """A control socket that answers qshape's question for `mail`."""

    def __init__(self, directory, mail):
        self.mail, self.asked = mail, []
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(os.path.join(directory, "control.sock"))
        self.socket.listen()
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                client, _ = self.socket.accept()
            except OSError:
                return
            with client, client.makefile("rw") as f:
                for line in f:
                    match = json.loads(line)["match"]
                    self.asked.append(match)
                    for row in rows(self.mail, match["by"] == "sender", int(match["buckets"]), float(match["width"]), match["linear"] == "true"):
                        f.write(json.dumps(row) + "\n")
                    f.write('{"result":"ok","affected":0}\n')
                    f.flush()

    def close(self):
        self.socket.close()


def totals(table):
    return [re.search(r"\S+\s+(\d+)", line)[1] for line in table.splitlines()[1:]]


def in_order(table):
    """Lines of one count and one length stand in no order in Postfix's output."""
    head, *lines = table.splitlines()
    return [head, *sorted(lines, key=lambda l: (-int(re.search(r"(\S+)\s+(\d+)", l)[2]), len(l.split()[0]), l))]


def some_mail(seed):
    r = random.Random(seed)
    names = ["example.com", "mx.example.com", "a.example.com", "b.example.com", "c.example.com", "d.example.com", "e.a.example.com",
             "f.a.example.com", "a-very-long-label-in-the-name-of-a.host.example.org", "x.y.z.example.net", "example.net", "[192.0.2.1]"]
    names += [f"n{i}.customers.provider.example" for i in range(40)]
    mail = []
    for _ in range(600):
        # Just older than a whole number of minutes, as every bucket begins with one: none moves on within a run.
        age = 60 * r.choice([0, 1, 4, 5, 9, 10, 19, 60, 1279, 1280, 3000, r.randrange(1500)]) + 5
        sender = r.choice(["", "Someone@Example.ORG", f"u@{r.choice(names)}"])
        recipients = [f"{r.choice('abc')}@{r.choice(names).upper() if r.random() < 0.1 else r.choice(names)}" for _ in range(r.choice([1, 1, 1, 4]))]
        mail.append((age, sender, recipients))
    return mail


class QShape(rig.TestCase):
    def postfix(self, mail, *options):
        directory = self.path("deferred")
        os.makedirs(directory, exist_ok=True)
        now = int(time.time())  # each time, so that none has grown older than its mail
        for number, (age, sender, recipients) in enumerate(mail):
            postfix_file(directory, number, age, sender, recipients, now)
        result = subprocess.run([QSHAPE, *options, directory], capture_output=True, text=True, timeout=rig.LIMIT)
        self.assertEqual(result.stderr, "")
        self.assertEqual(result.returncode, 0)
        return result.stdout

    def made_up(self, mail):
        control = MadeUpControl(self.dir, mail)
        self.addCleanup(control.close)
        return control

    def test_every_option_prints_what_postfixs_prints(self):
        mail = some_mail(1)
        self.made_up(mail)
        for options in ([], ["-s"], ["-p"], ["-p", "-m", "2"], ["-p", "-m1", "-s"], ["-b", "4"], ["-b1"], ["-l", "-b", "6"], ["-t", "60"],
                        ["-t", "1", "-b", "20"], ["-t", "0.5"], ["-lt", "2.5", "-b", "12"], ["-w", "132"], ["-w", "40"], ["-lps", "-t", "30"],
                        ["-b", "14", "-w", "100", "-p"], ["-n", "3"], ["-l", "-t", "1", "-b", "100"], ["-b", "0"], ["-b", "-4", "-t", "-1"],
                        ["-t", "0", "-w", "0"], ["-p", "-m", "0"], ["-p", "-m", "-2"]):
            theirs = self.postfix(mail, *options)
            ours = rig.run_program("qshape", "--spool", self.dir, *options, "deferred")
            self.assertEqual((ours.returncode, ours.stderr), (0, ""))
            self.assertEqual(totals(ours.stdout), totals(theirs), options)
            self.assertEqual(in_order(ours.stdout), in_order(theirs), options)

    def test_numbers_that_are_too_large_are_refused(self):
        self.made_up([])
        for option, value, limit in (("-b", "1001", "1000"), ("-t", "1e7", "1000000"), ("-t", "1e-9", "0.001")):
            result = rig.run_program("qshape", "--spool", self.dir, option, value)
            self.assertNotEqual(result.returncode, 0)
            self.assertIn(limit, result.stderr)

    def test_mail_in_a_running_server_is_counted_as_postfix_counts_it(self):
        later = lambda command, *_: "450 4.2.0 later" if command == "RCPT" else None
        server = self.mansio(rig.relay_config(self.peer(on=later).port))
        mail = [(0, "", ["a@example.com"]), (0, "Someone@Example.ORG", ["a@example.com", "b@mx.example.com", "c@example.com", "d@[192.0.2.1]"]),
                (0, "u@a.example.net", [f"u{i}@h{i % 7}.example.com" for i in range(60)]), (0, "v@b.example.net", ["b@example.com", "b@example.net"])]
        with rig.Client(server.port) as client:
            client.cmd("EHLO test")
            for _, sender, recipients in mail:
                client.message(sender, recipients, "Subject: x\r\n\r\nx\r\n")
        server.wait_deferred(sum(len(m[2]) for m in mail))
        for options in ([], ["-s"], ["-p"], ["-p", "-m", "1", "-s"]):
            self.assertEqual(in_order(server.cli("qshape", *options, "deferred")), in_order(self.postfix(mail, *options)), options)
        self.assertEqual(len(server.cli("qshape").splitlines()), 2)  # nothing is new or under way
        (relay,) = [json.loads(l) for l in server.cli("qshape", "--destinations", "--json", "deferred").splitlines()]
        self.assertEqual((relay["transport"], relay["total"]), ("relay", 67))
        # The same after a restart, which finds the mail in the spool.
        before = server.cli("qshape", "deferred", "hold")
        self.assertEqual(server.stop(), 0)
        server.start()
        self.assertEqual(server.cli("qshape", "deferred", "incoming", "active"), before)
        ids = [m["queue_id"] for m in server.queue()]
        server.cli("queue", "delete", *ids)
        self.assertEqual(server.cli("qshape", "deferred", "incoming", "active").splitlines()[1].split()[:2], ["TOTAL", "0"])

    def test_json_has_every_row_and_parents_if_asked(self):
        self.made_up([(10, "", [f"a@h{i}.example.com"]) for i in range(5)])
        lines = [json.loads(l) for l in rig.run_program("qshape", "--spool", self.dir, "--json", "-p", "-b", "3").stdout.splitlines()]
        self.assertEqual(lines[0], {"domain": ".example.com", "total": 5, "ages": [5, 0, 0]})
        self.assertEqual(len(lines), 6)

    def test_what_is_no_queue_is_refused(self):
        self.made_up([])
        result = rig.run_program("qshape", "--spool", self.dir, "defered")
        self.assertEqual(result.returncode, 1)
        self.assertIn("defered", result.stderr)
        self.assertEqual(rig.run_program("qshape", "--spool", self.dir, "/var/spool/postfix/deferred").returncode, 0)

    def terminal(self, *args):
        """Runs it in a terminal of 24 lines; (process, the terminal's other end)."""
        ours, its = pty.openpty()
        process = self.spawn([rig.MANSIO, "qshape", "--spool", self.dir, *args], stdout=its, stderr=its, stdin=its)
        os.close(its)
        self.addCleanup(os.close, ours)
        return process, ours

    def read_until(self, fd, text):
        seen, end = "", time.monotonic() + rig.LIMIT
        while text not in seen:
            if not select.select([fd], [], [], max(0, end - time.monotonic()))[0]:
                self.fail(f"no {text!r} in {seen!r}")
            seen += os.read(fd, 65536).decode()
        return seen

    def test_a_terminal_gets_the_top_and_watch_paints_it_again(self):
        control = self.made_up([(10, "", [f"a@h{i}.example.com"]) for i in range(50)])
        process, fd = self.terminal("-n", "3", "deferred")
        shown = self.read_until(fd, "h1.example.com")
        self.assertEqual(process.wait(rig.LIMIT), 0)
        self.assertNotIn("h2.example.com", shown)
        process, fd = self.terminal("--watch", "--every", "0.1", "deferred")
        self.assertIn("mansio qshape deferred", self.read_until(fd, "TOTAL 50"))
        control.mail = [(10, "", ["a@example.com"])]
        self.assertIn("\033[H", self.read_until(fd, "TOTAL  1"))
        process.send_signal(signal.SIGINT)
        self.assertIn("\033[?1049l", self.read_until(fd, "\033[?1049l"))
        self.assertEqual(process.wait(rig.LIMIT), 0)

    def test_watch_needs_a_terminal(self):
        self.made_up([])
        result = rig.run_program("qshape", "--spool", self.dir, "--watch")
        self.assertEqual((result.returncode, "terminal" in result.stderr), (1, True))


if __name__ == "__main__":
    unittest.main()
