"""smtp_generic_maps in the whole program: what other hosts see of internal addresses, by every transport and with plugins
in processes of their own; mail of a transport without them; and a table that cannot be asked."""
import subprocess
import unittest

import rig
from dns_server import DnsServer

CONFIG = '''
myhostname = "mx.mansio.test"
mydestination = ["own.internal"]
recipient_delimiter = "+"
[smtpd]
mynetworks = ["127.0.0.0/8"]
[listener.smtp]
listen = ["127.0.0.1:{port}"]
[transport.relay]
plugin = "transport-smtp"
smtp_generic_maps = ["generic"]
%s
[[route]]
transport = "relay"
nexthop = "[127.0.0.1]:%d"
[queue]
minimal_backoff_time = "1s"
maximal_backoff_time = "1s"
notify_classes = []
'''

TABLE = '''
[lookup.generic]
plugin = "lookup-file"
inline = """
alice@own.internal   alice@example.com
bob                  b.builder@example.com
@own.internal        @public.example
"""
'''

CONTENT = ("From: Alice <alice@own.internal>\r\nSender: bob+x@own.internal\r\nReply-To: <carol@own.internal>\r\n"
           "To: dave@elsewhere.test,\r\n \"Bob B.\" <bob@own.internal> (builder)\r\nCc: carol@own.internal\r\n"
           "Bcc: eve@own.internal\r\nResent-From: alice@own.internal\r\nResent-To: alice@own.internal\r\n"
           "Subject: alice@own.internal\r\n\r\nFrom: alice@own.internal\r\n")
PUBLIC = ("From: Alice <alice@example.com>\r\nSender: b.builder@example.com\r\nReply-To: <carol@public.example>\r\n"
          "To: dave@elsewhere.test,\r\n \"Bob B.\" <b.builder@example.com> (builder)\r\nCc: carol@public.example\r\n"
          "Bcc: eve@public.example\r\nResent-From: alice@example.com\r\nResent-To: alice@example.com\r\n"
          "Subject: alice@own.internal\r\n\r\nFrom: alice@own.internal\r\n")


