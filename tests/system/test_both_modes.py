"""The plugins that come with Mansio do the same in the process that uses them and in one of their own: tables in files, and
transports to mailboxes, to LMTP servers, to nowhere and back. (Tables of servers: test_table_servers.py, test_table_uses.py;
transports: test_isolation.py, test_dns.py, test_transport_http.py, test_transport_pipe.py.)"""
import contextlib
import os
import pwd
import sqlite3
import unittest

import rig

MODES = ("inproc", "process")
TABLES = '''
myhostname = "mx.mansio.test"
mydestination = ["own.test"]
local_recipient_maps = ["file", "lmdb", "sqlite"]
[lookup.file]
plugin = "lookup-file"
isolation = "{mode}"
path = "{{dir}}/users"
[lookup.lmdb]
plugin = "lookup-lmdb"
isolation = "{mode}"
path = "{{dir}}/lmdb-users.lmdb"
[lookup.sqlite]
plugin = "lookup-sqlite"
isolation = "{mode}"
dbpath = "{{dir}}/users.db"
query = "SELECT 'x' FROM users WHERE address = '%s'"
[listener.smtp]
listen = ["127.0.0.1:{{port}}"]
[transport.discard]
plugin = "transport-discard"
[[route]]
transport = "discard"
'''
TRANSPORTS = '''
myhostname = "mx.mansio.test"
[smtpd]
mynetworks = ["127.0.0.0/8"]
[listener.smtp]
listen = ["127.0.0.1:{{port}}"]
[transport.maildir]
plugin = "transport-maildir"
isolation = "{mode}"
directory = "{{dir}}/mail/{mode}/{{domain}}/{{local}}"
[transport.lmtp]
plugin = "transport-lmtp"
isolation = "{mode}"
[transport.discard]
plugin = "transport-discard"
isolation = "{mode}"
[transport.error]
plugin = "transport-error"
isolation = "{mode}"
[[route]]
domain = ["maildir.test"]
transport = "maildir"
[[route]]
domain = ["lmtp.test"]
transport = "lmtp"
nexthop = "[127.0.0.1]:{lmtp}"
[[route]]
domain = ["discard.test"]
transport = "discard"
[[route]]
domain = ["error.test"]
transport = "error"
nexthop = "4.2.1 closed for today"
[[route]]
transport = "discard"
'''


class BothModes(rig.TestCase):
    def write(self, name, text):
        """By rename, as tables are to be replaced."""
        with open(self.path(name + ".new"), "w") as f:
            f.write(text)
        os.rename(self.path(name + ".new"), self.path(name))

    def recipients(self, *names):
        """The tables have one each."""
        file, lmdb, sqlite = names
        self.write("users", f"{file}@own.test x\n")
        self.write("lmdb-users", f"{lmdb}@own.test x\n")
        built = rig.run_program("map", "build", self.path("lmdb-users"))
        self.assertEqual(built.returncode, 0, built.stderr)
        with contextlib.closing(sqlite3.connect(self.path("users.db"))) as database, database:
            database.execute("CREATE TABLE IF NOT EXISTS users (address TEXT PRIMARY KEY)")
            database.execute("DELETE FROM users")
            database.execute("INSERT INTO users VALUES (?)", (f"{sqlite}@own.test",))
        for name in ("users", "lmdb-users.lmdb", "users.db"):
            os.chmod(self.path(name), 0o644)

    def replies(self, server, names):
        with rig.Client(server.port) as c:
            self.assertEqual(c.cmd("EHLO client.test")[0], 250)
            self.assertEqual(c.cmd("MAIL FROM:<a@sender.test>")[0], 250)
            return [c.cmd(f"RCPT TO:<{name}@own.test>")[0] for name in names]

    def test_tables_in_files_answer_and_see_what_changes(self):
        for mode in MODES:
            with self.subTest(mode):
                self.recipients("f", "l", "s")
                server = self.mansio(TABLES.format(mode=mode), name=mode)
                self.assertEqual(self.replies(server, ("f", "l", "s", "nobody")), [250, 250, 250, 550])
                self.recipients("f2", "l2", "s2")
                self.assertEqual(self.replies(server, ("f2", "l2", "s2", "f", "l", "s")), [250, 250, 250, 550, 550, 550])
                os.remove(self.path("lmdb-users.lmdb"))
                # The last table is not asked: the one before cannot say.
                self.assertEqual(self.replies(server, ("f2", "s2")), [250, 451])
                server.close()

    def test_transports_deliver_defer_and_keep_recipients_apart(self):
        os.mkdir(self.path("mail"))
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            os.chown(self.path("mail"), nobody.pw_uid, nobody.pw_gid)
        for mode in MODES:
            with self.subTest(mode):
                lmtp = self.peer(lmtp=True, on=lambda command, session, argument: "550 5.2.2 full" if command == "DOT" and
                                 "bob@" in argument else None)
                server = self.mansio(TRANSPORTS.format(mode=mode, lmtp=lmtp.port), name=mode)
                hosts = [name for name in server.children().values() if name.startswith("host.")]
                self.assertEqual(len(hosts), 4 if mode == "process" else 0)
                with rig.Client(server.port) as c:
                    self.assertEqual(c.cmd("EHLO client.test")[0], 250)
                    for domain in ("maildir.test", "lmtp.test", "discard.test", "error.test"):
                        c.message("a@discard.test", [f"alice@{domain}", f"bob@{domain}"], "Subject: x\r\n\r\n..dot\r\nHello.")
                seen = rig.wait_for(lambda: len(d := self.outcomes(server)) == 8 and d, "an outcome of each recipient")
                self.assertEqual(seen, {
                    "alice@maildir.test": ("sent", "2.0.0"), "bob@maildir.test": ("sent", "2.0.0"),
                    "alice@lmtp.test": ("sent", "2.0.0"), "bob@lmtp.test": ("bounced", "5.2.2"),
                    "alice@discard.test": ("sent", "2.0.0"), "bob@discard.test": ("sent", "2.0.0"),
                    "alice@error.test": ("deferred", "4.2.1"), "bob@error.test": ("deferred", "4.2.1")})
                for user in ("alice", "bob"):
                    (file,) = rig.maildir_messages(self.path("mail", mode, "maildir.test", user))
                    with open(file, "rb") as f:
                        self.assertTrue(f.read().endswith(b"\n\n.dot\nHello.\n"))
                self.assertEqual([m.recipients for m in lmtp.messages], [["alice@lmtp.test"]])
                self.assertEqual(server.stop(), 0)
                server.process = None

    def outcomes(self, server):
        return {d["to"]: (d["status"], d["dsn"]) for d in server.deliveries() if not d["to"].startswith("a@")}


if __name__ == "__main__":
    unittest.main()
