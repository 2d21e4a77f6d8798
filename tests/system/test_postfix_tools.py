"""The program under the names of Postfix's tools: what users and scripts that know those expect of them."""
import json
import os
import pwd
import re
import subprocess
import threading
import unittest

import rig

QSHAPE = "/usr/sbin/qshape"
TOOLS = os.path.join(os.path.dirname(os.path.dirname(rig.MANSIO)), "lib", "mansio", "bin")


class PostfixTools(rig.TestCase):
    def setUp(self):
        super().setUp()
        self.ready = threading.Event()  # until then recipients at example.net are told to come back
        self.sink = self.peer(on=self.on)
        self.server = self.mansio(rig.relay_config(self.sink.port))

    def on(self, command, session, argument):
        if command == "RCPT" and "example.net" in argument and not self.ready.is_set():
            return "450 4.2.0 later"

    def tool(self, name, *args, config=None, **kw):
        result = subprocess.run([os.path.join(TOOLS, name), *(["-c", config or self.dir] if config != "" else []), *args],
                                capture_output=True, text=True, timeout=rig.LIMIT, **kw)
        rig.no_reports(result.stderr, f"{name} {args}")
        return result

    def ok(self, name, *args, **kw):
        result = self.tool(name, *args, **kw)
        self.assertEqual(result.returncode, 0, result.stderr)
        return result

    def deferred(self, count=1, content="Subject: x\r\n\r\nhello", to=("b@example.net",)):
        before = len(self.server.deliveries(status="deferred"))
        with rig.Client(self.server.port) as c:
            c.cmd("EHLO client.test")
            for i in range(count):
                c.message(f"a{i}@example.com", to, content)
        self.server.wait_deferred(before + count)
        return sorted(m["queue_id"] for m in self.server.queue())

    def states(self):
        return {m["queue_id"]: m["queue_name"] for m in self.server.queue()}

    def test_postqueue_and_mailq_list_the_queue(self):
        (qid,) = self.deferred()
        listing = self.ok("postqueue", "-p").stdout
        self.assertRegex(listing, r"\A-Queue ID-  --Size-- ----Arrival Time---- -Sender/Recipient-------\n" + qid +
                         r" +\d+ \w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d  a0@example\.com\n +\(host 127\.0\.0\.1\[127\.0\.0\.1\] said: 450 4\.2\.0 later.*\)\n"
                         r" {41}b@example\.net\n\n-- 0 Kbytes in 1 Request\.\n\Z")
        self.assertEqual(self.ok("mailq").stdout, listing)
        self.assertEqual(self.ok("postqueue", "-p", config=self.server.config).stdout, listing)  # the file itself
        self.assertEqual(self.ok("postqueue", "-p", config="", env=dict(os.environ, MAIL_CONFIG=self.dir)).stdout, listing)
        (entry,) = [json.loads(line) for line in self.ok("postqueue", "-j").stdout.splitlines()]
        self.assertEqual((entry["queue_id"], entry["queue_name"], entry["sender"]), (qid, "deferred", "a0@example.com"))

    def test_postqueue_has_deliveries_tried(self):
        ids = self.deferred(3)
        self.ready.set()
        self.ok("postqueue", "-i", ids[0])
        rig.wait_for(lambda: self.sink.count() == 1, "the message with that id")
        self.ok("postqueue", "-s", "example.org")
        self.ok("postqueue", "-s", "example.net")
        rig.wait_for(lambda: self.sink.count() == 3, "the mail for that site")
        self.ready.clear()
        self.deferred()
        self.ready.set()
        self.ok("postqueue", "-f")
        rig.wait_for(lambda: self.sink.count() == 4, "all mail")
        rig.wait_for(lambda: self.ok("mailq").stdout == "Mail queue is empty\n", "an empty queue")

    def test_postqueue_ends_with_69_and_says_why(self):
        for args, text in (((), "usage: postqueue -f | postqueue -i queueid | postqueue -j | postqueue -p | postqueue -s site"),
                           (("-p", "-j"), "usage: "), (("-x",), "usage: "), (("-p", "more"), "usage: "),
                           (("-i", "not/anid"), 'Cannot flush queue ID - invalid name: "not/anid"'),
                           (("-s", "bad site"), 'Cannot flush mail queue - invalid destination: "bad site"')):
            result = self.tool("postqueue", *args)
            self.assertEqual(result.returncode, 69, args)
            self.assertIn("postqueue: fatal: " + text, result.stderr)
        self.server.stop()
        for args, text in ((("-p",), "Queue report unavailable - mail system is down"), (("-f",), "Cannot flush mail queue - mail system is down")):
            result = self.tool("postqueue", *args)
            self.assertEqual((result.returncode, result.stdout), (69, ""))
            self.assertIn("postqueue: fatal: " + text, result.stderr)
        self.assertEqual(self.tool("mailq").returncode, 69)

    def test_postsuper_changes_what_it_is_told_and_names_it(self):
        one, two, three = self.deferred(3)
        said = lambda *args, **kw: self.ok("postsuper", *args, **kw).stderr
        self.assertEqual(said("-h", one, "-h", two), f"postsuper: {one}: placed on hold\npostsuper: {two}: placed on hold\npostsuper: Placed on hold: 2 messages\n")
        self.assertEqual(said("-h", one), "postsuper: Placed on hold: 0 messages\n")
        self.assertEqual(self.states(), {one: "hold", two: "hold", three: "deferred"})
        self.assertIn(one + "!", self.ok("postqueue", "-p").stdout)
        self.assertEqual(said("-H", two), f"postsuper: {two}: released from hold\npostsuper: Released from hold: 1 message\n")
        self.server.wait_event("delivery", 2, status="deferred", qid=two)  # what is released is tried at once
        rig.wait_for(lambda: self.states() == {one: "hold", two: "deferred", three: "deferred"}, "the message to be deferred again")
        self.assertEqual(said("-d", "ALL", "deferred", input=""), "postsuper: Deleted: 2 messages\n")
        self.assertEqual(self.states(), {one: "hold"})
        self.assertEqual(said("-H", "ALL"), "postsuper: Released from hold: 1 message\n")
        self.assertEqual(said("-d", "-", input=f"{two}\n{one}\nbad/id\n\n"),
                         f"postsuper: warning: invalid mail queue id: bad/id\npostsuper: {one}: removed\npostsuper: Deleted: 1 message\n")
        rig.wait_for(lambda: self.states() == {}, "an empty queue")  # what was released may be under way: it goes with that
        self.assertEqual(said("-d", one), "postsuper: Deleted: 0 messages\n")
        self.assertEqual(said("-p", "-s"), "")

    def test_postsuper_requeues_and_expires(self):
        one, two = self.deferred(2)
        self.assertEqual(self.ok("postsuper", "-r", one).stderr, f"postsuper: {one}: requeued\npostsuper: Requeued: 1 message\n")
        self.server.wait_event("delivery", 2, status="deferred", qid=one)
        self.ok("postsuper", "-h", two)
        # It leaves with its bounce, perhaps before the hold could be ended.
        self.assertRegex(self.ok("postsuper", "-f", two).stderr, rf"\Apostsuper: {two}: expired\npostsuper: Force-expired: 1 message\n"
                         rf"(postsuper: {two}: released from hold\npostsuper: Released from hold: 1 message|postsuper: Released from hold: 0 messages)\n\Z")
        rig.wait_for(lambda: any(m.sender == "" for m in self.sink.messages), "the bounce")
        self.assertEqual(self.ok("postsuper", "-e", "ALL", "hold").stderr, "postsuper: Force-expired: 0 messages\n")

    def test_postsuper_ends_with_1_when_it_cannot(self):
        for args, text in ((("-d", "ALL", "nosuchqueue"), "invalid directory name: nosuchqueue"), (("-x",), "usage: postsuper "), (("-d",), "usage: postsuper ")):
            result = self.tool("postsuper", *args)
            self.assertEqual(result.returncode, 1)
            self.assertIn("postsuper: fatal: " + text, result.stderr)
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("games")
            result = self.tool("postsuper", "-d", "ALL", user=nobody.pw_uid, group=nobody.pw_gid, extra_groups=[])
            self.assertEqual(result.returncode, 1)
            self.assertRegex(result.stderr, r"postsuper: fatal: .*(not permitted|Permission denied)")  # by us, or by the spool's mode
        self.server.stop()
        result = self.tool("postsuper", "-d", "ALL")
        self.assertEqual(result.returncode, 1)
        self.assertIn("Is Mansio running", result.stderr)

    def test_postcat_prints_the_message_from_the_spool(self):
        header = "Subject: printed\r\nX-Long: one\r\n two\r\n"
        (qid,) = self.deferred(content=header + "\r\n..dot\r\nFrom: no header", to=("done@example.org", "b@example.net"))
        whole = self.ok("postcat", "-q", qid).stdout
        lines = whole.splitlines()
        self.assertEqual(lines[0], f"*** ENVELOPE RECORDS deferred/{qid} ***")
        self.assertRegex(lines[1], r"^message_size: +\d+ +0 +2 +0 +\d+ +0$")
        for line in ("sender: a0@example.com", "done_recipient: done@example.org", "recipient: b@example.net", f"*** MESSAGE CONTENTS deferred/{qid} ***",
                     "named_attribute: log_helo_name=client.test", "Subject: printed"):
            self.assertIn(line, lines)
        self.assertRegex(whole, r"message_arrival_time: \w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4}\n")
        self.assertEqual(lines[-5:-2], ["", ".dot", "From: no header"])
        self.assertEqual(lines[-2:], [f"*** HEADER EXTRACTED deferred/{qid} ***", f"*** MESSAGE FILE END deferred/{qid} ***"])
        self.assertEqual(self.ok("postcat", "-qb", qid).stdout, "\n.dot\nFrom: no header\n")
        head = self.ok("postcat", "-qh", qid).stdout
        self.assertTrue(head.startswith("Received: from client.test"), head)
        self.assertTrue(head.endswith(header.replace("\r\n", "\n")), head)
        self.assertEqual(self.ok("postcat", "-qbh", qid).stdout, head + "\n.dot\nFrom: no header\n")
        envelope = self.ok("postcat", "-qe", qid).stdout
        self.assertEqual(envelope, "".join(l + "\n" for l in lines[:lines.index(f"*** MESSAGE CONTENTS deferred/{qid} ***") + 1] + lines[-2:]))
        self.assertRegex(self.ok("postcat", "-q", "-d", qid).stdout, r"(?m)^ 83 sender: a0@example\.com$")
        self.assertRegex(self.ok("postcat", "-q", "-o", qid).stdout, r"(?m)^ +\d+ sender: a0@example\.com$")
        self.assertEqual(self.ok("postcat", "-qbf", qid).stdout,
                         "".join(f"deferred/{qid}: {line}\n" for line in ("", ".dot", "From: no header")))
        self.server.stop()
        down = self.ok("postcat", "-q", qid)
        self.assertIn("postcat: warning: ", down.stderr)
        self.assertIn("\nrecipient: done@example.org\nrecipient: b@example.net\n", down.stdout)
        self.assertIn("\nFrom: no header\n", down.stdout)

    def test_postcat_ends_with_1_when_there_is_nothing_to_print(self):
        for args, text in ((("-q", "0000000J00000"), "open queue file 0000000J00000: No such file or directory"), (("-q", "bad/id"), "bad mail queue ID: bad/id"),
                           (("-x",), "usage: postcat "), (("-n",), "usage: postcat "), ((), "usage: postcat ")):
            result = self.tool("postcat", *args)
            self.assertEqual(result.returncode, 1)
            self.assertIn("postcat: fatal: " + text, result.stderr)

    def test_a_large_message_is_printed_whole(self):
        body = "\r\n".join(f"{i:070}" for i in range(40000))  # in a segment of its own
        (qid,) = self.deferred(content="Subject: large\r\n\r\n" + body)
        self.assertEqual(self.ok("postcat", "-qb", qid).stdout, "\n" + body.replace("\r\n", "\n") + "\n")

    def test_qshape_finds_the_instance_by_c(self):
        self.deferred(2)
        self.assertRegex(self.ok("qshape", "deferred").stdout, r"\n +TOTAL +2 +2 +0.*\n +example\.net +2 +2 +0")
        self.assertEqual(self.ok("qshape", "deferred").stdout, self.server.cli("qshape", "deferred"))
        self.assertEqual(self.tool("qshape", "-Z").returncode, 1)

    def test_qshape_says_what_it_takes(self):
        usage = self.ok("qshape", "-h").stdout
        theirs = subprocess.run([QSHAPE, "-h"], capture_output=True, text=True, timeout=rig.LIMIT).stderr
        options = set(re.findall(r"\[ (-[a-zA-Z])", theirs))
        self.assertGreaterEqual(len(options), 9, theirs)
        for option in options:
            self.assertIn(f"[{option}", usage)
            self.assertRegex(usage, rf"(?m)^  {option}  |from {option} subdomains")


if __name__ == "__main__":
    unittest.main()
