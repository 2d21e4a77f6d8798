"""filter-dspam against a real daemon of DSPAM, with its hash driver, in both of its protocols: verdicts, what becomes of spam,
users' wishes, corrections by mail and by command, what DSPAM does not judge, a daemon that is down. Registered when
-D MANSIO_DSPAM=/path/to/dspam says where one is."""
import re
import threading
import unittest

import rig
import test_filter_dspam as scripted
from dspam_daemon import DspamDaemon

# Lines of dots are something for both ends to get right.
SPAM = ("From: Pharmacy <offers@pills.example>\r\nSubject: cheap meds, no prescription\r\nX-Mailer: Bulk\r\n\r\n"
        "Buy viagra pills now, best casino bonus.\r\n.\r\n..\r\nClick here to unsubscribe\r\n")
INNOCENT = ("From: Alice <alice@friends.example>\r\nSubject: Minutes of the meeting\r\nX-Mailer: Mutt\r\n\r\n"
            "Dear Bob, attached are the minutes\r\n.\r\n..\r\nof yesterday's meeting. Regards, Alice\r\n")
WORDLESS = "x\r\n"  # no header and no word: DSPAM has nothing to judge by
PROTOCOLS = {"dlmtp": scripted.DLMTP, "lmtp": 'mode = "lmtp"\n'}


def stuffed(content):
    return re.sub(r"(?m)^\.", "..", content)


def bring(client, recipients, content, expect=250):
    return client.message("a@example.com", recipients, stuffed(content), expect=expect)


