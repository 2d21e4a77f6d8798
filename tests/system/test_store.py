"""A store in the whole program, which is store-directory: what was acknowledged and is not done has two copies, however
often the store's process dies; no mail is taken without it; and a spool that is lost comes back from it, all that was
not delivered and nothing else."""
import contextlib
import os
import re
import shutil
import signal
import threading
import unittest

import rig

CONFIG = '''
[store.second]
plugin = "store-directory"
directory = "{dir}/copies"
breaker_deaths = 1000
%s
'''
RESTORED = "mail restored from a store"


class Stores(rig.TestCase):
    def setUp(self):
        super().setUp()
        os.mkdir(self.path("copies"))
        os.chmod(self.path("copies"), 0o777)
        self.later = True  # whether later@ is told to come again

        def replies(command, session, argument):
            if command == "RCPT" and "nobody@" in argument:
                return "550 5.1.1 no such user"
            if command == "RCPT" and "later" in argument and self.later:
                return "451 4.2.0 come again"
            return None
        self.sink = self.peer(on=replies)

    def server(self, extra="", **kw):
        server = self.mansio(rig.relay_config(self.sink.port) + CONFIG % extra, **kw)
        self.wait_taken(server)
        return server

    def files(self, ending):
        found = []
        for _, _, names in os.walk(self.path("copies")):
            # What a process that was killed had half written is no copy, and is left until it is old.
            found += [n[:-len(ending)] for n in names if n.endswith(ending) and not n.startswith(".")]
        return sorted(found)

    def file(self, qid):
        return next(os.path.join(d, n) for d, _, names in os.walk(self.path("copies")) for n in names if n.endswith(qid + ".mail"))

    def copies(self):
        """Queue ids of which the directory has a copy."""
        return sorted(name.split("-")[1] for name in self.files(".mail"))

    def wait_copies(self, ids):
        rig.wait_for(lambda: self.copies() == sorted(ids), f"the directory to have {ids}")

    def queued(self, server):
        return sorted(m["queue_id"] for m in server.queue())

    def send(self, server, recipients, subject="x"):
        """Its queue id."""
        with rig.Client(server.port) as client:
            self.assertEqual(client.cmd("EHLO client.test")[0], 250)
            reply = client.message("a@sender.example", recipients, f"Subject: {subject}\r\n\r\nbody of {subject}")
        return reply[1].split()[-1]

    def refused(self, server):
        """What a client is told that has mail; "" is welcome."""
        with rig.Client(server.port) as client:
            client.cmd("EHLO client.test")
            code, text = client.cmd("MAIL FROM:<a@sender.example>")
            return "" if code == 250 else f"{code} {text}"

    def wait_taken(self, server):
        rig.wait_for(lambda: self.host(server) and not self.refused(server), "mail to be taken")

    def host(self, server):
        return server.pids("host.store.")

    def subjects(self, recipient):
        """Of what came for this one."""
        return sorted(re.search(rb"Subject: (\S+)", m.content)[1].decode()
                      for m in self.sink.messages if recipient in m.recipients)

    def metric(self, server, name):
        found = re.search(rf'^{name}{{[^}}]*store="second"[^}}]*}} (\S+)$', server.cli("status", "--metrics"), re.M)
        return float(found[1]) if found else 0

    def test_a_copy_is_there_as_long_as_a_recipient_waits(self):
        server = self.server()
        self.send(server, ["b@one.example"])
        waiting = self.send(server, ["later@one.example"])
        list_ = self.send(server, ["b@one.example", "c@one.example", "later@one.example"])
        self.send(server, ["nobody@one.example"])  # and the bounce
        server.wait_event("delivery", 7)
        server.wait_event("delivery", to="a@sender.example", status="sent")
        self.wait_copies([waiting, list_])
        rig.wait_for(lambda: [n.split("-")[1] for n in self.files(".done")] == [list_], "what is known of the list")
        with open(self.file(waiting), "rb") as f:
            copy = f.read()
        self.assertTrue(copy.startswith(b"MANSIOCP"))
        self.assertIn(f"id {waiting}".encode(), copy)  # of our Received field
        self.later = False
        server.cli("queue", "flush", "--all")
        rig.wait_for(lambda: self.sink.count() == 5, "the rest")
        self.wait_copies([])
        self.assertEqual(self.files(".done"), [])
        self.assertEqual(self.metric(server, "mansio_store_connected"), 1)
        self.assertEqual(self.metric(server, "mansio_store_failures_total"), 0)

    def test_an_orderly_stop_leaves_the_store_as_the_spool(self):
        server = self.server()
        waiting = self.send(server, ["later@one.example"])
        server.wait_deferred()
        for i in range(50):
            self.send(server, [f"{i}@one.example"])
        rig.wait_for(lambda: self.sink.count() == 50, "all at the sink")
        self.assertEqual(server.stop(), 0)
        self.assertEqual(self.copies(), [waiting])
        server.start()
        self.assertEqual(self.queued(server), [waiting])
        self.wait_copies([waiting])

    def test_a_reload_begins_and_ends_it(self):
        plain = rig.relay_config(self.sink.port)
        server = self.mansio(plain)
        first = self.send(server, ["later@one.example"])
        server.write_config(plain + CONFIG % "")
        server.cli("reload")
        self.wait_taken(server)
        second = self.send(server, ["later@one.example"])
        self.wait_copies([second])
        server.write_config(plain)
        server.cli("reload")
        rig.wait_for(lambda: not self.host(server), "the store's process to end")
        third = self.send(server, ["later@one.example"])
        self.assertEqual(self.copies(), [second])
        server.wait_deferred(3)
        self.assertEqual(self.queued(server), sorted([first, second, third]))

    def test_nothing_acknowledged_is_missing_from_either_copy_when_its_process_is_killed(self):
        server = self.server()
        acknowledged, odd, over, lock = {}, [], threading.Event(), threading.Lock()

        def sender(number):
            n = 0
            while not over.is_set():
                try:
                    with rig.Client(server.port) as client:
                        client.cmd("EHLO client.test")
                        while not over.is_set():
                            n += 1
                            name = f"{number}.{n}"
                            to = f"later@{name}.example" if n % 2 else f"b@{name}.example"
                            if client.cmd("MAIL FROM:<a@sender.example>")[0] != 250:
                                break
                            client.cmd(f"RCPT TO:<{to}>")
                            client.cmd("DATA")
                            client.send(f"Subject: {name}\r\n\r\nbody\r\n.\r\n")
                            code, text = client.reply()
                            if code == 0:  # closed
                                break
                            with lock:
                                if code == 250:
                                    acknowledged[text.split()[-1]] = to
                                elif code != 451:
                                    odd.append((code, text))
                except (OSError, AssertionError):
                    over.wait(0.05)

        threads = [threading.Thread(target=sender, args=(i,)) for i in range(4)]
        for thread in threads:
            thread.start()
        try:
            for _ in range(6):
                before, pid = len(acknowledged), rig.wait_for(lambda: self.host(server), "a process to kill")[0]
                rig.wait_for(lambda: len(acknowledged) > before + 20, "mail to be taken")
                os.kill(pid, signal.SIGKILL)
                rig.wait_for(lambda: self.host(server) not in ([], [pid]), "another")
        finally:
            over.set()
            for thread in threads:
                thread.join(rig.LIMIT)
        self.assertEqual(odd, [], "what clients were told")
        waits = {i for i, to in acknowledged.items() if to.startswith("later@")}
        sent = {to for to in acknowledged.values() if to.startswith("b@")}
        rig.wait_for(lambda: sent <= {m.recipients[0] for m in self.sink.messages}, "what was taken at the sink")
        # Also mail may be there whose client did not hear of it: refused after the store had it.
        rig.wait_for(lambda: waits <= set(self.queued(server)), "what waits in the spool")
        rig.wait_for(lambda: not (set(acknowledged) - waits) & set(self.copies()), "the store to hear of what is delivered")
        self.assertEqual(waits - set(self.copies()), set())
        self.assertEqual(set(self.queued(server)) - set(self.copies()), set())
        self.assertEqual(len([m for m in self.sink.messages if m.recipients[0] in sent]), len(sent))

    def test_no_mail_is_taken_without_it_and_what_is_on_disk_goes_out(self):
        plugins = self.plugins("store-directory", "transport-smtp")
        server = self.server(plugins=plugins)
        waiting = self.send(server, ["later@one.example"])
        server.wait_deferred()
        os.rename(os.path.join(plugins, "store-directory.so"), self.path("away.so"))
        os.kill(rig.wait_for(lambda: self.host(server), "a process to kill")[0], signal.SIGKILL)
        rig.wait_for(lambda: self.refused(server), "mail to be refused")
        self.assertEqual(self.refused(server)[:9], "451 4.3.0")
        self.later = False
        server.cli("queue", "flush", "--all")
        rig.wait_for(lambda: self.sink.count() == 1, "the delivery of what is on disk")
        rig.wait_for(lambda: server.queue() == [], "an empty queue")
        self.assertEqual(self.copies(), [waiting])
        self.assertEqual(self.refused(server)[:9], "451 4.3.0")
        os.rename(self.path("away.so"), os.path.join(plugins, "store-directory.so"))
        self.wait_taken(server)
        self.send(server, ["b@one.example"])
        rig.wait_for(lambda: self.sink.count() == 2, "new mail")
        self.wait_copies([])

    def test_what_it_is_to_hear_outlives_all_processes(self):
        plugins = self.plugins("store-directory", "transport-smtp")
        server = self.server(plugins=plugins)
        waiting = self.send(server, ["later@one.example"])
        server.wait_deferred()
        os.rename(os.path.join(plugins, "store-directory.so"), self.path("away.so"))
        os.kill(rig.wait_for(lambda: self.host(server), "a process to kill")[0], signal.SIGKILL)
        self.later = False
        server.cli("queue", "flush", "--all")
        rig.wait_for(lambda: self.sink.count() == 1, "the delivery")
        rig.wait_for(lambda: server.queue() == [], "an empty queue")
        rig.wait_for(lambda: self.metric(server, "mansio_store_outcomes_waiting") == 1, "the outcome to wait")
        self.kill(server)
        self.assertEqual(self.copies(), [waiting])
        os.rename(self.path("away.so"), os.path.join(plugins, "store-directory.so"))
        server.start()
        self.wait_copies([])

    def test_a_store_that_does_not_answer_in_time_makes_mail_come_later(self):
        server = self.server(f'time_limit = "{rig.SLOW}s"\n')
        self.send(server, ["b@one.example"])
        pid, = self.host(server)
        os.kill(pid, signal.SIGSTOP)
        with rig.Client(server.port) as client:
            client.cmd("EHLO client.test")
            code, text = client.message("a@sender.example", ["c@one.example"], "Subject: x\r\n\r\nbody", expect=451)
        self.assertTrue(text.startswith("4.3.0"), text)
        with contextlib.suppress(ProcessLookupError):  # ended, if it stood still for too long
            os.kill(pid, signal.SIGCONT)
        self.wait_taken(server)
        self.send(server, ["d@one.example"])
        rig.wait_for(lambda: ["d@one.example"] in [m.recipients for m in self.sink.messages], "the mail that was taken")
        # Besides, the postmaster may hear that mail was refused for want of a resource.
        self.assertEqual([m.recipients for m in self.sink.messages if m.recipients != ["postmaster@mx.mansio.test"]],
                         [["b@one.example"], ["d@one.example"]])

    def filled(self, server):
        """What a spool has when it is lost: some delivered, some not, and a list of which a part is delivered."""
        self.send(server, ["b@one.example"], "gone")
        waiting = [self.send(server, ["later@one.example"], f"waits{i}") for i in range(30)]
        waiting.append(self.send(server, ["c@one.example", "later@one.example", "d@two.example"], "list"))
        server.wait_deferred(31)
        rig.wait_for(lambda: self.sink.count() == 2, "what can be delivered")
        self.wait_copies(waiting)
        rig.wait_for(lambda: len(self.files(".done")) == 1, "what is known of the list")
        self.before = len(self.sink.messages)
        self.name = self.files(".mail")[0].split("-")[0]

    def kill(self, server):
        left = list(server.children())
        server.kill()
        rig.wait_for(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in left), "its processes to end")

    def lose(self, server):
        self.kill(server)
        shutil.rmtree(server.spool)
        self.later = False

    def all_came_back(self, server):
        rig.wait_for(lambda: len(self.subjects("later@one.example")) == 31, "what had not been delivered")
        rig.wait_for(lambda: server.queue() == [], "an empty queue")
        self.assertEqual(self.subjects("later@one.example"), sorted([f"waits{i}" for i in range(30)] + ["list"]))
        again = self.sink.messages[self.before:]
        self.assertEqual({r for m in again for r in m.recipients}, {"later@one.example"})
        lines = [d for d in server.deliveries(status="sent", to="later@one.example")]
        self.assertEqual(len(lines), 31)
        self.assertTrue(all(d["possible_duplicate"] for d in lines))
        self.wait_copies([])
        self.assertEqual(self.files(".done"), [])

    def test_a_lost_spool_comes_back_by_a_command(self):
        server = self.server()
        self.filled(server)
        self.lose(server)
        server.start()
        listed = server.cli("spool", "restore", "--store", "second", "--list")
        self.assertIn(f"{self.name}  31 messages\n", listed)
        self.assertEqual(len(self.sink.messages), self.before)
        said = server.cli("spool", "restore", "--store", "second")
        self.assertIn("31 messages restored", said)
        self.all_came_back(server)
        again = rig.run_program("spool", "restore", "--store", "second", "--from", self.name, "--config", server.config)
        self.assertEqual((again.returncode, again.stdout), (0, "0 messages restored, 0 had been delivered\n"))

    def test_a_lost_spool_comes_back_at_the_start_when_that_is_configured(self):
        server = self.server("restore_empty_spool = true\n")
        server.wait_event(RESTORED, messages=0)  # of a first start
        self.filled(server)
        self.lose(server)
        server.start()
        server.wait_event(RESTORED, messages=31)
        self.all_came_back(server)
        server.stop()
        server.start()
        self.assertEqual(len(server.events(RESTORED)), 2)

    def test_what_comes_back_can_wait_for_a_look(self):
        server = self.server()
        self.filled(server)
        self.lose(server)
        server.start()
        server.cli("spool", "restore", "--store", "second", "--hold")
        held = server.queue()
        self.assertEqual([m["queue_name"] for m in held], ["hold"] * 31)
        self.assertEqual(len(self.sink.messages), self.before)
        self.wait_copies([m["queue_id"] for m in held])  # under its new names, and no longer under the old

    def test_a_restore_goes_on_after_all_processes_were_killed(self):
        limit = 5 * rig.SLOW
        server = self.server(f'time_limit = "{limit}s"\n')
        self.filled(server)
        self.lose(server)
        server.start()
        order = self.spawn([rig.MANSIO, "spool", "restore", "--store", "second", "--config", server.config])
        rig.wait_for(server.queue, "the first that comes back")  # an order that is not on disk yet is not answered
        self.kill(server)
        order.wait(rig.LIMIT)
        server.start()
        server.wait_event(RESTORED)
        rig.wait_for(lambda: len(set(self.subjects("later@one.example"))) == 31, "what had not been delivered")
        rig.wait_for(lambda: server.queue() == [], "an empty queue")
        self.assertEqual({r for m in self.sink.messages[self.before:] for r in m.recipients}, {"later@one.example"})
        rig.wait_for(lambda: not any(n.startswith(self.name) for n in self.files(".mail")), "the old copies to be gone")
        # What the store had under a new name and the spool had not yet, when all died, came back once more from its old
        # copy. It is forgotten when it is certain that no writer is at it: a minute after the time limit.
        rig.wait_for(lambda: not self.copies(), "the store to be empty", rig.LIMIT + 60 + limit)
        self.assertEqual(self.files(".done"), [])

    def test_a_copy_that_is_damaged_is_named_and_stays(self):
        server = self.server()
        self.filled(server)
        victim = self.copies()[0]
        self.lose(server)
        with open(self.file(victim), "r+b") as f:
            f.seek(-3, os.SEEK_END)
            f.write(b"~")
        server.start()
        said = rig.run_program("spool", "restore", "--store", "second", "--config", server.config)
        self.assertEqual(said.returncode, 1)
        self.assertIn("30 messages restored", said.stdout)
        self.assertIn("1 damaged", said.stderr)
        rig.wait_for(lambda: len(self.subjects("later@one.example")) == 30, "the others")
        self.wait_copies([victim])


if __name__ == "__main__":
    unittest.main()