class GenericMaps(rig.TestCase):
    def send(self, server, recipients=("dave@elsewhere.test",), sender="alice@own.internal", content=CONTENT):
        with rig.Client(server.port) as c:
            self.assertEqual(c.cmd("EHLO client.test")[0], 250)
            c.message(sender, recipients, content)

    def arrived(self, sink, count=1):
        rig.wait_for(lambda: sink.count() >= count, f"{count} messages at the sink")
        with sink.lock:
            return sink.messages[count - 1]

    def assert_public(self, message):
        self.assertEqual(message.sender, "alice@example.com")
        text = message.content.decode()
        self.assertTrue(text.startswith("Received:"), text)
        self.assertEqual(text[text.index("From: Alice"):].rstrip("\r\n"), PUBLIC.rstrip("\r\n"))

    def test_other_hosts_see_public_addresses(self):
        sink = self.peer()
        server = self.mansio(CONFIG % (TABLE, sink.port))
        self.send(server, ["dave@elsewhere.test", "bob+lists@own.internal"])
        message = self.arrived(sink)
        self.assert_public(message)
        self.assertEqual(sorted(message.recipients), ["b.builder@example.com", "dave@elsewhere.test"])
        # The log speaks of the addresses that the queue has.
        sent = server.wait_event("delivery", 2, status="sent")
        self.assertEqual(sorted(d["to"] for d in sent), ["bob+lists@own.internal", "dave@elsewhere.test"])

    def test_the_size_that_is_announced_is_that_of_the_message_as_it_leaves(self):
        sink = self.peer()
        server = self.mansio(CONFIG % (TABLE, sink.port))
        self.send(server)
        message = self.arrived(sink)
        self.assertIn(f"SIZE={len(message.content)}", message.args[0])

    def test_mail_goes_where_its_recipient_was_routed(self):
        inside = self.peer(address="127.0.0.2")
        outside = self.peer(address="127.0.0.3", port=inside.port)
        dns = DnsServer({("own.internal", "MX"): [(10, "mx.own.internal")], ("mx.own.internal", "A"): ["127.0.0.2"],
                         ("public.example", "A"): ["127.0.0.3"]})
        self.addCleanup(dns.close)
        config = CONFIG.replace('nexthop = "[127.0.0.1]:%d"\n', "") % (f"smtp_tcp_port = {inside.port}\n" + TABLE)
        self.send(self.mansio(config + f'[dns]\nservers = ["127.0.0.1:{dns.port}"]\n'), ["carol@own.internal"])
        self.assertEqual(self.arrived(inside).recipients, ["carol@public.example"])
        self.assertEqual(outside.connections, 0)

    def test_extensions_stay_where_they_are_wanted(self):
        sink = self.peer()
        server = self.mansio('propagate_unmatched_extensions = ["generic"]\n' + CONFIG % (TABLE, sink.port))
        self.send(server, sender="bob+x@own.internal")
        self.assertEqual(self.arrived(sink).sender, "b.builder+x@example.com")

    def test_notifications_keep_the_null_sender(self):
        def on(command, session, argument):
            return "550 5.1.1 nobody" if command == "RCPT" and "lost@" in argument else None
        sink = self.peer(on=on)
        server = self.mansio(CONFIG % (TABLE, sink.port))
        self.send(server, ["lost@elsewhere.test"])
        message = self.arrived(sink)
        self.assertEqual(message.sender, "")
        self.assertEqual(message.recipients, ["alice@example.com"])
        self.assertRegex(message.content, rb"\nTo: <?alice@example\.com")
        rig.wait_for(lambda: server.queue() == [], "an empty queue")

    def test_with_the_transport_and_the_table_in_processes_of_their_own(self):
        sink = self.peer()
        table = TABLE.replace('plugin = "lookup-file"', 'plugin = "lookup-file"\nisolation = "process"')
        server = self.mansio(CONFIG % ('isolation = "process"\n' + table, sink.port),
                             plugins=self.plugins("transport-smtp", "lookup-file"))
        self.send(server)
        self.assert_public(self.arrived(sink))

    def test_other_transports_deliver_what_the_queue_has(self):
        sink, other = self.peer(), self.peer()
        server = self.mansio(CONFIG % (f'''[transport.inner]
plugin = "transport-smtp"
[[route]]
domain = ["own.internal"]
transport = "inner"
nexthop = "[127.0.0.1]:{other.port}"
''' + TABLE, sink.port))
        self.send(server, ["dave@elsewhere.test", "carol@own.internal"])
        self.assert_public(self.arrived(sink))
        inner = self.arrived(other)
        self.assertEqual((inner.sender, inner.recipients), ("alice@own.internal", ["carol@own.internal"]))
        self.assertIn(CONTENT.split("\r\n", 1)[0].encode(), inner.content)

    def test_a_table_that_cannot_be_asked_defers(self):
        sink, redis = self.peer(), rig.free_port()
        server = self.mansio(CONFIG % (f'''[lookup.generic]
plugin = "lookup-redis"
hosts = ["127.0.0.1:{redis}"]
query = "GET generic:%s"
retry_interval = "100ms"
''', sink.port))
        self.send(server, content="From: alice@own.internal\r\n\r\nHello.\r\n")
        deferred = server.wait_event("delivery", status="deferred")[0]
        self.assertEqual((deferred["dsn"], deferred["text"]), ("4.3.0", "Temporary lookup failure"))
        self.assertEqual(sink.connections, 0)
        server.wait_event("table asked in vain", transport="relay")
        self.spawn(["redis-server", "--port", str(redis), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir",
                    self.dir], stdout=subprocess.DEVNULL)
        rig.wait_for_port(redis)
        subprocess.run(["redis-cli", "-p", str(redis), "set", "generic:alice@own.internal", "alice@example.com"], check=True,
                       stdout=subprocess.DEVNULL, timeout=rig.LIMIT)
        message = self.arrived(sink)
        self.assertEqual(message.sender, "alice@example.com")
        self.assertIn(b"From: alice@example.com\r\n", message.content)
        self.assertEqual(server.events("delivery", status="bounced"), [])

    def test_a_reload_brings_tables_and_takes_them_away(self):
        sink = self.peer()
        server = self.mansio(CONFIG.replace('smtp_generic_maps = ["generic"]\n', "") % (TABLE, sink.port))
        self.send(server)
        self.assertEqual(self.arrived(sink).sender, "alice@own.internal")
        server.write_config(CONFIG % (TABLE, sink.port))
        server.cli("reload")
        self.send(server)
        self.assert_public(self.arrived(sink, 2))


if __name__ == "__main__":
    unittest.main()