class FilterDspamDaemon(rig.TestCase):
    def setUp(self):
        super().setUp()
        self.sink = self.peer()

    def dspam(self, **kw):
        daemon = DspamDaemon(self.dir, **kw)
        self.addCleanup(daemon.stop)
        daemon.start()
        return daemon

    def start(self, dspam, filter, name, more="", mode="process"):
        values = {"mode": mode, "server": dspam.server, "filter": filter, "more": more, "next_hop": self.sink.port}
        server = self.mansio(scripted.CONFIG % values, name=name)
        return server, self.client(server)

    def delivered(self, n):
        rig.wait_for(lambda: self.sink.count() >= n, f"{n} messages at the sink")
        with self.sink.lock:
            return [scripted.FilterDspam.fields(m) for m in self.sink.messages]

    def forget(self):
        with self.sink.lock:
            self.sink.messages.clear()

    def judged(self, client, recipient, content):
        """The fields of a message that is delivered."""
        n = self.sink.count()
        bring(client, [recipient], content)
        return self.delivered(n + 1)[n]

    def test_mail_is_judged_and_spam_meets_what_its_user_wants(self):
        dspam = self.dspam()
        users = [name + "@two.example" for name in ("tag", "hold", "reject", "accept", "other")]
        for user in users:
            dspam.train(user, SPAM, INNOCENT)
        wishes = '''
[lookup.wishes]
plugin = "lookup-file"
inline = """
hold@two.example    spamAction=quarantine
reject@two.example  spamAction=reject
accept@two.example  spamAction=deliver
other@two.example   spamSubject=[JUNK]
none@two.example    optOut=on
"""
'''
        for protocol, options in PROTOCOLS.items():
            with self.subTest(protocol=protocol):
                self.forget()
                options += 'spam_header = "X-Spam-Flag: YES"\npreferences = "wishes"\nreject_text = "we want no spam"'
                server, client = self.start(dspam, options, protocol, wishes)
                ham = self.judged(client, "tag@two.example", "X-DSPAM-Result: Spam\r\n" + INNOCENT)
                self.assertEqual((ham["X-DSPAM-Result"], ham["Subject"]), (["Innocent"], ["Minutes of the meeting"]))
                self.assertNotIn("X-Spam-Flag", ham)
                spam = self.judged(client, "tag@two.example", SPAM)
                self.assertEqual((spam["X-DSPAM-Result"], spam["Subject"]), (["Spam"], ["[SPAM] cheap meds, no prescription"]))
                self.assertEqual(spam["X-Spam-Flag"], ["YES"])
                self.assertGreater(float(spam["X-DSPAM-Probability"][0]), float(ham["X-DSPAM-Probability"][0]))
                for fields in (ham, spam):
                    self.assertRegex(fields["X-DSPAM-Confidence"][0], r"^[01]\.\d\d$")
                    self.assertRegex(fields["X-DSPAM-Signature"][0], "^[0-9a-f]{10,}$")
                self.assertEqual(self.judged(client, "other@two.example", SPAM)["Subject"], ["[JUNK] cheap meds, no prescription"])
                accepted = self.judged(client, "accept@two.example", SPAM)
                self.assertEqual((accepted["X-DSPAM-Result"], accepted["Subject"]), (["Spam"], ["cheap meds, no prescription"]))
                self.assertNotIn("X-DSPAM-Result", self.judged(client, "none@two.example", SPAM))
                reply = bring(client, ["reject@two.example"], SPAM, expect=550)
                self.assertEqual(reply[1], "5.7.1 we want no spam")
                self.judged(client, "reject@two.example", INNOCENT)
                self.judged(client, "hold@two.example", INNOCENT)
                bring(client, ["hold@two.example"], SPAM)
                held = rig.wait_for(lambda: [m for m in server.queue() if m["queue_name"] == "hold"], "the spam to be held")
                self.assertIn("DSPAM calls it spam for hold@two.example", server.cli("queue", "show", held[0]["queue_id"]))
                n = self.sink.count()
                server.cli("queue", "release", held[0]["queue_id"])
                self.assertEqual(self.delivered(n + 1)[n]["X-DSPAM-Result"], ["Spam"])
                # Each user has a signature of his own.
                bring(client, ["tag@two.example", "other@two.example"], INNOCENT)
                self.assertEqual(len(set(self.delivered(n + 2)[n + 1]["X-DSPAM-Signature"])), 2)
                self.assertEqual(server.events("filter failed"), [])
        self.assertEqual([dspam.quarantine(user) for user in users], [""] * len(users))

    def learns(self, judge, correct, word):
        """Corrects each verdict until DSPAM has learnt it."""
        fields = judge()
        self.assertNotEqual(fields["X-DSPAM-Result"], [word])
        for _ in range(20):
            correct(fields["X-DSPAM-Signature"][0])
            fields = judge()
            if fields["X-DSPAM-Result"] == [word]:
                return fields
        self.fail(f"it is still not {word}")

    def test_users_teach_it_by_mail(self):
        dspam = self.dspam()
        server, client = self.start(dspam, scripted.DLMTP + '''
train_spam = ["spam@two.example"]
train_ham = ["notspam@two.example"]
''', "mail")

        def forward(address):
            return lambda signature: client.message(
                "bob@two.example", [address], f"Subject: Fwd: this\r\n\r\n> X-DSPAM-Signature: {signature}\r\n> and so on")

        def bob():
            return self.judged(client, "bob@two.example", SPAM)
        spam = self.learns(bob, forward("spam@two.example"), "Spam")
        self.assertEqual(spam["Subject"], ["[SPAM] cheap meds, no prescription"])
        # Another user's DSPAM has learnt nothing by that, and takes none of bob's signatures.
        signature = spam["X-DSPAM-Signature"][0]
        eve = self.judged(client, "eve@two.example", SPAM)
        self.assertEqual(eve["X-DSPAM-Result"], ["Innocent"])
        client.message("eve@two.example", ["spam@two.example"], f"Subject: x\r\n\r\nX-DSPAM-Signature: {signature}", expect=550)
        self.learns(bob, forward("notspam@two.example"), "Innocent")
        client.message("bob@two.example", ["spam@two.example"], "Subject: Fwd\r\n\r\nX-DSPAM-Signature: 4f6a0000", expect=550)
        # The filter goes on after what DSPAM did not know.
        bob()
        self.assertEqual(server.events("filter failed"), [])

    def test_users_teach_it_by_command(self):
        dspam = self.dspam()
        for protocol, options in PROTOCOLS.items():
            with self.subTest(protocol=protocol):
                _, client = self.start(dspam, options, protocol)
                user = protocol + "@two.example"

                def correct(word):
                    return lambda signature: dspam.command(user, f"--class={word}", "--source=error", f"--signature={signature}")
                self.learns(lambda: self.judged(client, user, SPAM), correct("spam"), "Spam")
                self.learns(lambda: self.judged(client, user, SPAM), correct("innocent"), "Innocent")

    def test_what_it_does_not_judge_stops_nothing(self):
        dspam = self.dspam()
        dspam.opt_out("out@two.example")
        large = "Subject: large\r\n\r\n" + ("x" * 70 + "\r\n") * 2000
        for protocol, options in PROTOCOLS.items():
            with self.subTest(protocol=protocol):
                self.forget()
                server, client = self.start(dspam, options, protocol + "-strict")
                self.assertIn("X-DSPAM-Result", self.judged(client, "bob@two.example", INNOCENT))
                for recipient, content in (("bob@two.example", WORDLESS), ("out@two.example", INNOCENT),
                                           ("bob@two.example", large)):
                    bring(client, [recipient], content, expect=451)
                    self.assertIn("X-DSPAM-Result", self.judged(client, "bob@two.example", INNOCENT))
                for event in server.events("filter failed"):
                    self.assertIn("did not look at the message", event["reason"])
                self.assertEqual(len(server.events("filter failed")), 3)
                _, client = self.start(dspam, options + 'no_verdict = "accept"', protocol + "-lenient")
                for recipient, content in (("bob@two.example", WORDLESS), ("out@two.example", INNOCENT),
                                           ("bob@two.example", large)):
                    self.assertNotIn("X-DSPAM-Result", self.judged(client, recipient, content))
                self.assertIn("X-DSPAM-Result", self.judged(client, "bob@two.example", INNOCENT))

    def test_a_daemon_that_is_down_ends_as_on_failure_says(self):
        dspam = self.dspam()
        for protocol, options in PROTOCOLS.items():
            with self.subTest(protocol=protocol):
                self.forget()
                defer, client = self.start(dspam, options, protocol + "-defer")
                skip, skipping = self.start(dspam, options + 'on_failure = "skip"', protocol + "-skip")
                hold, holding = self.start(dspam, options + 'on_failure = "hold"', protocol + "-hold")
                self.judged(client, "bob@two.example", INNOCENT)
                dspam.stop()
                bring(client, ["bob@two.example"], INNOCENT, expect=451)
                self.assertIn(f"DSPAM at {dspam.server}: ", defer.events("filter failed")[0]["reason"])
                self.assertNotIn("X-DSPAM-Result", self.judged(skipping, "bob@two.example", INNOCENT))
                bring(holding, ["bob@two.example"], INNOCENT)
                rig.wait_for(lambda: [m["queue_name"] for m in hold.queue()] == ["hold"], "the message to be held")
                dspam.start()
                for connection in (client, skipping, holding):
                    self.assertEqual(self.judged(connection, "bob@two.example", INNOCENT)["X-DSPAM-Result"], ["Innocent"])
                # One that was restarted between two messages is none that is down.
                dspam.stop()
                dspam.start()
                self.assertEqual(self.judged(client, "bob@two.example", INNOCENT)["X-DSPAM-Result"], ["Innocent"])
                self.assertEqual(len(defer.events("filter failed")), 1)
                for server in (defer, skip, hold):
                    server.close()

    def test_many_clients_at_once(self):
        dspam = self.dspam()
        for protocol, options in PROTOCOLS.items():
            with self.subTest(protocol=protocol):
                self.forget()
                server, client = self.start(dspam, options, protocol)
                # Alone: two that are a new user's first at the same time are more than the hash driver takes.
                users = ["bob@two.example", *(f"user{n}@two.example" for n in range(6))]
                for user in users:
                    self.judged(client, user, INNOCENT)
                self.forget()
                failures = []

                def bring_all(n, client):
                    try:
                        for _ in range(5):
                            bring(client, [users[0], users[n + 1]], INNOCENT)
                    except AssertionError as failure:
                        failures.append(failure)
                threads = [threading.Thread(target=bring_all, args=(n, self.client(server))) for n in range(6)]
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join()
                self.assertEqual(failures, [])
                signatures = [s for fields in self.delivered(30) for s in fields["X-DSPAM-Signature"]]
                self.assertEqual(len(signatures), 60)

    def test_it_is_asked_over_a_socket_in_the_file_system(self):
        dspam = self.dspam(path=self.path("dspam.sock"))
        for protocol, options in PROTOCOLS.items():
            with self.subTest(protocol=protocol):
                _, client = self.start(dspam, options, protocol)
                self.assertEqual(self.judged(client, "bob@two.example", INNOCENT)["X-DSPAM-Result"], ["Innocent"])

    def test_passwords_and_modes_must_fit(self):
        dspam = self.dspam(mode="dspam")
        for name, options in (("password", 'ident = "mansio"\npassword = "guess"\n'),
                              ("ident", 'ident = "other"\npassword = "secret"\n'), ("lmtp", PROTOCOLS["lmtp"])):
            with self.subTest(name=name):
                server, client = self.start(dspam, options, name)
                bring(client, ["bob@two.example"], INNOCENT, expect=451)
                self.assertIn("Authentication Required", server.events("filter failed")[0]["reason"])

    def test_only_what_offers_its_protocol_hears_the_password(self):
        dspam = self.dspam(mode="standard")
        server, client = self.start(dspam, PROTOCOLS["dlmtp"], "mansio")
        bring(client, ["bob@two.example"], INNOCENT, expect=451)
        self.assertIn("DSPAMPROCESSMODE", server.events("filter failed")[0]["reason"])

    def test_its_own_preferences_do_not_make_it_deliver(self):
        dspam = self.dspam(spam_action="tag")
        dspam.train("bob@two.example", SPAM, INNOCENT)
        for protocol, options in PROTOCOLS.items():
            with self.subTest(protocol=protocol):
                _, client = self.start(dspam, options, protocol)
                for _ in range(2):
                    self.assertEqual(self.judged(client, "bob@two.example", SPAM)["Subject"],
                                     ["[SPAM] cheap meds, no prescription"])

    def test_it_may_give_mail_back(self):
        dspam = self.dspam(parameters="--deliver=innocent,spam --stdout")
        dspam.train("bob@two.example", SPAM, INNOCENT)
        _, client = self.start(dspam, PROTOCOLS["lmtp"], "mansio")
        for content, word in ((INNOCENT, "Innocent"), (SPAM, "Spam")):
            fields = self.judged(client, "bob@two.example", content)
            self.assertEqual(fields["X-DSPAM-Result"], [word])
            self.assertRegex(fields["X-DSPAM-Signature"][0], "^[0-9a-f]{10,}$")
            self.assertEqual(set(map(len, (fields[f"X-DSPAM-{n}"] for n in ("Confidence", "Probability", "Signature")))), {1})

    def test_one_that_delivers_mail_itself_is_not_given_more(self):
        dspam = self.dspam(parameters="--deliver=innocent", deliver_to=self.sink.port)
        server, client = self.start(dspam, PROTOCOLS["lmtp"], "mansio")
        bring(client, ["bob@two.example"], INNOCENT, expect=451)
        self.assertIn("--deliver=summary", server.events("filter failed")[0]["reason"])
        with self.client(server) as other:
            self.assertEqual(other.cmd("MAIL FROM:<a@example.com>")[0], 451)
        self.assertEqual(self.sink.count(), 1)


if __name__ == "__main__":
    unittest.main()
