"""What scripts count, with two ingress processes: they count together, in process and in one of the script's own, and neither a
reload nor the death of a process makes them forget or stand still. And the quotas of the examples hold for both together."""
import contextlib
import os
import signal
import unittest

import rig
from rig import Client, wait_for

CONFIG = '''
myhostname = "mx.mansio.test"
ingress_processes = 2
[smtpd]
mynetworks = ["127.0.0.0/8"]
policies = ["quota"]
client_connection_count_limit = 0
[listener.smtp]
listen = ["127.0.0.1:{port}"]
[policy.quota]
plugin = "lua"
script = "{dir}/quota.lua"
isolation = "%s"
[transport.discard]
plugin = "transport-discard"
[[route]]
transport = "discard"
'''
# Ten of each key: "window.a+1@mansio.test" is one of the window of "window.a".
SCRIPT = '''
local window, limit = mansio.window("recipients", "1d"), mansio.rate("recipients", "10/d")
mansio.on("rcpt", function(_, rcpt)
  local how, key = rcpt.localpart:match("^(%a+)(%.%w+)")
  local fine
  if how == "window" then fine = window:add(key) <= 10
  elseif how == "rate" then fine = limit:take(key)
  else fine = mansio.counter.add(key) <= 10 end
  if not fine then return mansio.defer("4.7.1", "over your quota") end
end)
'''
# Before a script: between what it reads of a window and what it does then there is time for another process.
SLOW_TO_DECIDE = '''
local real = mansio
local function slow(name, length)
  local window = real.window(name, length)
  return {
    add = function(_, key) return window:add(key) end,
    count = function(_, key)
      local n = window:count(key)
      for _ = 1, 100000 do end
      return n
    end,
  }
end
local mansio = setmetatable({window = slow}, {__index = real})
'''
EXAMPLE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../examples/lua/quota.lua")
KINDS = ("window", "rate", "counter")


class Numbers(rig.TestCase):
    def serve(self, isolation="inproc", script=SCRIPT):
        with open(self.path("quota.lua"), "w") as f:
            f.write(script)
        return self.mansio(CONFIG % isolation, name=isolation)

    @staticmethod
    def ingress(server):
        return sorted(server.pids("ingress"))

    @contextlib.contextmanager
    def served_by(self, server, index):
        """Meanwhile the other process stands still."""
        processes = self.ingress(server)
        self.assertEqual(len(processes), 2)
        os.kill(processes[1 - index], signal.SIGSTOP)
        try:
            yield processes[index]
        finally:
            os.kill(processes[1 - index], signal.SIGCONT)

    def taken(self, server, key, n):
        """How many of n recipients are."""
        with Client(server.port) as c:
            c.cmd("EHLO x")
            self.assertEqual(c.cmd("MAIL FROM:<a@example.org>")[0], 250)
            codes = [c.cmd(f"RCPT TO:<{key}+{i}@mansio.test>")[0] for i in range(n)]
        self.assertLessEqual(set(codes), {250, 451})
        return codes.count(250)

    def other_processes(self, server, before):
        wait_for(lambda: len(self.ingress(server)) == 2 and not set(self.ingress(server)) & set(before), "other ingress processes")

    def test_a_quota_is_one_for_all_processes_and_over_a_reload(self):
        for isolation in ("inproc", "process"):
            with self.subTest(isolation):
                server = self.serve(isolation)
                for kind in KINDS:
                    with self.served_by(server, 0):
                        self.assertEqual(self.taken(server, kind + ".a", 6), 6)
                    with self.served_by(server, 1):
                        self.assertEqual(self.taken(server, kind + ".a", 6), 4)
                        self.assertEqual(self.taken(server, kind + ".b", 6), 6)
                    with self.served_by(server, 0):
                        self.assertEqual(self.taken(server, kind + ".a", 1), 0)
                self.assertEqual(len({e["process"] for e in server.events("connect")}), 2)
                before = self.ingress(server)
                server.cli("reload")
                server.wait_event("reloaded", epoch=2)
                self.other_processes(server, before)
                for kind in KINDS:
                    for index in range(2):
                        with self.served_by(server, index):
                            self.assertEqual(self.taken(server, kind + ".a", 1), 0)
                            self.assertEqual(self.taken(server, kind + ".b", 3), (3, 1)[index])
                server.close()

    def test_the_example_takes_no_more_of_two_processes_that_are_asked_at_once(self):
        with open(EXAMPLE) as f:
            server = self.serve(script=SLOW_TO_DECIDE + f.read())
        for round in range(5):
            source = f"127.0.1.{1 + round}"  # whose quota is 200
            with contextlib.ExitStack() as stack:
                clients = []
                for index in range(2):
                    with self.served_by(server, index):
                        clients.append(stack.enter_context(Client(server.port, source=source)))
                for c in clients:
                    c.cmd("EHLO x")
                    self.assertEqual(c.cmd("MAIL FROM:<a@example.org>")[0], 250)
                for c in clients:
                    c.send("".join(f"RCPT TO:<b{i}@mansio.test>\r\n" for i in range(105)))
                codes = [c.reply()[0] for c in clients for _ in range(105)]
            self.assertEqual((codes.count(250), codes.count(451)), (200, 10))

    def test_processes_that_are_killed_in_the_middle_hold_up_nobody(self):
        server = self.serve()
        for kind in KINDS:
            self.assertEqual(self.taken(server, kind + ".a", 6), 6)
        for attempt in range(4):
            with self.served_by(server, attempt % 2) as victim, Client(server.port) as c:
                c.cmd("EHLO x")
                c.cmd("MAIL FROM:<a@example.org>")
                # So much that it dies while it counts.
                c.send("".join(f"RCPT TO:<window.k{attempt}x{i}+1@mansio.test>\r\n" for i in range(900)))
                c.reply()
                os.kill(victim, signal.SIGKILL)
            wait_for(lambda: len(set(self.ingress(server)) - {victim}) == 2, "a successor")
            for i in range(200):
                self.assertEqual(self.taken(server, f"window.n{attempt}x{i}", 1), 1)
        before = self.ingress(server)
        for pid in before:
            os.kill(pid, signal.SIGKILL)
        self.other_processes(server, before)
        for kind in KINDS:
            self.assertEqual(self.taken(server, kind + ".a", 6), 4)
            self.assertEqual(self.taken(server, kind + ".new", 12), 10)


if __name__ == "__main__":
    unittest.main()
