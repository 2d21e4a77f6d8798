"""Tables that are asked from a plugin's own process: those that run in whatever process asks, those that have a process of
their own, and those that ask one another. A server that is down makes mail wait, and a stop waits for nobody."""
import os
import signal
import subprocess
import unittest

import rig

HEAD = '''
myhostname = "mx.mansio.test"
[smtpd]
mynetworks = ["127.0.0.0/8"]
[listener.smtp]
listen = ["127.0.0.1:{port}"]
[transport.asks]
plugin = "transport-asks"
isolation = "process"
[[route]]
transport = "asks"
[queue]
minimal_backoff_time = "1s"
maximal_backoff_time = "1s"
notify_classes = []
'''
FILE = '''
[lookup.%s]
plugin = "lookup-file"
isolation = "%s"
inline = """
alice@sin.example yes
"""
'''
REDIS = '''
[lookup.sin]
plugin = "lookup-redis"
isolation = "%s"
hosts = ["127.0.0.1:%d"]
query = "GET user:%%s"
retry_interval = "100ms"
'''
LUA = '''
[lookup.%s]
plugin = "lua"
isolation = "process"
script = "{dir}/%s.lua"
'''
# Each asks the other; "round@" goes through both and back.
SIN = '''
mansio.provide("lookup", "sin", {
  lookup = function(key) return key:find("^back@") and "yes" or mansio.lookup("other", key) end,
})
'''
OTHER = '''
mansio.provide("lookup", "other", {
  lookup = function(key)
    if key:find("^round@") then return mansio.lookup("sin", "back@sin.example") end
    return mansio.lookup("users", key)
  end,
})
'''


class HostTables(rig.TestCase):
    def server(self, tables, name, *plugins):
        server = rig.Mansio(self.dir, HEAD + tables, name=name, plugins=self.plugins("transport-asks", *plugins))
        self.addCleanup(server.close)
        server.start()
        return server

    def send(self, server, *recipients):
        with rig.Client(server.port) as c:
            self.assertEqual(c.cmd("EHLO client.test")[0], 250)
            for recipient in recipients:
                c.message("", [recipient], "Subject: x\r\n\r\nx")  # so that none of them comes back

    def becomes(self, server, **outcomes):
        """Sends to these names, and expects for each: sent, bounced or deferred."""
        self.send(server, *(f"{name}@sin.example" for name in outcomes))
        for name, status in outcomes.items():
            server.wait_event("delivery", to=f"{name}@sin.example", status=status)

    def stops(self, server):
        self.assertEqual(server.stop(), 0)
        server.process = None
        for event in ("process killed", "stopped at the deadline with work in hand"):
            self.assertEqual(server.events(event), [])

    def test_a_table_in_a_file(self):
        for mode in ("inproc", "process"):
            with self.subTest(mode):
                server = self.server(FILE % ("sin", mode), "file-" + mode, "lookup-file")
                self.becomes(server, alice="sent", bob="bounced")
                self.stops(server)

    def test_a_server_that_comes_and_goes(self):
        for mode in ("inproc", "process"):  # the transport itself needs no network, so its process has it for the table
            with self.subTest(mode):
                redis = rig.free_port()
                server = self.server(REDIS % (mode, redis), "redis-" + mode, "lookup-redis")
                self.becomes(server, alice="deferred", early="deferred")
                process = self.spawn(["redis-server", "--port", str(redis), "--bind", "127.0.0.1", "--save", "", "--appendonly",
                                      "no", "--dir", self.dir], stdout=subprocess.DEVNULL)
                rig.wait_for_port(redis)
                for name in ("alice", "early", "carol"):
                    subprocess.run(["redis-cli", "-p", str(redis), "set", f"user:{name}@sin.example", "yes"], check=True,
                                   stdout=subprocess.DEVNULL, timeout=rig.LIMIT)
                for name in ("alice", "early"):
                    server.wait_event("delivery", to=f"{name}@sin.example", status="sent")
                self.becomes(server, carol="sent", bob="bounced")
                rig.end_process(process)
                self.becomes(server, dave="deferred")
                self.assertEqual([d["to"] for d in server.deliveries(status="bounced")], ["bob@sin.example"])
                self.stops(server)

    def test_tables_that_ask_one_another(self):
        for name, text in (("sin", SIN), ("other", OTHER)):
            with open(self.path(name + ".lua"), "w") as f:
                f.write(text)
        tables = LUA % ("sin", "sin") + LUA % ("other", "other") + FILE % ("users", "process")
        server = self.server(tables, "mutual", "lua", "lookup-file")
        self.becomes(server, alice="sent", eve="bounced", round="sent")
        for role in ("host.lookup.sin", "host.lookup.other", "host.lookup.users", "host.transport.asks"):
            role = role[:15]  # as ps has it
            old = {pid for pid, name in server.children().items() if name == role}
            for pid in old:
                os.kill(pid, signal.SIGKILL)
            rig.wait_for(lambda: len({p for p, n in server.children().items() if n == role} - old) == len(old), role)
        self.send(server, "round@sin.example")
        server.wait_event("delivery", 2, to="round@sin.example", status="sent")
        server.cli("reload")
        self.send(server, "round@sin.example")
        server.wait_event("delivery", 3, to="round@sin.example", status="sent")
        rig.wait_for(lambda: len([n for n in server.children().values() if n.startswith("host.")]) == 4, "the old ones to end")
        self.stops(server)


if __name__ == "__main__":
    unittest.main()
