"""Tables of the lookup plugins in the whole program: `mansio lookup` asks them, what `mansio map` builds is found, a change
of a file is seen, and a server that is down means try later. (The READMEs' examples: test_readmes.py.)"""
import os
import sqlite3
import unittest

import rig

FOUND, NOT_FOUND, TRY_LATER = 0, 1, 75
CONFIG = '''
[listener.smtp]
listen = ["127.0.0.1:{port}"]
[transport.discard]
plugin = "transport-discard"
[[route]]
transport = "discard"
'''


class LookupPlugins(rig.TestCase):
    def config(self, tables):
        # Where tables have a `user` of their own, rig.py takes it for the program's.
        head = 'user = "nobody"\n' if os.geteuid() == 0 else ""
        return rig.Mansio(self.dir, head + CONFIG + tables).config

    def lookup(self, config, table, *keys):
        result = rig.run_program("lookup", "--config", config, table, *keys)
        return result.returncode, result.stdout

    def write(self, name, text):
        with open(self.path(name), "w") as f:
            f.write(text)
        return self.path(name)

    def test_files_answer(self):
        path = self.write("aliases", "alice@example.com bob@example.net\n")
        config = self.config(f'''
[lookup.aliases]
plugin = "lookup-file"
path = "{path}"
[lookup.clients]
plugin = "lookup-file"
type = "cidr"
inline = """
192.0.2.0/24    OK
2001:db8::/32   REJECT not from there
"""
[lookup.headers]
plugin = "lookup-file"
type = "pcre"
inline = "/^(\\\\w+)@old\\\\.example$/ $1@new.example"
''')
        self.assertEqual(self.lookup(config, "aliases", "Alice@Example.com"), (FOUND, "bob@example.net\n"))
        self.assertEqual(self.lookup(config, "aliases", "carol@example.com"), (NOT_FOUND, ""))
        self.assertEqual(self.lookup(config, "clients", "192.0.2.9", "2001:db8::1", "198.51.100.1"),
                         (NOT_FOUND, "192.0.2.9\tOK\n2001:db8::1\tREJECT not from there\n"))
        self.assertEqual(self.lookup(config, "headers", "user@old.example"), (FOUND, "user@new.example\n"))
        self.write("aliases", "alice@example.com carol@example.net\n")
        self.assertEqual(self.lookup(config, "aliases", "alice@example.com"), (FOUND, "carol@example.net\n"))

    def test_what_map_builds_is_found(self):
        source = self.write("aliases", "Alice@example.com bob@example.net\n")
        self.assertEqual(rig.run_program("map", "build", source).returncode, 0)
        config = self.config(f'[lookup.aliases]\nplugin = "lookup-lmdb"\npath = "{source}.lmdb"\n')
        self.assertEqual(self.lookup(config, "aliases", "alice@example.com"), (FOUND, "bob@example.net\n"))
        self.assertEqual(self.lookup(config, "aliases", "carol@example.com"), (NOT_FOUND, ""))

    def test_a_database_answers(self):
        with sqlite3.connect(self.path("mail.db")) as db:
            db.execute("CREATE TABLE alias (address, goto)")
            db.execute("INSERT INTO alias VALUES ('alice@example.com', 'bob@example.net')")
        db.close()
        config = self.config(f'''
[lookup.aliases]
plugin = "lookup-sqlite"
dbpath = "{self.path("mail.db")}"
query = "SELECT goto FROM alias WHERE address = '%s'"
''')
        self.assertEqual(self.lookup(config, "aliases", "alice@example.com"), (FOUND, "bob@example.net\n"))
        self.assertEqual(self.lookup(config, "aliases", "' OR 1=1 --"), (NOT_FOUND, ""))

    def test_a_server_that_is_down_means_try_later(self):
        port = rig.free_port()
        config = self.config(f'''
[lookup.ldap]
plugin = "lookup-ldap"
server_host = ["127.0.0.1:{port}"]
search_base = "dc=example,dc=com"
[lookup.mysql]
plugin = "lookup-mysql"
hosts = ["127.0.0.1:{port}"]
dbname = "mail"
query = "SELECT goto FROM alias WHERE address = '%s'"
[lookup.pgsql]
plugin = "lookup-pgsql"
hosts = ["127.0.0.1:{port}"]
dbname = "mail"
query = "SELECT goto FROM alias WHERE address = '%s'"
[lookup.redis]
plugin = "lookup-redis"
hosts = ["127.0.0.1:{port}"]
[lookup.socketmap]
plugin = "lookup-socketmap"
hosts = ["127.0.0.1:{port}"]
map = "aliases"
''')
        for table in ("ldap", "mysql", "pgsql", "redis", "socketmap"):
            with self.subTest(table=table):
                self.assertEqual(self.lookup(config, table, "alice@example.com"), (TRY_LATER, ""))


if __name__ == "__main__":
    unittest.main()
