"""Start, stop, reload and restart: what the supervisor promises."""
import contextlib
import fcntl
import os
import resource
import signal
import socket
import time
import unittest

import rig


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rsplit(")", 1)[1].split()[0] != "Z"
    except rig.GONE:
        return False


class ProcessBasics(rig.TestCase):
    def start(self, extra="", **kw):
        self.sink = self.peer()
        return self.mansio(rig.relay_config(self.sink.port, extra), **kw)

    def send(self, server, sink_count):
        """Its queue id, once it is at the sink."""
        with rig.Client(server.port) as c:
            self.assertEqual(c.cmd("EHLO client.test")[0], 250)
            reply = c.message("a@example.com", ["b@example.org"], "Subject: x\r\n\r\nhello")
        rig.wait_for(lambda: self.sink.count() == sink_count, "the message at the sink")
        return reply[1].split()[-1]

    def replace(self, server, text):
        server.write_config(text)
        server.process.send_signal(signal.SIGHUP)

    def test_sigterm_stops_every_process_within_the_limit(self):
        server = self.start("stop_timeout = \"20s\"")
        children = list(server.children())
        self.assertTrue({"queue", "router", "control", "ingress.0"} <= set(server.children().values()))
        self.send(server, 1)
        self.assertEqual(server.stop(20 * rig.SLOW), 0)
        self.assertEqual([p for p in children if alive(p)], [])
        self.assertEqual(server.events("process killed"), [])
        self.assertNotIn('"level":"error"', server.log_text())
        self.assertFalse(os.path.exists(os.path.join(server.spool, "control.sock")))

    def test_children_end_with_a_killed_supervisor_and_the_next_start_succeeds(self):
        server = self.start()
        children = list(server.children())
        server.kill()
        rig.wait_for(lambda: not any(alive(p) for p in children), "the children's end")
        server.start()
        self.send(server, 1)

    def test_a_killed_supervisor_can_be_replaced_at_once(self):
        server = self.start()
        server.kill()
        server.start()
        self.send(server, 1)

    def test_each_process_is_started_again_when_it_dies(self):
        server = self.start()
        count = 0
        for role in ("queue", "ingress.0", "router", "egress.relay", "control"):
            pid = {name: pid for pid, name in server.children().items()}[role[:15]]
            ready = len(server.events("process ready", role=role))
            os.kill(pid, signal.SIGKILL)
            server.wait_event("process ready", ready + 1, role=role)
            count += 1
            self.accepted(server)
            qid = self.send(server, count)
            server.wait_event("delivery", qid=qid, status="sent")  # or the next kill may have it delivered again
        self.assertTrue(all(e["crashed"] for e in server.events("process ended")))

    def accepted(self, server):
        """MAIL is welcome again: the queue is attached."""
        def welcome():
            with contextlib.suppress(OSError, AssertionError):
                with rig.Client(server.port) as c:
                    return c.cmd("EHLO client.test")[0] == 250 and c.cmd("MAIL FROM:<a@example.com>")[0] == 250
        rig.wait_for(welcome, "MAIL to be welcome")

    def test_sighup_with_a_bad_configuration_keeps_the_old_one_and_says_why(self):
        server = self.start()
        before = server.children()
        self.replace(server, rig.relay_config(self.sink.port, "no_such_key = 1"))
        failed = server.wait_event("reload failed, the old configuration stays in force")
        self.assertIn("no_such_key", failed[0]["reason"])
        rig.wait_for(lambda: server.children() == before, "the same processes as before")
        self.send(server, 1)

    def test_sighup_with_an_occupied_listener_keeps_the_old_configuration(self):
        server = self.start()
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            s.listen()
            text = rig.relay_config(self.sink.port).replace('"127.0.0.1:{port}"', f'"127.0.0.1:{{port}}", "127.0.0.1:{s.getsockname()[1]}"')
            self.replace(server, text)
            failed = server.wait_event("reload failed, the old configuration stays in force")
        self.assertIn("in use", failed[0]["reason"])
        self.send(server, 1)

    def test_sighup_takes_over_a_new_configuration_without_closing_the_port(self):
        server = self.start()
        ingress = server.pids("ingress")
        text = rig.relay_config(self.sink.port).replace('myhostname = "mx.mansio.test"', 'myhostname = "new.mansio.test"')
        self.replace(server, text)
        server.wait_event("reloaded", epoch=2)
        def new_banner():
            with rig.Client(server.port, greet=False) as c:
                return "new.mansio.test" in c.reply()[1]
        rig.wait_for(new_banner, "the new host name")
        rig.wait_for(lambda: not any(alive(p) for p in ingress), "the old generation's end")
        self.accepted(server)
        self.send(server, 1)

    def test_a_reload_lets_what_is_under_way_finish_and_a_stop_does_not_wait_for_it(self):
        server = self.start('stop_timeout = "1s"')
        text = rig.relay_config(self.sink.port, 'stop_timeout = "1s"\nmydomain = "other.test"')
        with rig.Client(server.port) as c, rig.Client(server.port) as late:
            for client in (c, late):
                self.assertEqual(client.cmd("EHLO client.test")[0], 250)
                self.assertEqual(client.cmd("MAIL FROM:<a@example.com>")[0], 250)
                self.assertEqual(client.cmd("RCPT TO:<b@example.org>")[0], 250)
                self.assertEqual(client.cmd("DATA")[0], 354)
                client.send("Subject: x\r\n\r\nhel")
            self.replace(server, text)
            server.wait_event("reloaded", epoch=2)
            begun = time.monotonic()
            rig.wait_for(lambda: time.monotonic() > begun + 3, "longer than a stop may take")
            c.send("lo\r\n.\r\n")
            self.assertEqual(c.reply()[0], 250)
            rig.wait_for(lambda: self.sink.count() == 1, "the message at the sink")
            self.assertEqual(server.stop(), 0)
            self.assertNotEqual(late.reply()[0], 250)

    def test_a_second_instance_on_the_same_spool_is_refused(self):
        server = self.start()
        other = rig.Mansio(self.dir, rig.relay_config(self.sink.port), name="other")
        other.spool = server.spool
        other.write_config(rig.relay_config(self.sink.port))
        result = rig.run_program("run", "--config", other.config)
        self.assertNotEqual(result.returncode, 0)
        self.assertIn(str(server.process.pid), result.stderr)
        self.send(server, 1)

    def test_a_configuration_that_does_not_fit_in_the_descriptor_limit_is_refused(self):
        server = rig.Mansio(self.dir, rig.relay_config(1).replace("[smtpd]", "[smtpd]\nconnection_limit = 100000"))

        def narrow():  # root could raise the hard limit again
            resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
            if os.geteuid() == 0:
                os.setgid(65534)
                os.setuid(65534)
        result = rig.run_program("run", "--config", server.config, preexec_fn=narrow)
        self.assertEqual(result.returncode, 78, result.stderr)
        self.assertIn("connection_limit", result.stderr)
        self.assertIn("open files", result.stderr)

    def test_a_broken_configuration_is_refused_with_file_and_line(self):
        server = rig.Mansio(self.dir, rig.relay_config(1, "mydestinaton = 1"))
        result = rig.run_program("run", "--config", server.config)
        self.assertEqual(result.returncode, 78)
        self.assertIn("mydestinaton", result.stderr)
        self.assertIn(server.config, result.stderr)

    def test_all_roles_run_as_threads(self):
        server = self.start(f'user = "nobody"', single=True)
        self.assertEqual(server.children(), {})
        self.send(server, 1)
        self.assertEqual(server.stop(), 0)

    def test_the_log_file_is_reopened(self):
        log = self.path("log", "mansio.log")
        os.mkdir(self.path("log"))
        server = rig.Mansio(self.dir, "", name="mansio")
        self.sink = self.peer()
        server.write_config(rig.relay_config(self.sink.port) + f'\n[log]\ntarget = "{log}"\n')
        self.addCleanup(server.close)
        server.start(wait=False)
        def has(path, text):
            with contextlib.suppress(FileNotFoundError):
                with open(path) as f:
                    return text in f.read()
        rig.wait_for(lambda: has(log, '"event":"ready"'), "the log file")
        os.rename(log, log + ".1")
        server.process.send_signal(signal.SIGUSR1)
        rig.wait_for(lambda: os.path.exists(log), "the new log file")
        self.send(server, 1)
        rig.wait_for(lambda: has(log, '"event":"delivery"'), "a role's line in the new file")

    def start_by_hand(self, *args, **kw):
        self.sink = self.peer()
        server = rig.Mansio(self.dir, rig.relay_config(self.sink.port))
        server.process = self.spawn([rig.MANSIO, "run", "--config", server.config, *args], **kw)
        rig.wait_for_port(server.port)
        return server

    def test_mail_goes_on_when_nobody_reads_the_log(self):
        reading, writing = os.pipe()
        self.addCleanup(os.close, reading)
        fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
        server = self.start_by_hand(stdout=writing, stderr=writing)
        os.close(writing)
        for n in range(1, 31):
            self.send(server, n)
        self.assertEqual(server.stop(), 0)

    def test_no_file_of_ours_takes_the_place_of_a_closed_standard_stream(self):
        def close_all():
            for fd in range(3):
                os.close(fd)
        server = self.start_by_hand(preexec_fn=close_all)
        self.send(server, 1)
        for pid in [server.process.pid, *server.children()]:
            for fd in range(3):
                self.assertEqual(os.readlink(f"/proc/{pid}/fd/{fd}"), "/dev/null", f"{fd} of {pid}")
        self.assertEqual(server.stop(), 0)

    def test_a_soft_descriptor_limit_is_raised_to_the_hard_one_for_every_process(self):
        hard = min(resource.getrlimit(resource.RLIMIT_NOFILE)[1], 65536)
        server = self.start_by_hand(preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard)))
        self.send(server, 1)
        rig.wait_for(lambda: "control" in server.children().values(), "the last process")
        for pid in [server.process.pid, *server.children()]:
            with open(f"/proc/{pid}/limits") as f:
                soft = int(next(line for line in f if line.startswith("Max open files")).split()[3])
            self.assertGreaterEqual(soft, hard, f"of {pid}")
        self.assertEqual(server.stop(), 0)

    def test_another_spool_may_be_named_at_the_start(self):
        other = self.path("other-spool")
        server = self.start_by_hand("--spool", other)
        self.send(server, 1)
        self.assertFalse(os.path.exists(server.spool))
        rig.wait_for(lambda: "egress.relay" in server.cli("status", "--spool", other, check=False), "an answer of the control process")
        self.assertTrue(os.path.exists(os.path.join(other, "control.sock")))
        self.assertTrue(os.listdir(os.path.join(other, "segments")))
        self.assertEqual(rig.run_program("status", "--config", server.config).returncode, 1)
        self.assertEqual(server.stop(), 0)

    def test_the_operator_sees_and_steers(self):
        server = self.start()
        status = server.cli("status")
        self.assertIn("egress.relay", status)
        self.assertIn(f"127.0.0.1:{server.port}", status)
        self.assertEqual(server.cli("queue", "list"), "Mail queue is empty\n")
        metrics = server.cli("status", "--metrics")
        self.assertIn("# TYPE mansio_process_crashes_total counter", metrics)
        server.cli("reload")
        server.wait_event("reloaded", epoch=2)
        self.assertTrue(any("uid 0" in e["by"] or f"uid {os.getuid()}" in e["by"] for e in server.events("operator command")))
        server.cli("stop")
        self.assertEqual(server.process.wait(rig.LIMIT), 0)
        result = rig.run_program("status", "--config", server.config)
        self.assertEqual(result.returncode, 1)
        self.assertIn("Is Mansio running", result.stderr)

    def test_a_held_message_is_listed_shown_and_released(self):
        refuse = [True]
        self.sink = self.peer(on=lambda command, session, argument: "450 4.2.0 later" if command == "RCPT" and refuse[0] else None)
        server = self.mansio(rig.relay_config(self.sink.port))
        with rig.Client(server.port) as c:
            c.cmd("EHLO client.test")
            c.message("a@example.com", ["b@example.org"], "Subject: x\r\n\r\nhello")
        queued = rig.wait_for(lambda: [m for m in server.queue() if m["queue_name"] == "deferred"], "a deferred message")
        qid = queued[0]["queue_id"]
        table = server.cli("queue", "list")
        self.assertTrue(table.startswith("-Queue ID-  --Size-- ----Arrival Time---- -Sender/Recipient-------\n" + qid))
        self.assertRegex(table, r"\n-- \d+ Kbytes in 1 Request\.\n$")
        self.assertEqual(server.cli("queue", "hold", qid), "1 message\n")
        self.assertIn(qid + "!", server.cli("queue", "list"))
        self.assertIn('"groups"', server.cli("queue", "show", qid))
        refuse[0] = False
        server.cli("queue", "release", "--match", "sender=a@example.com")
        server.cli("queue", "flush", "--all")
        rig.wait_for(lambda: self.sink.count() == 1, "the message at the sink")
        rig.wait_for(lambda: server.queue() == [], "an empty queue")


if __name__ == "__main__":
    unittest.main()
