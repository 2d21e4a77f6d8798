"""A server behind tables that is not there yet, goes away and comes back: slapd, MariaDB, PostgreSQL and a socketmap server, with
the plugins in process and in processes of their own (Redis: test_table_uses.py). While it is away new mail is told to come
again, mail in the queue waits, whichever table it needs next, and nothing is ever returned to its sender."""
import glob
import os
import pwd
import signal
import socketserver
import subprocess
import threading
import unittest

import rig

CONFIG = '''
myhostname = "mx.mansio.test"
mydestination = ["own.test"]
virtual_alias_maps = ["aliases"]
local_recipient_maps = ["users"]
transport_maps = ["transports"]
[listener.smtp]
listen = ["127.0.0.1:{port}"]
[transport.relay]
plugin = "transport-smtp"
smtp_generic_maps = ["generic"]
[[route]]
transport = "relay"
nexthop = "[127.0.0.1]:%d"
[queue]
minimal_backoff_time = "1s"
maximal_backoff_time = "1s"
notify_classes = []
'''
TABLES = {
    "aliases": {"team@own.test": ["alice@own.test", "bob@away.test"]},
    "users": {"alice@own.test": ["x"]},
    "transports": {},
    "generic": {"a@sender.test": ["public@sender.test"]},
}
RECIPIENTS = ("team@own.test", "alice@own.test", "eve@own.test")
UP = ["250 2.1.5 Ok", "250 2.1.5 Ok", "550 5.1.1 No such user here"]
DOWN = ["451 4.3.0 Temporary lookup failure"] * 3


class Server:
    """One of them; `options(table)`: lines of that table's configuration."""

    def __init__(self, test):
        self.test, self.port, self.process = test, rig.free_port(), None
        # Some refuse to run as root.
        self.account = {}
        self.directory = test.path("server")
        os.mkdir(self.directory)
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            self.account = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
            os.chown(self.directory, nobody.pw_uid, nobody.pw_gid)
        self.prepare()

    def path(self, name):
        return os.path.join(self.directory, name)

    def write(self, name, text):
        with open(self.path(name), "w") as f:
            f.write(text)
        return self.path(name)

    def run(self, *argv, text=None):
        done = subprocess.run(argv, input=text, capture_output=True, text=True, timeout=rig.LIMIT, cwd=self.directory, **self.account)
        self.test.assertEqual(done.returncode, 0, f"{argv}: {done.stdout}{done.stderr}")

    def spawn(self, *argv):
        self.process = self.test.spawn(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=self.directory, **self.account)
        rig.wait_for_port(self.port)

    def stop(self):
        rig.end_process(self.process)


class Slapd(Server):
    plugin = "lookup-ldap"

    def prepare(self):
        os.mkdir(self.path("db"))
        if self.account:
            os.chown(self.path("db"), self.account["user"], self.account["group"])
        self.write("slapd.conf", f"""include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile {self.path("pid")}
database mdb
suffix dc=example,dc=com
directory {self.path("db")}
dbnosync
access to * by * read
""")
        entries = "dn: dc=example,dc=com\nobjectClass: dcObject\nobjectClass: organization\ndc: example\no: Example\n\n"
        for table, keys in TABLES.items():
            entries += f"dn: ou={table},dc=example,dc=com\nobjectClass: organizationalUnit\nou: {table}\n\n"
            for key, values in keys.items():
                name = key.split("@")[0]
                entries += f"dn: uid={name},ou={table},dc=example,dc=com\nobjectClass: inetOrgPerson\nuid: {name}\ncn: {name}\nsn: {name}\n"
                entries += f"mail: {key}\n" + "".join(f"description: {value}\n" for value in values) + "\n"
        self.run("/usr/sbin/slapadd", "-f", self.path("slapd.conf"), "-l", self.write("data.ldif", entries))

    def start(self):
        self.spawn("/usr/sbin/slapd", "-d", "0", "-f", self.path("slapd.conf"), "-h", f"ldap://127.0.0.1:{self.port}")

    def options(self, table):
        return (f'server_host = ["ldap://127.0.0.1:{self.port}"]\nsearch_base = "ou={table},dc=example,dc=com"\n'
                'query_filter = "(mail=%s)"\nresult_attribute = ["description"]\nbind = "no"\n')


