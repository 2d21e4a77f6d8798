"""All plugins that break the rules (tests/fixtures/sins, lookup-sins), many at once, each with mail of its own, beside a load that
needs none of them. Whatever they do, no acknowledged message is lost or goes back to its sender, and the load flows: what
rate it keeps, scripts/bench/sins measures; nothing here goes by time."""
import re
import subprocess
import unittest

import rig
import sins

SINNING = 5  # messages for each plugin
PARTS = 2  # all at once would be more processes than Mansio has
LOAD = 500  # messages for others, before all that is known of the plugins and again after it

HEAD = '''
myhostname = "mx.mansio.test"
[smtpd]
mynetworks = ["127.0.0.0/8"]
[listener.smtp]
listen = ["127.0.0.1:{port}"]
[queue]
minimal_backoff_time = "300s"
in_flow_delay = "0s"
notify_classes = []
[transport.good]
plugin = "transport-smtp"
'''
TRANSPORT = '''
[transport.s%(number)d]
plugin = "%(plugin)s"
isolation = "%(mode)s"
delivery_time_limit = "%(limit)ds"
%(budgets)s
'''
LOOKUP = '''
[transport.s%(number)d]
plugin = "transport-asks"
table = "s%(number)d"
[lookup.s%(number)d]
plugin = "%(plugin)s"
isolation = "%(mode)s"
time_limit = "%(limit)ds"
'''
ROUTE = '''
[[route]]
domain = [".s%d.example"]
transport = "s%d"
'''
LAST = '''
[[route]]
transport = "good"
nexthop = "[127.0.0.1]:%d"
'''


class SinsUnderLoad(rig.TestCase):
    def ids(self, name):
        return sins.ids_in(self.path(name))

    def source(self, server, run, *options):
        return self.spawn([rig.MANSIO, "source", f"127.0.0.1:{server.port}", "--run", run, "--log", self.path(run), *options],
                          stdout=subprocess.DEVNULL)

    def load(self, server, run):
        return self.source(server, run, "-s", "10", "-m", str(LOAD), "-f", "a@load.example", "-t", "b@good.example")

    def flows(self, source, run):
        """All of a load is acknowledged, and what is acknowledged arrives."""
        self.assertEqual(source.wait(rig.LIMIT), 0)
        self.assertEqual(len(self.ids(run)), LOAD)
        rig.wait_for(lambda: self.ids(run) <= self.ids("arrived"), "all of the load to arrive")

    def under_load(self, folder, mode, part):
        found = [(name, outcome, regex) for name, m, outcome, regex in sins.expectations(folder)
                 if m == mode and (name, mode) not in sins.LEFT_OUT and name not in sins.REPORTED][part::PARTS]
        sink, lookups = rig.free_port(), folder == "lookup-sins"
        config = HEAD
        for number, (plugin, _, _) in enumerate(found):
            config += (LOOKUP if lookups else TRANSPORT) % {
                "number": number, "plugin": plugin, "mode": mode, "limit": 2 * rig.SLOW,
                "budgets": sins.BUDGETS[mode]}
        config += "".join(ROUTE % (number, number) for number in range(len(found))) + LAST % sink
        self.spawn([rig.MANSIO, "sink", f"127.0.0.1:{sink}", "--log", self.path("arrived")], stdout=subprocess.DEVNULL)
        rig.wait_for_port(sink)
        server = self.mansio(config, plugins=self.plugins("transport-smtp", "transport-asks", *(name for name, _, _ in found)))

        # A domain of its own for each message: after the first few the queue would leave a single one alone.
        sinning = self.source(server, "sinning", "-s", "2", "-m", str(SINNING * len(found)), "-f", "sinner@load.example",
                              "-t", "u@{n}.s{d}.example", "--domains", str(len(found)))
        first = self.load(server, "first")
        self.assertEqual(sinning.wait(rig.LIMIT), 0)
        self.assertEqual(len(self.ids("sinning")), SINNING * len(found))
        self.flows(first, "first")

        for number, (plugin, outcome, regex) in enumerate(found):
            name = f"s{number}"

            def said(name=name, regex=regex):
                return any(re.search(rf"\b{name}\b", line) and re.search(regex, line) for line in server.log_text().splitlines())
            rig.wait_for(said, f"a log line of {name}, {plugin}, like {regex}")
            if outcome == "sent":  # one at least: some have nothing left for the next
                server.wait_event("delivery", transport=name, status="sent")
            else:
                self.assertEqual(server.deliveries(transport=name, status="sent"), [], plugin)
        self.flows(self.load(server, "second"), "second")
        # The queue first: what leaves it meanwhile is in the log.
        waits = {m["queue_id"] for m in server.queue() if m["sender"] == "sinner@load.example"}
        sent = {e["qid"] for e in server.deliveries(status="sent") if e.get("transport") != "good"}
        self.assertEqual(len(waits | sent), SINNING * len(found))
        self.assertEqual(server.deliveries(status="bounced"), [])


def add(folder, mode, part):
    def test(self):
        self.under_load(folder, mode, part)
    setattr(SinsUnderLoad, f"test_{folder}_{mode}_{part}".replace("-", "_"), test)


for each_folder in ("sins", "lookup-sins"):
    for each_mode in ("inproc", "process"):
        for each_part in range(PARTS):
            add(each_folder, each_mode, each_part)


if __name__ == "__main__":
    unittest.main()
