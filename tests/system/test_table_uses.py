"""Where tables are used, in the whole program: the example of docs/lookups.md, a server that is down (451) and comes back,
access tables, transports and relayhosts, canonical addresses and copies, domains and their recipients, aliases under
load, and notifications to aliases."""
import os
import re
import sqlite3
import subprocess
import unittest

import rig

SOURCE = "/usr/sbin/smtp-source"
EXAMPLE = os.path.join(os.path.dirname(__file__), "../../examples/aliases.toml")

CONFIG = '''
myhostname = "mx.mansio.test"
mydestination = ["own.test"]
%s
[listener.smtp]
listen = ["127.0.0.1:{port}"]
[transport.relay]
plugin = "transport-smtp"
[[route]]
transport = "relay"
nexthop = "[127.0.0.1]:%d"
[queue]
minimal_backoff_time = "1s"
maximal_backoff_time = "1s"
notify_classes = []
'''


def inline(name, text, more=""):
    return f'[lookup.{name}]\nplugin = "lookup-file"\n{more}inline = """\n{text}\n"""\n'


class TableUses(rig.TestCase):
    def replies(self, server, recipients, sender="a@sender.test", helo="client.test"):
        """RCPT's answers; each recipient in a transaction of its own."""
        out = []
        with rig.Client(server.port) as c:
            self.assertEqual(c.cmd("EHLO " + helo)[0], 250)
            for r in recipients:
                self.assertEqual(c.cmd(f"MAIL FROM:<{sender}>")[0], 250)
                out.append(" ".join(map(str, c.cmd(f"RCPT TO:<{r}>"))))
                c.cmd("RSET")
        return out

    def send(self, server, recipients, sender="a@sender.test", args="", text="Subject: x\r\n\r\nHello.\r\n"):
        with rig.Client(server.port) as c:
            self.assertEqual(c.cmd("EHLO client.test")[0], 250)
            return c.message(sender, recipients, text, args)

    def recipients(self, sink):
        with sink.lock:
            return sorted(r for m in sink.messages for r in m.recipients)

    def arrived(self, sink, count):
        rig.wait_for(lambda: len(self.recipients(sink)) >= count, f"{count} recipients at the sink")
        return self.recipients(sink)

    def test_the_documented_example(self):
        mail, database = self.path("mail"), self.path("mail.db")
        os.mkdir(mail, 0o777)
        os.chmod(mail, 0o777)
        with open(self.path("aliases"), "w") as f:
            f.write("team@example.test alice@example.test, bob+lists@example.test\n"
                    "info@alias.test   alice@example.test\n")
        with sqlite3.connect(database) as db:
            db.execute("CREATE TABLE mailbox (address TEXT PRIMARY KEY)")
            db.executemany("INSERT INTO mailbox VALUES (?)",
                           [(f"{who}@example.test",) for who in ("alice", "bob", "carol")])
        db.close()
        os.chmod(database, 0o644)
        with open(EXAMPLE) as f:
            example = f.read()
        for old, new in (("/etc/mansio/aliases", self.path("aliases")), ("/var/lib/mailboxes/mail.db", database),
                         ("/var/mail/mansio", mail), ("127.0.0.1:2525", "127.0.0.1:{port}")):
            self.assertIn(old, example)
            example = example.replace(old, new)
        server = self.mansio(example)
        self.assertEqual(
            self.replies(server, ["team@example.test", "alice+x@example.test", "eve@example.test", "carol@example.test",
                                  "info@alias.test", "eve@alias.test", "postmaster@example.test"]),
            ["250 2.1.5 Ok", "250 2.1.5 Ok", "550 5.1.1 No such user here",
             "550 5.1.6 User has moved to carol@elsewhere.test", "250 2.1.5 Ok", "550 5.1.1 No such user here",
             "250 2.1.5 Ok"])
        self.assertEqual(self.replies(server, ["alice@example.test"], sender="x@bulk.test"),
                         ["554 5.7.1 <x@bulk.test>: Sender address rejected: no bulk mail, please"])
        swaks = subprocess.run(["swaks", "--server", f"127.0.0.1:{server.port}", "--from", "newsletter@news.test",
                                "--to", "team@example.test"], capture_output=True, text=True, timeout=rig.LIMIT)
        self.assertEqual(swaks.returncode, 0, swaks.stdout)

        def found(who):
            folder = os.path.join(mail, "example.test", who, "new")
            return os.listdir(folder) if os.path.isdir(folder) else []
        rig.wait_for(lambda: found("alice") and found("bob+lists"), "mail in both mailboxes")
        with open(os.path.join(mail, "example.test", "alice", "new", found("alice")[0])) as f:
            self.assertIn("X-Bulk: yes\n", f.read().replace("\r\n", "\n"))

        os.rename(database, database + ".away")
        self.assertEqual(self.replies(server, ["alice@example.test"]), ["451 4.3.0 Temporary lookup failure"])
        os.rename(database + ".away", database)
        rig.wait_for(lambda: self.replies(server, ["alice@example.test"]) == ["250 2.1.5 Ok"], "the database again")

    def redis_that_comes_and_goes(self, more):
        sink, redis = self.peer(), rig.free_port()
        server = self.mansio(CONFIG % (f'''virtual_alias_maps = ["aliases"]
local_recipient_maps = ["users"]
[lookup.aliases]
plugin = "lookup-redis"
hosts = ["127.0.0.1:{redis}"]
query = "GET alias:%s"
retry_interval = "100ms"
{more}
[lookup.users]
plugin = "lookup-redis"
hosts = ["127.0.0.1:{redis}"]
query = "GET user:%s"
retry_interval = "100ms"
{more}''', sink.port))
        recipients = ["team@own.test", "alice@own.test", "eve@own.test"]
        down = ["451 4.3.0 Temporary lookup failure"] * 3
        self.assertEqual(self.replies(server, recipients), down)

        def start():
            process = self.spawn(["redis-server", "--port", str(redis), "--bind", "127.0.0.1", "--save", "",
                                  "--appendonly", "no", "--dir", self.dir], stdout=subprocess.DEVNULL)
            rig.wait_for_port(redis)
            for key, value in (("alias:team@own.test", "alice@own.test, bob@away.test"), ("user:alice@own.test", "x")):
                subprocess.run(["redis-cli", "-p", str(redis), "set", key, value], check=True, stdout=subprocess.DEVNULL,
                               timeout=rig.LIMIT)
            return process
        up = ["250 2.1.5 Ok", "250 2.1.5 Ok", "550 5.1.1 No such user here"]
        process = start()
        rig.wait_for(lambda: self.replies(server, recipients) == up, "answers of the server")
        self.send(server, ["team@own.test"])
        self.assertEqual(self.arrived(sink, 2), ["alice@own.test", "bob@away.test"])
        rig.end_process(process)
        self.assertEqual(self.replies(server, recipients), down)
        start()
        rig.wait_for(lambda: self.replies(server, recipients) == up, "answers of the server again")
        self.assertEqual(server.events("delivery", status="bounced"), [])

    def test_a_server_that_is_down_defers_and_is_asked_again(self):
        self.redis_that_comes_and_goes("")

    def test_the_same_with_the_plugin_in_a_process_of_its_own(self):
        self.redis_that_comes_and_goes('isolation = "process"')

    def test_access_tables_of_listeners(self):
        sink, other = self.peer(), rig.free_port()
        server = self.mansio(CONFIG % ('''[smtpd]
mynetworks = []
client_access_maps = ["clients"]
recipient_access_maps = ["recipients"]
''' + inline("clients", "127.0.0   REJECT not from this network") + inline("networks", "127.0.0.0/8   OK",
                                                                             'type = "cidr"\n') +
                                       inline("recipients", '''held@own.test      HOLD for a look
trap@own.test      DISCARD
spare@own.test     REDIRECT review@own.test
elsewhere.test     OK''') + f'''[listener.inner]
listen = ["127.0.0.1:{other}"]
client_access_maps = ["networks"]
''', sink.port))
        self.assertEqual(self.replies(server, ["u@own.test"]),
                         ["554 5.7.1 <localhost[127.0.0.1]>: Client host rejected: not from this network"])
        server.port = other
        self.assertEqual(self.replies(server, ["u@own.test", "u@elsewhere.test"]),
                         ["250 2.1.5 Ok", "554 5.7.1 Relay access denied"])
        self.send(server, ["held@own.test"])
        self.send(server, ["trap@own.test"])
        self.send(server, ["spare@own.test"])
        self.assertEqual(self.arrived(sink, 1), ["review@own.test"])
        server.wait_event("discarded")
        rig.wait_for(lambda: [m["queue_name"] for m in server.queue()] == ["hold"], "the held message, and no other")
        self.assertEqual(sink.count(), 1)
        server.cli("queue", "release", server.queue()[0]["queue_id"])
        self.assertEqual(self.arrived(sink, 2), ["held@own.test", "review@own.test"])

    def test_transports_and_relayhosts(self):
        first, second, third = self.peer(), self.peer(), self.peer()
        server = self.mansio(CONFIG % (f'''transport_maps = ["transport"]
sender_dependent_relayhost_maps = ["relayhost"]
''' + inline("transport", f'''away.test      relay:[127.0.0.1]:{second.port}
gone.test      error:5.1.2 that domain is gone
odd.test       uucp:host''') + inline("relayhost", f"@rich.test   [127.0.0.1]:{third.port}"), first.port))
        self.assertEqual(self.replies(server, ["u@gone.test", "u@odd.test"]),
                         ["550 5.1.2 that domain is gone", "451 4.3.5 Server configuration error"])
        self.send(server, ["one@own.test", "two@away.test", "three@else.test"])
        self.assertEqual(self.arrived(second, 1), ["two@away.test"])
        self.assertEqual(self.arrived(first, 2), ["one@own.test", "three@else.test"])
        self.send(server, ["four@own.test", "five@else.test"], sender="x@rich.test")
        self.assertEqual(self.arrived(third, 1), ["five@else.test"])

    def test_canonical_addresses_and_copies(self):
        sink = self.peer()
        server = self.mansio(CONFIG % ('''canonical_maps = ["canonical"]
sender_canonical_maps = ["senders"]
recipient_canonical_maps = ["recipients"]
sender_bcc_maps = ["sent"]
recipient_bcc_maps = ["received"]
[smtpd]
mynetworks = ["127.0.0.0/8"]
''' + inline("canonical", "joe@old.test   joe@own.test") + inline("senders", "ann@old.test   sales@own.test") +
                                       inline("recipients", "ann@old.test   ann@own.test") +
                                       inline("sent", "sales@own.test   sent@own.test") +
                                       inline("received", "joe@own.test   received@own.test"), sink.port))
        self.send(server, ["ann@old.test"], sender="joe@old.test")
        self.assertEqual(self.arrived(sink, 1), ["ann@own.test"])
        with sink.lock:
            self.assertEqual(sink.messages.pop().sender, "joe@own.test")
        self.send(server, ["ann@old.test", "joe@old.test"], sender="ann@old.test",
                  text="From: Ann <ann@old.test>\r\nTo: ann@old.test, Joe <joe@old.test>\r\n\r\nHello.\r\n")
        self.assertEqual(self.arrived(sink, 4), ["ann@own.test", "joe@own.test", "received@own.test", "sent@own.test"])
        with sink.lock:
            for message in sink.messages:
                self.assertEqual(message.sender, "sales@own.test")
                self.assertIn(b"From: Ann <sales@own.test>\r\nTo: ann@own.test, Joe <joe@own.test>\r\n", message.content)

    def test_domains_and_their_recipients(self):
        sink = self.peer()
        server = self.mansio(CONFIG % ('''relay_domains = ["relay.test"]
relay_domain_maps = ["partners"]
relay_recipient_maps = ["known"]
virtual_alias_domain_maps = ["aliased"]
virtual_alias_maps = ["aliases"]
[smtpd]
mynetworks = []
''' + inline("partners", "partner.test   x") + inline("known", "u@relay.test   x\nu@partner.test   x") +
                                       inline("aliased", "alias.test   x") +
                                       inline("aliases", "info@alias.test   box@own.test"), sink.port))
        known = ["u@relay.test", "u@partner.test", "info@alias.test"]
        self.assertEqual(self.replies(server, known), ["250 2.1.5 Ok"] * 3)
        self.assertEqual(self.replies(server, ["eve@relay.test", "eve@partner.test", "eve@alias.test"]),
                         ["550 5.1.1 No such user here"] * 3)
        self.assertEqual(self.replies(server, ["u@foreign.test"]), ["554 5.7.1 Relay access denied"])
        self.send(server, known)
        self.assertEqual(self.arrived(sink, 3), ["box@own.test", "u@partner.test", "u@relay.test"])

    def test_mail_that_is_routed_again_asks_the_tables(self):
        first, second = self.peer(on=lambda command, *_: "450 4.2.0 not now" if command == "RCPT" else None), self.peer()
        path = self.path("transport")
        with open(path, "w") as f:
            f.write("other.test :\n")
        server = self.mansio(CONFIG % (f'''transport_maps = ["transport"]
[lookup.transport]
plugin = "lookup-file"
path = "{path}"
''', first.port))
        self.send(server, ["u@away.test"])
        server.wait_event("delivery", status="deferred")
        with open(path + ".new", "w") as f:
            f.write(f"away.test relay:[127.0.0.1]:{second.port}\n")
        os.rename(path + ".new", path)
        server.cli("queue", "requeue", server.queue()[0]["queue_id"])
        self.assertEqual(self.arrived(second, 1), ["u@away.test"])

    def test_a_notification_follows_the_alias_of_the_sender(self):
        def on(command, session, argument):
            return "550 5.1.1 nobody" if command == "RCPT" and "lost@" in argument else None
        sink = self.peer(on=on)
        server = self.mansio(CONFIG % ('''virtual_alias_domains = ["alias.test"]
virtual_alias_maps = ["aliases"]
''' + inline("aliases", "me@alias.test   box@own.test"), sink.port))
        self.send(server, ["lost@own.test"], sender="me@alias.test")
        self.assertEqual(self.arrived(sink, 1), ["box@own.test"])
        with sink.lock:
            self.assertEqual(sink.messages[0].sender, "")
        rig.wait_for(lambda: server.queue() == [], "an empty queue")

    def test_a_member_without_a_route_is_returned_and_the_others_are_delivered(self):
        sink = self.peer()
        server = self.mansio(CONFIG % ('''virtual_alias_maps = ["aliases"]
relocated_maps = ["moved"]
''' + inline("aliases", "team@own.test   alice@own.test, bob@own.test") + inline("moved", "bob   bob@new.test"),
                                       sink.port))
        self.send(server, ["team@own.test"], sender="me@own.test")
        self.assertEqual(self.arrived(sink, 2), ["alice@own.test", "me@own.test"])
        bounced = server.wait_event("delivery", status="bounced")
        self.assertEqual([b["to"] for b in bounced], ["bob@own.test"])
        self.assertIn("User has moved to bob@new.test", str(bounced))

    def test_nothing_is_lost_or_doubled_under_load(self):
        sink = self.peer()
        lines = "\n".join(f"{i if i > 1 else ''}user@own.test box{i}@own.test, archive@own.test" for i in range(1, 6))
        server = self.mansio(CONFIG % ('''virtual_alias_maps = ["aliases"]
always_bcc = "archive@own.test"
''' + inline("aliases", lines), sink.port))
        sent = subprocess.run([SOURCE, "-s", "10", "-m", "100", "-r", "5", "-f", "a@sender.test", "-t", "user@own.test",
                               f"127.0.0.1:{server.port}"], capture_output=True, text=True, timeout=rig.LIMIT)
        self.assertEqual(sent.returncode, 0, sent.stderr)
        rig.wait_for(lambda: server.queue() == [], "an empty queue")
        recipients = self.recipients(sink)
        self.assertEqual({r: recipients.count(r) for r in sorted(set(recipients))},
                         {"archive@own.test": 100, **{f"box{i}@own.test": 100 for i in range(1, 6)}})

    def test_a_configuration_that_names_no_table_is_refused_with_its_place(self):
        config = rig.Mansio(self.dir, CONFIG % ('virtual_alias_maps = ["alises"]\n' + inline("aliases", "a b"), 1)).config
        checked = rig.run_program("check", "--config", config)
        self.assertNotEqual(checked.returncode, 0)
        self.assertRegex(checked.stderr, re.escape(config) + r':\d+: virtual_alias_maps names "alises", but there is no '
                                                             r'\[lookup.alises\]; did you mean "aliases"\?')


if __name__ == "__main__":
    unittest.main()
