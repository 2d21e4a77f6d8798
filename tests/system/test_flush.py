"""Mail that waits is tried when somebody asks: ETRN, a flush of one destination, transports that wait for one. And what
keeps a queue from growing: a limit on the backlog, warnings, soft_bounce."""
import threading
import unittest

import rig


class Flush(rig.TestCase):
    def setUp(self):
        super().setUp()
        self.ready = threading.Event()
        self.sink = self.peer(on=lambda command, *_: "450 4.2.0 later" if command == "RCPT" and not self.ready.is_set() else None)

    def start(self, smtpd="", queue="", top="", **kw):
        config = rig.relay_config(self.sink.port, 'relay_domains = ["relay.test", "other.test"]\n' + top).replace("[smtpd]", "[smtpd]\n" + smtpd, 1)
        return self.mansio(config + "[queue]\n" + queue, **kw)

    def send(self, server, *recipients):
        """Mail that waits for its next attempt."""
        before = len(server.deliveries(status="deferred"))
        with rig.Client(server.port) as c:
            c.cmd("EHLO client.test")
            for r in recipients:
                c.message("a@example.com", [r], "Subject: x\r\n\r\nhello\r\n")
        server.wait_deferred(before + len(recipients))

    def only(self, server, recipient):
        rig.wait_for(lambda: [r["address"] for m in server.queue() for r in m["recipients"]] == [recipient],
                     f"the queue to have mail for {recipient} alone")

    def test_a_client_asks_for_its_mail_with_etrn(self):
        server = self.start(smtpd='etrn_clients = ["127.0.0.0/8"]\n')
        self.send(server, "b@relay.test", "b@sub.relay.test", "b@other.test")
        self.ready.set()
        with rig.Client(server.port) as c:
            self.assertIn("ETRN", c.cmd("EHLO client.test")[1].splitlines())
            self.assertEqual(c.cmd("ETRN nobody.test")[0], 459)
            self.assertEqual(c.cmd("ETRN #x")[0], 501)
            self.assertEqual(c.cmd("ETRN relay.test"), (253, "2.0.0 OK, 1 pending messages for node relay.test started"))
            rig.wait_for(lambda: self.sink.count() == 1, "the mail for relay.test")
            self.assertEqual(c.cmd("ETRN @relay.test")[0], 253)
            rig.wait_for(lambda: self.sink.count() == 2, "the mail for its subdomain")
            self.assertEqual(c.cmd("ETRN relay.test")[0], 251)
        self.assertEqual([m.recipients for m in self.sink.messages], [["b@relay.test"], ["b@sub.relay.test"]])
        self.only(server, "b@other.test")
        self.assertTrue(server.events("queue command", verb="flush", by="client 127.0.0.1"))

    def test_etrn_is_not_there_unless_configured(self):
        server = self.start()
        with rig.Client(server.port) as c:
            self.assertNotIn("ETRN", c.cmd("EHLO client.test")[1])
            self.assertEqual(c.cmd("ETRN relay.test")[0], 459)

    def test_an_operator_flushes_one_destination(self):
        server = self.start()
        self.send(server, "b@one.test", "b@two.test")
        self.ready.set()
        self.assertEqual(server.cli("queue", "flush", "--destination", "two.test"), "1 message\n")
        rig.wait_for(lambda: self.sink.count() == 1, "the mail for two.test")
        self.assertEqual(self.sink.messages[0].recipients, ["b@two.test"])
        self.assertEqual(server.cli("queue", "flush", "--destination", f"[127.0.0.1]:{self.sink.port}"), "1 message\n")
        rig.wait_for(lambda: self.sink.count() == 2, "the mail by that next hop")

    def test_a_large_flush_ends_with_every_message_tried_once(self):
        server = self.start(top="default_process_limit = 4")
        self.send(server, *[f"b{i}@d{i}.test" for i in range(200)])
        self.ready.set()
        self.assertEqual(server.cli("queue", "flush", "--all"), "200 messages\n")
        rig.wait_for(lambda: self.sink.count() == 200, "all mail")
        rig.wait_for(lambda: server.queue() == [], "an empty queue")
        self.assertEqual(len({m.recipients[0] for m in self.sink.messages}), 200)

    def test_a_deferred_transport_delivers_only_what_is_flushed(self):
        self.ready.set()
        server = self.start(queue='defer_transports = ["relay"]\n')
        self.send(server, "b@one.test", "b@two.test")
        self.assertEqual(self.sink.connections, 0)
        self.assertEqual({e["text"] for e in server.deliveries()}, {"deferred transport"})
        self.assertEqual({e["dsn"] for e in server.deliveries()}, {"4.3.2"})
        server.cli("queue", "flush", "--destination", "one.test")
        rig.wait_for(lambda: self.sink.count() == 1, "the flushed mail")
        self.only(server, "b@two.test")

    def test_soft_bounce_keeps_mail_and_clients(self):
        self.sink.on = lambda command, session, argument: "550 5.1.1 no such user" if command == "RCPT" and not self.ready.is_set() else None
        server = self.start(top='soft_bounce = true\nlocal_recipients = ["someone"]')
        self.send(server, "b@one.test")
        self.assertEqual(server.deliveries()[0]["dsn"], "4.1.1")
        with rig.Client(server.port) as c:
            c.cmd("EHLO client.test")
            c.cmd("MAIL FROM:<a@example.com>")
            self.assertEqual(c.cmd("RCPT TO:<nobody@mansio.test>")[0], 450)
        self.ready.set()
        server.cli("queue", "flush", "--all")
        rig.wait_for(lambda: self.sink.count() == 1, "the message")

    def test_above_the_backlog_mail_is_asked_to_come_back(self):
        server = self.start(queue="backlog_limit = 3\n")
        self.send(server, "b@one.test", "b@two.test", "b@three.test")
        with rig.Client(server.port) as c:
            c.cmd("EHLO client.test")
            rig.wait_for(lambda: c.cmd("MAIL FROM:<a@example.com>")[0] == 452 or c.cmd("RSET")[0] != 250, "452 for new mail")
            self.ready.set()
            server.cli("queue", "flush", "--all")
            rig.wait_for(lambda: c.cmd("MAIL FROM:<a@example.com>")[0] == 250, "mail to be welcome again")

    def test_the_log_says_which_destination_holds_up_the_queue(self):
        stall = threading.Event()
        self.sink.on = lambda command, *_: rig.Peer.STALL if command == "DATA" and not stall.is_set() else None
        server = self.start(queue="qmgr_clog_warn_limit = 5\n", top="default_process_limit = 2")
        with rig.Client(server.port) as c:
            c.cmd("EHLO client.test")
            for _ in range(20):
                c.message("a@example.com", ["b@slow.test"], "Subject: x\r\n\r\nhello\r\n")
        (warning,) = server.wait_event("one destination fills the queue of what is due")
        self.assertEqual((warning["transport"], warning["limit"], warning["level"]), ("relay", "transport_sessions", "warn"))
        self.assertEqual(warning["destination"], f"[127.0.0.1]:{self.sink.port}")
        self.assertIn("process_limit (now 2)", warning["advice"])
        metrics = server.cli("status", "--metrics")
        self.assertRegex(metrics, r'mansio_queue_clog_warnings_total\{process="queue"\} 1\n')


if __name__ == "__main__":
    unittest.main()
