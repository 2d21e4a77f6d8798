"""Mail from Postfix's smtp-source through Mansio into Postfix's smtp-sink, and what an operator sees of it."""
import json
import os
import re
import subprocess
import threading
import unittest

from rig import SLOW, Client, Mansio, TestCase, free_port, relay_config, wait_for, wait_for_port

SOURCE, SINK = "/usr/sbin/smtp-source", "/usr/sbin/smtp-sink"


class Relay(TestCase):
    def sink(self, *options):
        port = free_port()
        log = open(self.path("sink.out"), "wb")
        self.addCleanup(log.close)
        self.spawn([SINK, *(["-u", "nobody"] if os.geteuid() == 0 else []), "-c", *options, f"127.0.0.1:{port}", "1000"], stdout=log, stderr=log)
        wait_for_port(port)
        return port

    def source(self, server, *options):
        result = subprocess.run([SOURCE, *options, f"127.0.0.1:{server.port}"], capture_output=True, text=True, timeout=120 * SLOW)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(result.stderr, "")

    def relayed(self, single):
        server = self.mansio(relay_config(self.sink()), single=single)
        self.source(server, "-s", "10", "-m", "500", "-l", "5120", "-f", "from@example.org", "-t", "to@example.net")
        self.source(server, "-s", "10", "-m", "100", "-d", "-r", "5", "-f", "from@example.org", "-t", "to@example.net")
        server.wait_event("delivery", 500 + 5 * 100, status="sent")
        wait_for(lambda: server.queue() == [], "an empty queue")
        self.assertEqual(server.stop(), 0)

    def test_everything_accepted_arrives(self):
        self.relayed(single=False)

    def test_everything_accepted_arrives_with_one_process(self):
        self.relayed(single=True)

    def test_postfix_log_format_is_what_log_tools_parse(self):
        server = self.mansio('log = { format = "postfix" }\n' + relay_config(self.sink()))
        self.source(server, "-m", "3", "-f", "from@example.org", "-t", "to@example.net")
        line = re.compile(r"^[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \S+ mansio/\w+\[\d+\]: [0-9A-Z]{13}: to=<\d*to@example\.net>, "
                          r"relay=\S+\[127\.0\.0\.1\]:\d+, (conn_use=\d+, )?delay=[\d.]+, delays=[\d.]+/[\d.]+/[\d.]+/[\d.]+, "
                          r"dsn=2\.\d+\.\d+, status=sent \(.*\)$", re.M)
        wait_for(lambda: len(line.findall(server.log_text())) == 3, "three Postfix delivery lines")

    def test_waiting_mail_survives_a_restart_and_leaves_when_the_next_hop_is_up(self):
        port = free_port()  # nobody listens there yet
        config = relay_config(port) + "[queue]\nminimal_backoff_time = 1\nmaximal_backoff_time = 1\n"
        server = self.mansio(config)
        with Client(server.port) as client:
            client.cmd("EHLO test")
            client.message("a@example.org", ["b@example.net"], "Subject: patience\r\n\r\nwait\r\n")
        server.wait_event("delivery", status="deferred")
        (entry,) = wait_for(lambda: [e for e in server.queue() if e["queue_name"] == "deferred"], "the message to wait")
        self.assertEqual(entry["sender"], "a@example.org")
        self.assertEqual(entry["recipients"][0]["address"], "b@example.net")
        self.assertIn("delay_reason", entry["recipients"][0])
        self.assertGreater(entry["message_size"], 0)
        self.assertIn("Kbytes in 1 Request.", server.cli("queue", "list"))
        self.assertEqual(server.stop(), 0)

        server.start()
        self.assertEqual([e["queue_id"] for e in server.queue()], [entry["queue_id"]])
        peer = self.peer(port=port)
        wait_for(lambda: peer.count() == 1, "the delivery")
        wait_for(lambda: server.queue() == [], "an empty queue")
        self.assertIn("Mail queue is empty", server.cli("queue", "list"))

    def test_an_operator_can_hold_release_and_delete(self):
        port = free_port()
        server = self.mansio(relay_config(port))
        with Client(server.port) as client:
            client.cmd("EHLO test")
            for name in ("one", "two"):
                client.message(f"{name}@example.org", ["b@example.net"], "Subject: x\r\n\r\nx\r\n")
        server.wait_deferred(2)
        ids = {e["sender"]: e["queue_id"] for e in server.queue()}
        server.cli("queue", "hold", ids["one@example.org"])
        self.assertEqual({e["queue_id"]: e["queue_name"] for e in server.queue()}[ids["one@example.org"]], "hold")
        server.cli("queue", "delete", ids["two@example.org"])
        self.assertEqual([e["queue_id"] for e in server.queue()], [ids["one@example.org"]])
        peer = self.peer(port=port)
        server.cli("queue", "flush", "--all")
        server.cli("queue", "release", "--match", "sender=one@example.org")
        server.cli("queue", "flush", "--all")
        wait_for(lambda: peer.count() == 1, "the released message")
        self.assertEqual(peer.messages[0].sender, "one@example.org")
        self.assertIn("one@example.org", str(peer.messages[0]))

    def test_requeued_mail_is_as_if_new_and_takes_todays_route(self):
        retry = "[queue]\nminimal_backoff_time = 1\nmaximal_backoff_time = 1\n"
        server = self.mansio(relay_config(free_port()) + retry)
        with Client(server.port) as client:
            client.cmd("EHLO test")
            client.message("a@example.org", ["b@example.net"], "Subject: x\r\n\r\nx\r\n")
        server.wait_event("delivery", status="deferred")
        (entry,) = server.queue()

        def arrival():
            return json.loads(server.cli("queue", "show", entry["queue_id"]))["arrival"]
        first = arrival()
        ready = threading.Event()
        peer = self.peer(on=lambda command, *_: "451 4.3.0 not yet" if command == "RCPT" and not ready.is_set() else None)
        server.write_config(relay_config(peer.port) + retry)
        server.cli("reload")
        tried = len(server.deliveries(status="deferred"))
        server.wait_event("delivery", tried + 2, status="deferred")
        self.assertEqual(peer.connections, 0)  # it goes on where it was routed to
        self.assertEqual(arrival(), first)
        server.cli("queue", "requeue", entry["queue_id"])
        wait_for(lambda: ("RCPT" in [c for c, _ in peer.commands]), "an attempt at the new next hop")
        self.assertGreater(arrival(), first)
        ready.set()
        wait_for(lambda: peer.count() == 1, "the message")
        wait_for(lambda: server.queue() == [], "an empty queue")

    def test_expired_mail_goes_back_to_its_sender_at_once(self):
        def on(command, session, argument):
            if command == "RCPT" and "b@example.net" in argument:
                return "451 4.2.1 mailbox busy"
        peer = self.peer(on=on)
        server = self.mansio(relay_config(peer.port))
        with Client(server.port) as client:
            client.cmd("EHLO test")
            client.message("a@example.org", ["b@example.net"], "Subject: x\r\n\r\nx\r\n")
        server.wait_deferred()
        server.cli("queue", "expire", "--match", "recipient=b@example.net")
        wait_for(lambda: peer.count() == 1, "the bounce")
        (bounce,) = peer.messages
        self.assertEqual((bounce.sender, bounce.recipients), ("", ["a@example.org"]))
        self.assertIn(b"Action: failed", bounce.content)
        self.assertIn(b"Status: 4.2.1", bounce.content)
        self.assertIn("mailbox busy", server.wait_event("delivery", to="b@example.net", status="expired")[0]["text"])
        wait_for(lambda: server.queue() == [], "an empty queue")


if __name__ == "__main__":
    unittest.main()
