"""What a script keeps: the directory of its own, in which it writes within the sandbox, over restarts; and that a script which
asks for one where there is none is told of before it starts."""
import os
import stat
import unittest

import rig

CONFIG = """
[listener.smtp]
listen = ["127.0.0.1:{port}"]
[smtpd]
policies = ["count"]
[policy.count]
plugin = "lua"
script = "%s"
allow = ["sqlite"]
isolation = "%s"
[transport.discard]
plugin = "transport-discard"
[[route]]
transport = "discard"
"""
SCRIPT = """
local db = mansio.sqlite(mansio.state_directory() .. "/count.db", {write = true})
mansio.on("mail", function(transaction, sender)
  db:execute("CREATE TABLE IF NOT EXISTS senders (address TEXT)")
  db:execute("INSERT INTO senders VALUES (?)", sender.address)
  return mansio.defer("4.7.0", ("time %d"):format(#db:query("SELECT * FROM senders")))
end)
"""


class LuaState(rig.TestCase):
    def script(self):
        path = self.path("count.lua")
        with open(path, "w") as f:
            f.write(SCRIPT)
        os.chmod(path, 0o644)
        return path

    def test_it_is_written_in_the_sandbox_and_lasts(self):
        plugins = self.plugins("lua", "transport-discard")
        server = self.mansio(CONFIG % (self.script(), "process"), plugins=plugins)
        for time in (1, 2):
            with rig.Client(server.port) as client:
                self.assertEqual(client.cmd("EHLO client.example")[0], 250)
                self.assertEqual(client.cmd("MAIL FROM:<a@example.com>"), (451, f"4.7.0 time {time}"), server.log_text()[-2000:])
            directory = os.path.join(server.spool, "state", "policy.count")
            self.assertEqual(stat.S_IMODE(os.stat(directory).st_mode), 0o700)
            self.assertIn("count.db", os.listdir(directory))
            server.stop()
            server.start()

    def test_it_is_there_in_a_single_process_too(self):
        server = self.mansio(CONFIG % (self.script(), "process"), plugins=self.plugins("lua", "transport-discard"), single=True)
        with rig.Client(server.port) as client:
            self.assertEqual(client.cmd("EHLO client.example")[0], 250)
            self.assertEqual(client.cmd("MAIL FROM:<a@example.com>"), (451, "4.7.0 time 1"), server.log_text()[-2000:])

    def test_without_a_process_of_its_own_it_is_told_so_by_the_check(self):
        server = rig.Mansio(self.dir, CONFIG % (self.script(), "inproc"), plugins=self.plugins("lua", "transport-discard"))
        result = rig.run_program("check", "--config", server.config)
        self.assertEqual(result.returncode, 1, result.stdout)
        self.assertRegex(result.stderr, r"policy\.count\.script names .*count\.lua:2: there is no directory for this script's state")
        alone = rig.run_program("lua", "check", "--config", server.config, "--allow", "sqlite", self.path("count.lua"))
        self.assertEqual(alone.returncode, 0, alone.stderr)


if __name__ == "__main__":
    unittest.main()
