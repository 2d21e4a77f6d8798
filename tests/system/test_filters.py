"""Filters and policies in the whole program, in the ingress processes and in one of their own: what they refuse is refused,
what they change is delivered changed, their failures end as on_failure says, and whatever they do no message that was
acknowledged is lost and none is half taken. The plugin is tests/fixtures/filter-odd.c, which does as the first word of an
address, a HELO name or the field X-Do says."""
import os
import re
import signal
import socket
import unittest

import rig

MODES = ("inproc", "process")

CONFIG = '''
myhostname = "mx.mansio.test"
ingress_processes = 1
[smtpd]
mynetworks = ["127.0.0.0/8"]
%(smtpd)s
[listener.smtp]
listen = ["127.0.0.1:{port}"]
%(listener)s
[policy.odd]
plugin = "filter-odd"
isolation = "%(mode)s"
command_timeout = "%(seconds)ds"
content_timeout = "%(seconds)ds"
%(policy)s
[filter.odd]
plugin = "filter-odd"
isolation = "%(mode)s"
command_timeout = "%(seconds)ds"
content_timeout = "%(seconds)ds"
%(filter)s
[transport.relay]
plugin = "transport-smtp"
[[route]]
domain = ["nowhere.example"]
error = "550 5.1.2 no such domain"
[[route]]
transport = "relay"
nexthop = "[127.0.0.1]:%(next_hop)d"
'''
# The stages of filter-odd that a test is about; without a word for it, it lets everything pass.
RCPT, MESSAGE = 32, 1024


