"""filter-dspam in the whole program, against a server that speaks as DSPAM's daemon does: what becomes of spam, users'
wishes and corrections, both protocols, a daemon that is down; and DSPAM between two listeners, after the queue."""
import os
import subprocess
import unittest

import rig
from dspam_server import DspamServer

README = os.path.join(os.path.dirname(__file__), "../../plugins/filter-dspam/README.md")

CONFIG = '''
myhostname = "mx.mansio.test"
[smtpd]
mynetworks = ["127.0.0.0/8"]
filters = ["spam"]
[listener.smtp]
listen = ["127.0.0.1:{port}"]
[filter.spam]
plugin = "filter-dspam"
isolation = "%(mode)s"
server = "%(server)s"
%(filter)s
[transport.relay]
plugin = "transport-smtp"
[[route]]
transport = "relay"
nexthop = "[127.0.0.1]:%(next_hop)d"
%(more)s
'''
DLMTP = 'ident = "mansio"\npassword = "secret"\n'
INNOCENT = "From: a@example.com\r\nSubject: one\r\n\r\nhello"
SPAM = "From: a@example.com\r\nSubject: one\r\n\r\nbuy viagra"


class FilterDspam(rig.TestCase):
    def setUp(self):
        super().setUp()
        self.sink = self.peer()

    def dspam(self, **kw):
        server = DspamServer(**kw)
        self.addCleanup(server.close)
        return server

    def start(self, dspam, filter="", more="", mode="process", name="mansio", head=DLMTP, server=None):
        values = {"mode": mode, "server": server or f"127.0.0.1:{dspam.port}", "filter": head + filter, "more": more,
                  "next_hop": self.sink.port}
        running = self.mansio(CONFIG % values, name=name)
        return running, self.client(running)

    def delivered(self, n):
        rig.wait_for(lambda: self.sink.count() >= n, f"{n} messages at the sink")
        with self.sink.lock:
            return list(self.sink.messages)

    def forget(self):
        with self.sink.lock:
            self.sink.messages.clear()

    @staticmethod
    def fields(message):
        """{name: [values]} of a message that the sink has."""
        out = {}
        for line in message.content.partition(b"\r\n\r\n")[0].decode().replace("\r\n ", " ").split("\r\n"):
            name, _, value = line.partition(": ")
            out.setdefault(name, []).append(value)
        return out

    def test_mail_is_marked_and_spam_is_tagged(self):
        for mode in ("inproc", "process"):
            with self.subTest(mode=mode):
                self.forget()
                dspam = self.dspam()
                server, client = self.start(dspam, 'spam_header = "X-Spam-Flag: YES"', mode=mode, name=mode)
                client.message("a@example.com", ["bob@two.example"], "X-DSPAM-Signature: 4f6aforged\r\n" + INNOCENT)
                client.message("a@example.com", ["bob@Two.Example"], SPAM)
                ham, spam = (self.fields(m) for m in sorted(self.delivered(2), key=lambda m: b"viagra" in m.content))
                self.assertEqual((ham["Subject"], ham["X-DSPAM-Result"]), (["one"], ["Innocent"]))
                self.assertEqual((spam["Subject"], spam["X-DSPAM-Result"]), (["[SPAM] one"], ["Spam"]))
                self.assertEqual(spam["X-DSPAM-Confidence"], ["0.97"])
                self.assertEqual(spam["X-DSPAM-Probability"], ["1.0000"])
                self.assertEqual(spam["X-Spam-Flag"], ["YES"])
                self.assertNotIn("X-Spam-Flag", ham)
                self.assertEqual({("bob@two.example", f["X-DSPAM-Signature"][0]) for f in (ham, spam)}, set(dspam.signatures))
                self.assertEqual(dspam.connections, 1)
                self.assertEqual(len(server.events("accepted")), 2)

    def test_spam_is_held_until_it_is_released(self):
        server, client = self.start(self.dspam(), 'spam_action = "quarantine"')
        client.message("a@example.com", ["bob@two.example"], INNOCENT)
        client.message("a@example.com", ["bob@two.example"], SPAM)
        self.delivered(1)
        rig.wait_for(lambda: [m["queue_name"] for m in server.queue()] == ["hold"], "the spam alone in the queue")
        held = server.queue()
        self.assertIn("DSPAM calls it spam for bob@two.example", server.cli("queue", "show", held[0]["queue_id"]))
        server.cli("queue", "release", held[0]["queue_id"])
        released = next(m for m in self.delivered(2) if b"viagra" in m.content)
        self.assertEqual(self.fields(released)["X-DSPAM-Result"], ["Spam"])
        self.assertEqual(self.fields(released)["Subject"], ["one"])

    def test_spam_is_refused(self):
        _, client = self.start(self.dspam(), 'spam_action = "reject"\nreject_text = "we want no spam"')
        reply = client.message("a@example.com", ["bob@two.example"], SPAM, expect=550)
        self.assertEqual(reply[1], "5.7.1 we want no spam")
        client.message("a@example.com", ["bob@two.example"], INNOCENT)
        self.delivered(1)

    def test_a_nul_hides_nothing_from_dspam(self):
        dspam = self.dspam()
        _, client = self.start(dspam, 'spam_action = "reject"')
        # Without its NUL the line is a dot, which would end the message for DSPAM.
        client.message("a@example.com", ["bob@two.example"], b"Subject: one\r\n\r\n\0.\r\nbuy viagra", expect=550)
        client.message("a@example.com", ["bob@two.example"], INNOCENT)
        self.delivered(1)
        self.assertEqual([user for user, _ in dspam.seen], ["bob@two.example"] * 2)

    def test_users_correct_dspam_by_mail(self):
        dspam = self.dspam()
        server, client = self.start(dspam, 'spam_action = "reject"\ntrain_spam = ["spam@two.example"]\n'
                                           'train_ham = ["notspam@two.example"]')
        missed = "Subject: two\r\n\r\nbuy v1agra"
        client.message("a@example.com", ["bob@two.example"], missed)
        signature = self.fields(self.delivered(1)[0])["X-DSPAM-Signature"][0]
        forwarded = f"Subject: Fwd: two\r\n\r\n> X-DSPAM-Signature: {signature}\r\n> buy v1agra"
        # Somebody else's signature is nobody's.
        client.message("eve@two.example", ["spam@two.example"], forwarded, expect=550)
        client.message("bob@two.example", ["spam@two.example"], forwarded)
        self.assertEqual(len(server.events("discarded")), 1)
        client.message("a@example.com", ["bob@two.example"], missed, expect=550)
        client.message("bob@two.example", ["notspam@two.example"], f"X-DSPAM-Signature: {signature}\r\n\r\nbuy v1agra")
        client.message("a@example.com", ["bob@two.example"], missed)
        self.delivered(2)
        client.message("bob@two.example", ["spam@two.example"], INNOCENT, expect=550)
        self.assertEqual(self.sink.count(), 2)

    def test_the_documented_command_corrects_dspam(self):
        dspam = self.dspam()
        server, client = self.start(dspam, 'train_spam = ["spam@example.com"]')
        client.message("a@example.com", ["bob@example.com"], INNOCENT)
        with open(self.path("message.eml"), "wb") as f:
            f.write(self.delivered(1)[0].content)
        with open(README) as f:
            command = next(line for line in f if line.startswith("curl smtp://127.0.0.1 "))
        command = command.replace("127.0.0.1", f"127.0.0.1:{server.port}")
        ran = subprocess.run(command, shell=True, cwd=self.dir, capture_output=True, text=True, timeout=rig.LIMIT)
        self.assertEqual(ran.returncode, 0, ran.stderr)
        self.assertEqual(dspam.corrected, {("bob@example.com", b"hello\r\n"): True})
        self.assertEqual(len(server.events("discarded", **{"from": "bob@example.com"})), 1)
        client.message("a@example.com", ["bob@example.com"], INNOCENT)
        self.assertEqual(self.fields(self.delivered(2)[1])["X-DSPAM-Result"], ["Spam"])

    def test_recipients_have_wishes_of_their_own(self):
        dspam = self.dspam()
        _, client = self.start(dspam, 'spam_action = "reject"\npreferences = "wishes"', '''
[lookup.wishes]
plugin = "lookup-file"
inline = """
bob@two.example spamAction=tag,spamSubject=[JUNK]
eve@two.example enable=no
"""
''')
        client.message("a@example.com", ["joe@two.example"], SPAM, expect=550)
        client.message("a@example.com", ["bob@two.example"], SPAM)
        self.assertEqual(self.fields(self.delivered(1)[0])["Subject"], ["[JUNK] one"])
        client.message("a@example.com", ["eve@two.example"], SPAM)
        self.assertNotIn("X-DSPAM-Result", self.fields(self.delivered(2)[1]))
        self.assertEqual([user for user, _ in dspam.seen], ["joe@two.example", "bob@two.example"])

    def test_several_recipients_have_one_message(self):
        for rule, tagged in (("first", False), ("any", True), ("all", False)):
            with self.subTest(rule=rule):
                self.forget()
                dspam = self.dspam()
                # Bob calls mail spam that the others do not.
                dspam.corrected["bob@two.example", b"hello\r\n"] = True
                _, client = self.start(dspam, f'mixed = "{rule}"', name=rule)
                client.message("a@example.com", ["eve@two.example", "bob@two.example"], INNOCENT)
                fields = self.fields(self.delivered(1)[0])
                self.assertEqual(fields["Subject"], ["[SPAM] one" if tagged else "one"])
                self.assertEqual(fields["X-DSPAM-Result"], ["Spam" if tagged else "Innocent"])
                self.assertEqual([("eve@two.example", fields["X-DSPAM-Signature"][0]),
                                  ("bob@two.example", fields["X-DSPAM-Signature"][1])], list(dspam.signatures))

    def test_a_daemon_that_is_down_ends_as_on_failure_says(self):
        for on_failure, code in (("defer", 451), ("skip", 250), ("hold", 250)):
            with self.subTest(on_failure=on_failure):
                self.forget()
                port = rig.free_port()
                server, client = self.start(None, f'on_failure = "{on_failure}"', name=on_failure, server=f"127.0.0.1:{port}")
                client.message("a@example.com", ["bob@two.example"], INNOCENT, expect=code)
                failed = server.events("filter failed", filter="filter.spam", on_failure=on_failure)
                self.assertEqual(len(failed), 1)
                self.assertIn(f"DSPAM at 127.0.0.1:{port}: ", failed[0]["reason"])
                if on_failure == "skip":
                    self.assertNotIn("X-DSPAM-Result", self.fields(self.delivered(1)[0]))
                    continue
                self.assertEqual([m["queue_name"] for m in server.queue()], ["hold"] if on_failure == "hold" else [])
                # When it is back it is asked.
                self.dspam(port=port)
                client.message("a@example.com", ["bob@two.example"], INNOCENT)
                self.assertEqual(self.fields(self.delivered(1)[0])["X-DSPAM-Result"], ["Innocent"])

    def test_a_daemon_that_is_restarted_between_messages_is_no_failure(self):
        port = rig.free_port()  # which no client is given while nobody listens there
        dspam = self.dspam(port=port)
        _, client = self.start(dspam)
        client.message("a@example.com", ["bob@two.example"], INNOCENT)
        self.delivered(1)
        dspam.close()
        self.dspam(port=port)
        client.message("a@example.com", ["bob@two.example"], INNOCENT)
        self.delivered(2)

    def test_what_dspam_does_not_judge_is_a_failure_unless_it_may_be_silent(self):
        for final_dot, mode in ((False, "dspam"), (True, "dspam"), (False, "standard"), (True, "standard")):
            with self.subTest(final_dot=final_dot, mode=mode):
                self.forget()
                dspam = self.dspam(preferences={"bob@two.example": {"optOut": "on"}}, mode=mode, final_dot=final_dot)
                head = DLMTP if mode == "dspam" else 'mode = "lmtp"\n'
                server, client = self.start(dspam, name=f"strict-{mode}-{final_dot}", head=head)
                client.message("a@example.com", ["eve@two.example"], INNOCENT)
                client.message("a@example.com", ["bob@two.example"], SPAM, expect=451)
                self.assertIn("did not look at the message", server.events("filter failed")[0]["reason"])
                client.message("a@example.com", ["eve@two.example"], INNOCENT)  # which stops nobody else's
                self.delivered(2)
                _, client = self.start(dspam, 'no_verdict = "accept"', name=f"lenient-{mode}-{final_dot}", head=head)
                client.message("a@example.com", ["bob@two.example"], SPAM)
                self.assertNotIn("X-DSPAM-Result", self.fields(self.delivered(3)[2]))

    def test_dspams_own_preferences_do_not_make_it_deliver(self):
        dspam = self.dspam(preferences={"bob@two.example": {"spamAction": "tag"}})
        _, client = self.start(dspam)
        for n in (1, 2):
            client.message("a@example.com", ["bob@two.example"], SPAM)
            self.assertEqual(self.fields(self.delivered(n)[-1])["Subject"], ["[SPAM] one"])
        self.assertEqual(dspam.connections, 2)  # the message came back with the verdict

    def test_passwords_and_modes_must_fit(self):
        for name, dspam, head, why in (
                ("password", self.dspam(), 'ident = "mansio"\npassword = "guess"\n', "Authentication Required"),
                ("ident", self.dspam(mode="auto"), 'ident = "other"\npassword = "secret"\n', "DSPAMPROCESSMODE"),
                ("standard", self.dspam(mode="standard"), DLMTP, "DSPAMPROCESSMODE"),
                ("delivers", self.dspam(mode="standard", parameters="--deliver=innocent",
                                        deliver_to=("127.0.0.1", self.sink.port)), 'mode = "lmtp"\n', "--deliver=summary")):
            with self.subTest(name=name):
                server, client = self.start(dspam, name=name, head=head)
                client.message("a@example.com", ["bob@two.example"], INNOCENT, expect=451)
                self.assertIn(why, server.events("filter failed")[0]["reason"])
                self.assertNotIn("guess", server.log_text())

    def test_it_speaks_lmtp_too(self):
        for mode in ("standard", "auto"):
            with self.subTest(mode=mode):
                self.forget()
                dspam = self.dspam(mode=mode)
                _, client = self.start(dspam, name=mode, head='mode = "lmtp"\n')
                client.message("a@example.com", ["bob@two.example"], SPAM)
                self.assertEqual(self.fields(self.delivered(1)[0])["X-DSPAM-Result"], ["Spam"])
                self.assertEqual(dspam.senders, ["a@example.com"])

    def test_it_reads_mail_that_dspam_gives_back(self):
        dspam = self.dspam(mode="standard", parameters="--deliver=innocent,spam --stdout")
        _, client = self.start(dspam, head='mode = "lmtp"\n')
        client.message("a@example.com", ["bob@two.example"], SPAM)
        fields = self.fields(self.delivered(1)[0])
        self.assertEqual((fields["Subject"], fields["X-DSPAM-Confidence"]), (["[SPAM] one"], ["0.9700"]))

    def test_the_daemon_listens_on_a_socket_in_the_file_system(self):
        path = self.path("dspam.sock")
        dspam = self.dspam(path=path)
        os.chmod(path, 0o666)
        _, client = self.start(dspam, server=f"unix:{path}")
        client.message("a@example.com", ["bob@two.example"], INNOCENT)
        self.assertEqual(self.fields(self.delivered(1)[0])["X-DSPAM-Result"], ["Innocent"])

    def test_dspam_after_the_queue_brings_mail_back_to_another_listener(self):
        second = self.mansio(rig.relay_config(self.sink.port), name="second")
        dspam = self.dspam(mode="standard", parameters="--deliver=innocent", deliver_to=("127.0.0.1", second.port))
        first = self.mansio(f'''
myhostname = "mx.mansio.test"
[smtpd]
mynetworks = ["127.0.0.0/8"]
[listener.smtp]
listen = ["127.0.0.1:{{port}}"]
[transport.dspam]
plugin = "transport-lmtp"
[[route]]
transport = "dspam"
nexthop = "[127.0.0.1]:{dspam.port}"
''', name="first")
        with rig.Client(first.port) as client:
            client.cmd("EHLO client.test")
            client.message("a@example.com", ["bob@two.example", "eve@two.example"], INNOCENT)
            client.message("a@example.com", ["bob@two.example"], SPAM)
        messages = self.delivered(2)
        self.assertEqual(sorted(r for m in messages for r in m.recipients), ["bob@two.example", "eve@two.example"])
        for message in messages:
            self.assertEqual((message.sender, self.fields(message)["X-DSPAM-Result"]), ("a@example.com", ["Innocent"]))
        rig.wait_for(lambda: dspam.quarantine, "the quarantine")
        rig.wait_for(lambda: first.queue() == [], "the first queue to be empty")


if __name__ == "__main__":
    unittest.main()