class Database(Server):
    def rows(self):
        return [f"INSERT INTO entries VALUES ('{table}', '{key}', '{value}');"
                for table, keys in TABLES.items() for key, values in keys.items() for value in values]

    def options(self, table):
        return (f'hosts = ["127.0.0.1:{self.port}"]\nuser = "reader"\npassword = "secret"\ndbname = "mail"\n'
                f'query = "SELECT value FROM entries WHERE tab = \'{table}\' AND address = \'%s\'"\n')


class MariaDb(Database):
    plugin = "lookup-mysql"

    def prepare(self):
        self.run("mariadb-install-db", "--no-defaults", "--datadir=" + self.path("data"), "--auth-root-authentication-method=normal",
                 "--skip-test-db", "--skip-name-resolve")
        # It is read at each start.
        self.write("init.sql", "\n".join(["CREATE OR REPLACE DATABASE mail;", "USE mail;",
                                          "CREATE TABLE entries (tab VARCHAR(20), address VARCHAR(200), value VARCHAR(200));", *self.rows(),
                                          "CREATE OR REPLACE USER reader IDENTIFIED BY 'secret';", "GRANT SELECT ON mail.* TO reader;"]) + "\n")

    def start(self):
        self.spawn("/usr/sbin/mariadbd", "--no-defaults", "--datadir=" + self.path("data"), "--socket=" + self.path("socket"),
                   f"--port={self.port}", "--bind-address=127.0.0.1", "--pid-file=" + self.path("pid"), "--skip-name-resolve",
                   "--innodb-flush-method=nosync", "--innodb-buffer-pool-size=16M", "--init-file=" + self.path("init.sql"))


class Postgres(Database):
    plugin = "lookup-pgsql"

    def prepare(self):
        self.bin = sorted(glob.glob("/usr/lib/postgresql/*/bin"))[-1]
        self.run(os.path.join(self.bin, "initdb"), "-D", self.path("data"), "-U", "boss", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
        for database, statements in (("postgres", ["CREATE ROLE reader LOGIN;", "CREATE DATABASE mail;"]),
                                     ("mail", ["CREATE TABLE entries (tab TEXT, address TEXT, value TEXT);", *self.rows(),
                                               "GRANT SELECT ON entries TO reader;"])):
            self.run(os.path.join(self.bin, "postgres"), "--single", "-D", self.path("data"), database, text="\n".join(statements) + "\n")

    def start(self):
        self.spawn(os.path.join(self.bin, "postgres"), "-D", self.path("data"), "-k", self.directory, "-p", str(self.port),
                   "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-c", "shared_buffers=16MB")
        self.test.addCleanup(self.stop)

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)  # SIGTERM waits for clients to go
            self.process.wait(rig.LIMIT)