class Filters(rig.TestCase):
    def setUp(self):
        super().setUp()
        self.sink = self.peer()

    def server(self, mode, smtpd='filters = ["odd"]\npolicies = ["odd"]', listener="", policy="", filter="", name="m"):
        values = {"mode": mode, "smtpd": smtpd, "listener": listener, "policy": policy, "filter": filter,
                  "seconds": 2 * rig.SLOW, "next_hop": self.sink.port}
        server = rig.Mansio(self.dir, CONFIG % values, plugins=self.plugins("filter-odd", "transport-smtp"), name=f"{name}-{mode}")
        self.addCleanup(server.close)
        server.start()
        return server

    def each_mode(self, **kw):
        for mode in MODES:
            with self.subTest(mode=mode):
                with self.sink.lock:
                    self.sink.messages.clear()
                server = self.server(mode, **kw)
                yield server
                server.close()

    def host(self, server, kind="host.filter"):
        return server.pids(kind)

    def said(self, server):
        """What the plugin logged: "stage 4 a@example.com", "abort ID"."""
        return re.findall(r'"event":"((?:stage|abort) .*?)".*"plugin":"filter-odd"', server.log_text())

    def delivered(self, n):
        rig.wait_for(lambda: self.sink.count() >= n, f"{n} messages at the sink")
        with self.sink.lock:
            return list(self.sink.messages)

    def left(self, server, names):
        """Waits until the queue has just these, of what the sink has no more."""
        rig.wait_for(lambda: [m["queue_name"] for m in server.queue()] == names, f"the queue to have {names}")

    def test_a_policy_refuses_a_recipient_and_the_others_get_the_message(self):
        for server in self.each_mode(policy=f"stages = {RCPT}"):
            client = self.client(server)
            client.send("MAIL FROM:<a@example.com>\r\nRCPT TO:<reject@two.example>\r\nRCPT TO:<defer@two.example>\r\n"
                        "RCPT TO:<thread@two.example>\r\nDATA\r\n")
            self.assertEqual([client.reply() for _ in range(5)],
                             [(250, "2.1.0 Ok"), (550, "5.7.9 no, thank you"), (451, "4.7.1 not now"), (250, "2.1.5 Ok"),
                              (354, "End data with <CR><LF>.<CR><LF>")])
            client.send("Subject: x\r\n\r\nx\r\n.\r\n")
            self.assertEqual(client.reply()[0], 250)
            self.assertEqual(self.delivered(1)[0].recipients, ["thread@two.example"])
            refused = server.events("refused by a filter", filter="policy.odd")
            self.assertEqual([r["reply"] for r in refused], ["550 5.7.9 no, thank you", "451 4.7.1 not now"])

    def test_a_filter_edits_everything_and_the_edited_message_is_delivered(self):
        for server in self.each_mode():
            client = self.client(server, "greet.test")
            reply = client.message("a@example.com", ["bob@two.example", "removed@two.example"],
                                   "X-Do: edit\r\nX-Remove: 1\r\nSubject: old\r\n\r\nold body")
            message = self.delivered(1)[0]
            self.assertEqual(message.sender, "edited@sender.example")
            self.assertEqual(sorted(message.recipients), ["added@two.example", "bob@two.example"])
            header, body = message.content.split(b"\r\n\r\n", 1)
            self.assertEqual(body, b"new\r\nbody here\r\n")
            trace, own = header.split(b"\r\nX-First: 1\r\n")
            self.assertTrue(trace.startswith(b"Received: from greet.test"))
            self.assertEqual(own, b"X-Do: edit\r\nSubject: changed\r\nX-Odd: yes\r\n folded\r\nX-Greeted: yes")
            # The plugin's lines carry the id that the client was told.
            self.assertTrue(server.events("accepted", qid=reply[1].split()[-1]))

    def test_a_message_is_refused_held_or_discarded_at_its_end(self):
        for server in self.each_mode():
            client = self.client(server)
            reply = client.message("a@example.com", ["bob@two.example"], "X-Do: reject571\r\n\r\nx", expect=571)
            self.assertEqual(reply, (571, "5.7.9 blocked"))
            client.message("a@example.com", ["bob@two.example"], "X-Do: defer\r\n\r\nx", expect=451)
            client.message("a@example.com", ["bob@two.example"], "X-Do: hold\r\n\r\nx")
            client.message("a@example.com", ["bob@two.example"], "X-Do: discard\r\n\r\nx")
            client.message("a@example.com", ["bob@two.example"], "X-Do: empty\r\n\r\nx")
            client.message("a@example.com", ["bob@two.example"], "X-Do: skip\r\n\r\nlast")
            self.assertNotIn(b"X-Skipped", self.delivered(1)[0].content)
            self.assertEqual(len(server.events("discarded")), 2)
            self.left(server, ["hold"])
            (held,) = server.queue()
            self.assertIn("by filter.odd: looks bad", server.cli("queue", "show", held["queue_id"]))
            server.cli("queue", "release", held["queue_id"])
            self.delivered(2)

    def test_large_messages_and_large_edits(self):
        for server in self.each_mode():
            client = self.client(server)
            body = "y" * 70 + ("\r\n" + "y" * 70) * 39_999
            client.message("a@example.com", ["bob@two.example"], "X-Do: edit\r\n\r\n" + body)
            client.message("a@example.com", ["bob@two.example"], "X-Do: nothing\r\n\r\n" + body)
            client.message("a@example.com", ["bob@two.example"], "X-Do: huge\r\n\r\nx")
            by_size = sorted(self.delivered(3), key=lambda m: len(m.content))
            self.assertTrue(by_size[0].content.endswith(b"new\r\nbody here\r\n"))
            self.assertTrue(by_size[1].content.endswith(b"\r\n\r\n" + (b"x" * 98 + b"\r\n") * 5000))
            self.assertTrue(by_size[2].content.endswith(b"\r\n\r\n" + body.encode() + b"\r\n"))

    def test_stages_are_shown_in_order_and_an_abort_is_told(self):
        for server in self.each_mode(smtpd='filters = ["odd"]'):
            client = self.client(server)
            client.message("a@example.com", ["bob@two.example"], "Subject: x\r\n\r\nx")
            client.cmd("MAIL FROM:<b@example.com>")
            client.cmd("RSET")
            client.cmd("QUIT")
            lines = rig.wait_for(lambda: (lambda e: e if e and e[-1].startswith("stage 11") else None)(self.said(server)),
                                 "the end of the session")
            self.assertEqual([line.split()[1] if line.startswith("stage") else "abort" for line in lines],
                             ["0", "1", "4", "5", "6", "7", "8", "10", "4", "abort", "11"])

    def test_a_listener_may_have_others_or_none(self):
        for server in self.each_mode(smtpd='policies = ["odd"]', listener="policies = []"):
            client = self.client(server)
            client.message("a@example.com", ["reject@two.example"], "Subject: x\r\n\r\nx")
            self.delivered(1)

    def test_failures_end_as_on_failure_says(self):
        expected = {"defer": 451, "skip": 250, "hold": 250}
        for on_failure, code in expected.items():
            for server in self.each_mode(filter=f'on_failure = "{on_failure}"', smtpd='filters = ["odd"]', name=on_failure):
                client = self.client(server)
                sins = ("never", "strange", "unroutable")
                for sin in sins:
                    client.message("a@example.com", ["bob@two.example"], f"X-Do: {sin}\r\n\r\nx", expect=code)
                failed = server.events("filter failed", filter="filter.odd", on_failure=on_failure)
                self.assertEqual(len(failed), len(sins), server.log_text())
                self.assertIn("time limit exceeded", failed[0]["reason"])
                if on_failure == "skip":
                    self.delivered(len(sins))
                if on_failure == "hold":
                    self.assertEqual([m["queue_name"] for m in server.queue()], ["hold"] * len(sins))
                if on_failure == "defer":
                    self.assertEqual(server.queue(), [])
                # It is asked again about the next message.
                client.message("a@example.com", ["bob@two.example"], "X-Do: twice\r\n\r\nx")
                self.assertTrue(server.wait_event("plugin misbehaves"))

    def test_nobody_waits_for_a_filter_that_thinks(self):
        for server in self.each_mode():
            slow, other = self.client(server), self.client(server)
            slow.cmd("MAIL FROM:<a@example.com>")
            slow.cmd("RCPT TO:<bob@two.example>")
            slow.cmd("DATA")
            slow.send("X-Do: never\r\n\r\nx\r\n.\r\n")
            server.wait_event("stage 10 ", plugin="filter-odd")
            other.message("a@example.com", ["bob@two.example"], "Subject: x\r\n\r\nx")
            self.delivered(1)
            self.assertEqual(slow.reply()[0], 451)

    def test_a_filter_that_reports_progress_has_its_time_anew(self):
        for server in self.each_mode():
            self.client(server).message("a@example.com", ["bob@two.example"], "X-Do: progress\r\n\r\nx")
            self.delivered(1)

    def test_nothing_is_taken_from_a_client_that_vanishes_while_a_filter_thinks(self):
        for server in self.each_mode():
            client = self.client(server)
            client.cmd("MAIL FROM:<a@example.com>")
            client.cmd("RCPT TO:<bob@two.example>")
            client.cmd("DATA")
            client.send("X-Do: never\r\n\r\nx\r\n.\r\n")
            server.wait_event("stage 10 ", plugin="filter-odd")
            client.sock.shutdown(socket.SHUT_RDWR)
            server.wait_event("lost connection")
            rig.wait_for(lambda: any(line.startswith("abort ") for line in self.said(server)), "the abort")
            self.assertEqual(server.queue(), [])
            self.assertEqual(server.events("accepted"), [])

    def test_a_filter_that_crashes_loses_no_mail(self):
        for server in self.each_mode(filter='breaker_deaths = 100'):
            client = self.client(server)
            client.message("a@example.com", ["bob@two.example"], "Subject: before\r\n\r\nx")
            client.cmd("MAIL FROM:<a@example.com>")
            client.cmd("RCPT TO:<bob@two.example>")
            client.cmd("DATA")
            client.send("X-Do: crash\r\n\r\nx\r\n.\r\n")
            # In process it takes the ingress process along; isolated it is a failure as any other.
            self.assertEqual(client.reply()[0], 0 if "inproc" in server.config else 451)
            server.wait_event("process ended", crashed=True)
            self.retry(server, "Subject: after\r\n\r\nx")
            self.assertEqual(len(self.delivered(2)), 2)
            self.left(server, [])

    def retry(self, server, content):
        """As a client that was told to come again, or lost its connection."""
        def sent():
            try:
                with rig.Client(server.port) as client:
                    client.cmd("EHLO client.test")
                    client.cmd("MAIL FROM:<a@example.com>")
                    client.cmd("RCPT TO:<bob@two.example>")
                    if client.cmd("DATA")[0] != 354:
                        return False
                    client.send(content + "\r\n.\r\n")
                    return client.reply()[0] == 250
            except (AssertionError, OSError):
                return False
        rig.wait_for(sent, "the message to be taken")

    def test_a_filter_that_blocks_costs_its_own_process_and_no_mail(self):
        for server in self.each_mode(policy='breaker_time = "1s"', filter='breaker_time = "1s"'):
            client = self.client(server)
            client.message("a@example.com", ["bob@two.example"], "Subject: before\r\n\r\nx")
            client.cmd("MAIL FROM:<a@example.com>")
            client.cmd("RCPT TO:<bob@two.example>")
            client.cmd("DATA")
            client.send("X-Do: block\r\n\r\nx\r\n.\r\n")
            self.assertEqual(client.reply()[0], 0 if "inproc" in server.config else 451)
            rig.wait_for(lambda: "process ends itself: its loop hangs" in server.log_text(), "the watchdog")
            self.retry(server, "Subject: after\r\n\r\nx")
            self.assertEqual(len(self.delivered(2)), 2)

    def test_its_process_is_killed_while_it_sees_a_message(self):
        for on_failure, code in (("defer", 451), ("skip", 250), ("hold", 250)):
            with self.subTest(on_failure=on_failure):
                with self.sink.lock:
                    self.sink.messages.clear()
                server = self.server("process", filter=f'on_failure = "{on_failure}"', smtpd='filters = ["odd"]', name="kill" + on_failure)
                client = self.client(server)
                client.cmd("MAIL FROM:<a@example.com>")
                client.cmd("RCPT TO:<bob@two.example>")
                client.cmd("DATA")
                client.send("X-Do: never\r\n\r\nx\r\n.\r\n")
                server.wait_event("stage 10 ", plugin="filter-odd")
                old = self.host(server)
                os.kill(old[0], signal.SIGKILL)
                self.assertEqual(client.reply()[0], code)
                # Its successor knows nothing of the message; it is asked about the next one.
                rig.wait_for(lambda: self.host(server) not in ([], old), "a new process")
                client.message("a@example.com", ["bob@two.example"], "X-Do: edit\r\n\r\nx")
                self.assertIn(b"X-Odd: yes", self.delivered(2 if on_failure == "skip" else 1)[-1].content)
                self.left(server, ["hold"] if on_failure == "hold" else [])
                server.close()

    def test_its_process_dies_between_two_stages_of_a_message(self):
        server = self.server("process", smtpd='filters = ["odd"]')
        client = self.client(server)
        client.cmd("MAIL FROM:<a@example.com>")
        old = self.host(server)
        os.kill(old[0], signal.SIGKILL)
        rig.wait_for(lambda: self.host(server) not in ([], old), "a new process")
        # What it had seen is forgotten, so its opinion of the rest counts for nothing.
        self.assertEqual(client.cmd("RCPT TO:<bob@two.example>")[0], 451)
        client.cmd("RSET")
        client.message("a@example.com", ["bob@two.example"], "Subject: x\r\n\r\nx")
        self.delivered(1)

    def test_an_open_breaker_answers_at_once(self):
        server = self.server("process", smtpd='filters = ["odd"]', filter='breaker_deaths = 1\nbreaker_time = "3600s"\non_failure = "skip"')
        os.kill(self.host(server)[0], signal.SIGKILL)
        server.wait_event("breaker open: the plugin's process keeps dying and is not started for a while; on_failure answers")
        self.client(server).message("a@example.com", ["bob@two.example"], "Subject: x\r\n\r\nx")
        self.delivered(1)

    def test_a_reload_changes_who_is_asked(self):
        for server in self.each_mode(policy=f"stages = {RCPT}", filter=f"stages = {MESSAGE}"):
            client = self.client(server)
            client.cmd("MAIL FROM:<a@example.com>")
            self.assertEqual(client.cmd("RCPT TO:<reject@two.example>")[0], 550)
            with open(server.config) as f:
                text = f.read()
            with open(server.config, "w") as f:
                f.write(text.replace('policies = ["odd"]', ""))
            server.cli("reload")
            self.client(server).message("a@example.com", ["reject@two.example"], "Subject: x\r\n\r\nx")
            self.delivered(1)

    def test_problems_of_a_configuration_are_told_with_their_place(self):
        text = CONFIG % {"mode": "inproc", "smtpd": 'filters = ["od"]\npolicies = ["odd", "odd"]', "listener": "",
                         "policy": "memory_limit = 1000000", "filter": "stages = true", "seconds": 1, "next_hop": 25}
        server = rig.Mansio(self.dir, text, plugins=self.plugins("filter-odd", "transport-smtp"), name="bad")
        result = rig.run_program("check", "--config", server.config)
        self.assertEqual(result.returncode, 1)
        for wrong in (r':\d+: smtpd.filters names "od", but there is no \[filter.od\]; did you mean "odd"\?',
                      r':\d+: smtpd.policies names "odd" a second time',
                      r':\d+: policy.odd.memory_limit bounds a process of its own',
                      r':\d+: filter.odd.stages is "true", expected an integer'):
            self.assertRegex(result.stderr, wrong)


if __name__ == "__main__":
    unittest.main()
