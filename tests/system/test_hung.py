"""A delivery process that hangs neither stops the queue nor keeps mail."""
import os
import signal
import threading
import unittest

import rig

LIMIT = 2 * rig.SLOW  # delivery_time_limit


class Hung(rig.TestCase):
    def test_a_stopped_egress_is_killed_and_its_mail_is_delivered(self):
        under_way, stopped = threading.Event(), threading.Event()

        def reply(command, session, argument):
            if command == "DATA" and not stopped.is_set():
                under_way.set()
                stopped.wait(rig.LIMIT)

        sink = self.peer(on=reply)
        config = rig.relay_config(sink.port).replace(
            'plugin = "transport-smtp"', f'plugin = "transport-smtp"\ndelivery_time_limit = "{LIMIT}s"')
        server = self.mansio(config + '[queue]\nminimal_backoff_time = "1s"\nmaximal_backoff_time = "1s"\n')
        egress = server.pids("egress.relay")[0]
        with rig.Client(server.port) as c:
            self.assertEqual(c.cmd("EHLO client.test")[0], 250)
            c.message("a@example.com", ["b@one.example"], "Subject: under way\r\n\r\nx")
            self.assertTrue(under_way.wait(rig.LIMIT))
            os.kill(egress, signal.SIGSTOP)
            stopped.set()
            for i in range(3):
                c.message("a@example.com", [f"b@{i}.example"], f"Subject: {i}\r\n\r\nx")

        def delivered():
            with sink.lock:
                return {r for m in sink.messages for r in m.recipients}
        expected = {"b@one.example", *(f"b@{i}.example" for i in range(3))}
        rig.wait_for(lambda: delivered() == expected, "every message at the sink")
        rig.wait_for(lambda: server.queue() == [], "an empty queue")
        killed = server.events("process killed", role="egress.relay")
        self.assertEqual([k["pid"] for k in killed], [egress])
        self.assertEqual(server.events("a delivery process does not answer in time: it is killed")[0]["pid"], egress)


if __name__ == "__main__":
    unittest.main()
