"""After-queue content filters in the whole program, as docs/content-filters.md has them: listener, DSPAM or a filter like it
over LMTP, second listener, a virus scanner over SMTP, third listener, delivery. What XFORWARD tells goes all the way; a filter
that is down makes mail wait and never lets it pass; a filter that refuses returns it; nothing goes round in circles."""
import json
import os
import re
import signal
import unittest

import dspam_server
import rig

EXAMPLE = os.path.join(os.path.dirname(__file__), "../../examples/content-filter.toml")
XFORWARD = "XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE"

CONFIG = '''
myhostname = "mx.mansio.test"
mydestination = ["own.test"]
local_recipients = ["alice", "bob"]
virtual_alias_maps = ["aliases"]
[lookup.aliases]
plugin = "lookup-file"
inline = """
team@own.test alice@own.test, bob@own.test
"""
[smtpd]
mynetworks = ["127.0.0.0/8"]
client_name_lookup = false
[listener.smtp]
listen = ["127.0.0.1:{port}"]
content_filter = "%(filter)s"
receive_override_options = ["no_address_mappings"]
[listener.after-dspam]
listen = ["127.0.0.1:%(second)d"]
content_filter = "clamav:[127.0.0.1]:%(scanner)d"
receive_override_options = ["no_unknown_recipient_checks", "no_header_body_checks", "no_address_mappings", "no_milters"]
authorized_xforward_hosts = ["127.0.0.0/8"]
[listener.after-clamav]
listen = ["127.0.0.1:%(third)d"]
receive_override_options = ["no_unknown_recipient_checks", "no_header_body_checks", "no_milters"]
authorized_xforward_hosts = ["127.0.0.0/8"]
[transport.dspam]
plugin = "transport-lmtp"
lmtp_send_xforward_command = true
[transport.clamav]
plugin = "transport-smtp"
smtp_send_xforward_command = true
[transport.relay]
plugin = "transport-smtp"
[[route]]
transport = "relay"
nexthop = "[127.0.0.1]:%(sink)d"
[queue]
minimal_backoff_time = 1
maximal_backoff_time = 1
notify_classes = []
'''


class ContentFilter(rig.Peer):
    """Gives what it takes back to `back`, with a header field before it. `refuse`: content that it answers 554 to."""

    def __init__(self, back, header, refuse=None, **kw):
        self.back, self.header, self.refuse = back, header, refuse
        self.told = []  # the attributes that came with each message
        super().__init__(on=self.note, extensions=("PIPELINING", "8BITMIME", XFORWARD), **kw)

    def note(self, command, session, argument):
        if command == "XFORWARD":
            session.setdefault("told", {}).update(word.split("=", 1) for word in argument.split(" ")[1:])

    def content(self, handler, state, answer):
        lines = []
        while (line := handler.rfile.readline()) != b".\r\n":
            if not line:
                return
            lines.append(line[1:] if line.startswith(b".") else line)
        message = rig.Received(state["sender"], list(state["recipients"]), b"".join(lines), list(state["args"]))
        told = state.pop("told", {})
        reply = "554 5.7.1 virus found" if self.refuse and self.refuse in message.content else self.give_back(message, told)
        with self.lock:
            self.told.append(told)
            if reply.startswith("2"):
                self.messages.append(message)
        for recipient in message.recipients if self.lmtp else [",".join(message.recipients)]:
            answer("DOT", reply, recipient)

    def give_back(self, message, told):
        with rig.Client(self.back) as c:
            code, offers = c.cmd("EHLO filter.test")
            commands = [f"MAIL FROM:<{message.sender}>", *(f"RCPT TO:<{r}>" for r in message.recipients), "DATA"]
            if XFORWARD in offers:
                commands.insert(0, "XFORWARD " + " ".join(f"{k}={v}" for k, v in told.items()))
            for command in commands:
                code, text = c.cmd(command)
                if code >= 400:
                    return f"{code} {text}"
            c.send(self.header + b"\r\n" + re.sub(rb"(?m)^\.", b"..", message.content) + b".\r\n")
            code, text = c.reply()
            return f"{code} {text}"