class Socketmap(Server):
    plugin = "lookup-socketmap"

    def prepare(self):
        self.clients = set()
        server = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self):
                server.clients.add(self.connection)
                try:
                    while length := self.netstring_length():
                        table, _, key = self.rfile.read(length).decode().partition(" ")
                        self.rfile.read(1)  # ','
                        found = TABLES[table].get(key)
                        answer = f"OK {', '.join(found)}" if found else "NOTFOUND "
                        self.wfile.write(f"{len(answer)}:{answer},".encode())
                except OSError:
                    pass
                finally:
                    server.clients.discard(self.connection)

            def netstring_length(self):
                digits = b""
                while (byte := self.rfile.read(1)) not in (b"", b":"):
                    digits += byte
                return int(digits or b"0")

        class Listener(socketserver.ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = True

        self.listener_of = lambda: Listener(("127.0.0.1", self.port), Handler)
        self.listener = None
        self.test.addCleanup(self.stop)

    def start(self):
        self.listener = self.listener_of()
        self.thread = threading.Thread(target=self.listener.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self.thread.start()

    def stop(self):
        if self.listener is None:
            return
        self.listener.shutdown()
        for client in list(self.clients):
            try:
                client.shutdown(2)  # both ways
            except OSError:
                pass
        self.listener.server_close()
        self.thread.join()
        self.listener = None

    def options(self, table):
        return f'hosts = ["127.0.0.1:{self.port}"]\nmap = "{table}"\n'


class TableServers(rig.TestCase):
    def replies(self, server):
        """RCPT's answers; each recipient in a transaction of its own."""
        out = []
        with rig.Client(server.port) as c:
            self.assertEqual(c.cmd("EHLO client.test")[0], 250)
            for r in RECIPIENTS:
                self.assertEqual(c.cmd("MAIL FROM:<a@sender.test>")[0], 250)
                out.append(" ".join(map(str, c.cmd(f"RCPT TO:<{r}>"))))
                c.cmd("RSET")
        return out

    def send(self, server):
        with rig.Client(server.port) as c:
            self.assertEqual(c.cmd("EHLO client.test")[0], 250)
            c.message("a@sender.test", ["team@own.test"], "Subject: x\r\n\r\nHello.\r\n")

    def arrived(self, sink, count):
        """The senders of so many recipients' mail."""
        def all_there():
            with sink.lock:
                found = [(r, m.sender) for m in sink.messages for r in m.recipients]
            return found if len(found) >= count else None
        return rig.wait_for(all_there, f"mail for {count} recipients at the sink")

    def comes_and_goes(self, kind, mode):
        busy = threading.Event()
        sink = self.peer(on=lambda command, *_: "450 4.2.0 not now" if command == "RCPT" and busy.is_set() else None)
        database = kind(self)
        tables = "".join(f'[lookup.{table}]\nplugin = "{kind.plugin}"\nisolation = "{mode}"\nretry_interval = "100ms"\n'
                         f'{database.options(table)}' for table in TABLES)
        server = self.mansio(CONFIG % sink.port + tables)
        self.assertEqual(self.replies(server), DOWN)

        database.start()
        rig.wait_for(lambda: self.replies(server) == UP, "answers of the server")
        self.send(server)
        first = [("alice@own.test", "public@sender.test"), ("bob@away.test", "public@sender.test")]
        self.assertEqual(sorted(self.arrived(sink, 2)), first)
        rig.wait_for(lambda: server.queue() == [], "an empty queue")

        busy.set()  # so that mail is in the queue when the server goes
        self.send(server)
        server.wait_event("delivery", count=2, status="deferred")
        database.stop()
        self.assertEqual(self.replies(server), DOWN)
        busy.clear()
        # Attempts ask for the sender's public address, in vain, and the router for its transport.
        seen = len(server.deliveries(status="deferred"))
        server.wait_event("delivery", count=seen + 2, status="deferred")
        seen = len(server.events("no route"))

        def asked():
            server.cli("queue", "reroute", "--all", check=False)  # not while an attempt is under way
            return len(server.events("no route")) > seen
        rig.wait_for(asked, "the router to have asked in vain")
        self.assertEqual(len(server.queue()), 1)
        self.assertEqual(len(self.arrived(sink, 2)), 2)

        database.start()
        rig.wait_for(lambda: self.replies(server) == UP, "answers of the server again")

        def goes():
            server.cli("queue", "reroute", "--all", check=False)
            server.cli("queue", "flush", "--all", check=False)
            return server.queue() == []
        rig.wait_for(goes, "the message to go")
        self.assertEqual(sorted(self.arrived(sink, 4)), sorted(2 * first))
        self.assertEqual(server.events("delivery", status="bounced"), [])


def add(kind, mode):
    def test(self):
        self.comes_and_goes(kind, mode)
    setattr(TableServers, f"test_{kind.__name__}_that_comes_and_goes_{mode}".lower(), test)


for each_kind in (Slapd, MariaDb, Postgres, Socketmap):
    for each_mode in ("inproc", "process"):
        add(each_kind, each_mode)


if __name__ == "__main__":
    unittest.main()