class ContentFilters(rig.TestCase):
    def setUp(self):
        super().setUp()
        self.sink = self.peer()
        self.ports = {"second": rig.free_port(), "third": rig.free_port(), "dspam": rig.free_port(),
                      "scanner": rig.free_port(), "sink": self.sink.port}
        self.ports["filter"] = f"dspam:[127.0.0.1]:{self.ports['dspam']}"

    def filter(self, name, back, header, **kw):
        peer = ContentFilter(self.ports[back], header, port=self.ports[name], **kw)
        self.addCleanup(peer.close)
        return peer

    def dspam(self):
        return self.filter("dspam", "second", b"X-DSPAM-Result: Innocent", lmtp=True)

    def scanner(self):
        return self.filter("scanner", "third", b"X-Virus-Scanned: yes", refuse=b"EICAR")

    def send(self, server, recipients, content="Subject: x\r\n\r\n.a dot\r\nHello.\r\n"):
        with rig.Client(server.port) as c:
            code, offers = c.cmd("EHLO client.test")
            self.assertNotIn("XFORWARD", offers)
            content = re.sub(r"(?m)^\.", "..", content)
            return c.message("a@sender.test", recipients, content.removesuffix("\r\n"))[1].split()[-1]

    def all_gone(self, server):
        rig.wait_for(lambda: not server.queue(), "an empty queue")

    def test_the_chain_of_two_filters_ends_in_delivery(self):
        dspam, scanner = self.dspam(), self.scanner()
        server = self.mansio(CONFIG % self.ports)
        qid = self.send(server, ["team@own.test", "x@far.test"])
        rig.wait_for(lambda: sum(len(m.recipients) for m in list(self.sink.messages)) >= 3, "three recipients at the sink")
        self.all_gone(server)
        # Each stage once, with the addresses as they were given until the last.
        for stage in (dspam, scanner):
            self.assertEqual([sorted(m.recipients) for m in stage.messages], [["team@own.test", "x@far.test"]])
            self.assertEqual(stage.messages[0].sender, "a@sender.test")
        recipients = sorted(r for m in self.sink.messages for r in m.recipients)
        self.assertEqual(recipients, ["alice@own.test", "bob@own.test", "x@far.test"])
        for message in self.sink.messages:
            self.assertRegex(message.content, rb"(?s)^Received: .*\r\nX-Virus-Scanned: yes\r\nReceived: .*"
                                              rb"\r\nX-DSPAM-Result: Innocent\r\nReceived: ")
            self.assertEqual(len(re.findall(rb"(?m)^Received: ", message.content)), 3)
            self.assertTrue(message.content.endswith(b"\r\n\r\n.a dot\r\nHello.\r\n"), message.content)
            # Who brought it is for the log: the trace is of what happened.
            self.assertRegex(message.content, rb"^Received: from filter\.test \(")
        # The first client's facts reach both filters, and the log of both listeners behind them.
        for stage in (dspam, scanner):
            (told,) = stage.told
            self.assertEqual({k: told[k] for k in ("NAME", "ADDR", "PROTO", "HELO", "IDENT", "SOURCE")},
                             {"NAME": "[UNAVAILABLE]", "ADDR": "127.0.0.1", "PROTO": "ESMTP", "HELO": "client.test",
                              "IDENT": qid, "SOURCE": "REMOTE"})
        self.assertEqual(dspam.told[0]["PORT"], scanner.told[0]["PORT"])
        lines = server.wait_event("xforward", count=2, orig_queue_id=qid, orig_helo="client.test", orig_client="127.0.0.1")
        self.assertEqual(len({line["qid"] for line in lines}), 2)
        self.assertEqual(sorted(line["listener"] for line in server.events("accepted")),
                         ["after-clamav", "after-dspam", "smtp"])

    def test_the_chain_with_dspam_on_its_socket_ends_in_delivery_or_in_its_quarantine(self):
        path, scanner = self.path("dspam.sock"), self.scanner()
        dspam = dspam_server.DspamServer(mode="auto", parameters="--deliver=innocent", path=path,
                                         deliver_to=("127.0.0.1", self.ports["second"]))
        self.addCleanup(dspam.close)
        os.chmod(path, 0o666)
        config = CONFIG.replace("[transport.dspam]", "[transport.lmtp]") % dict(self.ports, filter=f"lmtp:unix:{path}")
        server = self.mansio(config)
        self.send(server, ["team@own.test", "x@far.test"])
        self.send(server, ["alice@own.test"], "Subject: buy\r\n\r\nviagra\r\n")
        rig.wait_for(lambda: sum(len(m.recipients) for m in list(self.sink.messages)) >= 3, "three recipients at the sink")
        rig.wait_for(lambda: dspam.quarantine, "the quarantine")
        self.all_gone(server)
        recipients = sorted(r for m in self.sink.messages for r in m.recipients)
        self.assertEqual(recipients, ["alice@own.test", "bob@own.test", "x@far.test"])
        for message in self.sink.messages:
            self.assertEqual(message.sender, "a@sender.test")
            self.assertIn(b"\r\nX-Virus-Scanned: yes\r\n", message.content)
            self.assertIn(b"\r\nX-DSPAM-Result: Innocent\r\n", message.content)
            self.assertTrue(message.content.endswith(b"\r\n\r\n.a dot\r\nHello.\r\n"), message.content)
        self.assertEqual(sorted(r for m in scanner.messages for r in m.recipients), ["team@own.test", "x@far.test"])
        self.assertEqual([user for user, _ in dspam.quarantine], ["alice@own.test"])
        self.assertEqual(server.deliveries(status="bounced"), [])

    def test_what_the_scanner_refuses_is_returned_and_not_filtered_again(self):
        dspam, scanner = self.dspam(), self.scanner()
        server = self.mansio(CONFIG % self.ports)
        self.send(server, ["alice@own.test"], "Subject: x\r\n\r\nEICAR\r\n")
        rig.wait_for(lambda: self.sink.count() >= 1, "the notification")
        self.all_gone(server)
        (notification,) = self.sink.messages
        self.assertEqual((notification.sender, notification.recipients), ("", ["a@sender.test"]))
        self.assertIn(b"virus found", notification.content)
        self.assertEqual((dspam.count(), scanner.count(), len(scanner.told)), (1, 0, 1))

    def test_recipients_are_checked_before_the_filters_and_not_behind_them(self):
        dspam, scanner = self.dspam(), self.scanner()
        server = self.mansio(CONFIG % self.ports)
        with rig.Client(server.port) as c:
            c.cmd("EHLO client.test")
            c.cmd("MAIL FROM:<a@sender.test>")
            self.assertEqual(c.cmd("RCPT TO:<nobody@own.test>"), (550, "5.1.1 No such user here"))
            self.assertEqual(c.cmd("RCPT TO:<team@own.test>")[0], 250)
        with rig.Client(self.ports["third"]) as c:
            c.cmd("EHLO filter.test")
            c.cmd("MAIL FROM:<a@sender.test>")
            self.assertEqual(c.cmd("RCPT TO:<nobody@own.test>")[0], 250)
        self.assertEqual((dspam.count(), scanner.count()), (0, 0))

    def test_a_filter_that_is_down_makes_mail_wait_and_is_not_got_round(self):
        scanner = self.scanner()
        server = self.mansio(CONFIG % self.ports)
        qid = self.send(server, ["alice@own.test"])
        server.wait_event("delivery", qid=qid, status="deferred")
        # Not by routing it again either.
        server.cli("queue", "requeue", qid)
        tried = len(server.deliveries(qid=qid))
        server.wait_event("delivery", count=tried + 2, qid=qid, status="deferred")
        (group,) = json.loads(server.cli("queue", "show", qid))["groups"]
        self.assertEqual((group["transport"], group["nexthop"]), ("dspam", f"[127.0.0.1]:{self.ports['dspam']}"))
        self.assertEqual((self.sink.count(), scanner.count()), (0, 0))
        dspam = self.dspam()
        rig.wait_for(lambda: self.sink.count() >= 1, "the message at the sink")
        self.all_gone(server)
        self.assertEqual((dspam.count(), scanner.count(), self.sink.count()), (1, 1, 1))

    def test_a_filter_taken_out_lets_go_of_its_mail_when_that_is_requeued(self):
        server = self.mansio(CONFIG % self.ports)
        qid = self.send(server, ["alice@own.test"])
        server.wait_event("delivery", qid=qid, status="deferred")
        server.write_config(CONFIG % dict(self.ports, filter=""))
        server.process.send_signal(signal.SIGHUP)
        server.wait_event("reloaded")
        server.cli("queue", "requeue", qid)
        rig.wait_for(lambda: self.sink.count() >= 1, "the message at the sink")
        self.assertEqual(self.sink.messages[0].recipients, ["alice@own.test"])
        self.all_gone(server)

    def test_filter_of_an_access_table_is_for_its_mail_alone_and_lasts(self):
        """FILTER: through the scanner and nothing else, for one sender. A requeue and a restart do not lose it, and neither
        does a reload without its transport, with which the message waits."""
        access = '''
[lookup.access]
plugin = "lookup-file"
inline = """
a@sender.test FILTER clamav:[127.0.0.1]:%(scanner)d
"""
'''
        config = (CONFIG + access).replace('listen = ["127.0.0.1:{port}"]',
                                           'listen = ["127.0.0.1:{port}"]\nsender_access_maps = ["access"]', 1)
        config %= dict(self.ports, filter="")
        server = self.mansio(config)
        qid = self.send(server, ["alice@own.test", "bob@own.test"])  # nobody listens there yet
        server.wait_event("delivery", count=2, qid=qid, status="deferred")
        server.cli("queue", "requeue", qid)
        tried = len(server.deliveries(qid=qid))
        server.wait_event("delivery", count=tried + 2, qid=qid, status="deferred", transport="clamav")
        self.assertEqual(json.loads(server.cli("queue", "show", qid))["envelope"]["content_filter"],
                         f"clamav:[127.0.0.1]:{self.ports['scanner']}")

        without = re.sub(r"\[transport\.clamav\]\n.*\n.*\n", "", config).replace(f'content_filter = "clamav:[127.0.0.1]:{self.ports["scanner"]}"\n', "")
        server.write_config(without)
        server.cli("reload")
        rig.wait_for(lambda: "there is no transport of its filter" in server.cli("queue", "show", qid), "the reason why it waits")
        self.assertEqual(self.sink.count(), 0)

        server.write_config(config)
        self.assertEqual(server.stop(), 0)
        server.start()
        scanner = self.scanner()
        rig.wait_for(lambda: server.cli("queue", "flush", "--all") is not None and scanner.count() >= 1, "the scanner to see it")
        rig.wait_for(lambda: sum(len(m.recipients) for m in list(self.sink.messages)) >= 2, "both recipients at the sink")
        self.all_gone(server)
        self.assertTrue(all(b"X-Virus-Scanned: yes" in m.content for m in self.sink.messages))

        seen = self.sink.count()
        with rig.Client(server.port) as c:  # mail of others goes straight on
            c.cmd("EHLO client.test")
            c.message("b@sender.test", ["alice@own.test"], "Subject: x\r\n\r\nx")
        rig.wait_for(lambda: self.sink.count() > seen, "mail of somebody else")
        self.assertNotIn(b"X-Virus-Scanned", self.sink.messages[-1].content)

    def test_others_may_not_say_whose_mail_they_bring(self):
        server = self.mansio(CONFIG % self.ports)
        with rig.Client(server.port) as c:
            c.cmd("EHLO client.test")
            self.assertEqual(c.cmd("XFORWARD ADDR=192.0.2.1"), (550, "5.7.0 Error: insufficient authorization"))

    def test_the_example_is_a_configuration(self):
        with open(EXAMPLE) as f:
            server = rig.Mansio(self.dir, f.read())
        result = rig.run_program("check", "--config", server.config)
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)


if __name__ == "__main__":
    unittest.main()
