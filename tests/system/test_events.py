"""Event plugins in the whole program: event-file says what the log says of every message, through reloads and to the end;
one that dies, stands still or hangs holds up no mail and loses none; and scripts hear the lines of the log, never their
own."""
import collections
import contextlib
import json
import os
import re
import signal
import unittest

import rig

CONFIG = '''
[event.accounting]
plugin = "event-file"
path = "{dir}/events/accounting"
events = ["inserted", "delivered", "deferred", "bounced", "removed"]
%s
'''
OUTCOME = {"sent": "delivered", "deferred": "deferred", "bounced": "bounced"}


def replies(command, session, argument):
    if command == "RCPT" and "nobody@" in argument:
        return "550 5.1.1 no such user"
    if command == "RCPT" and "later@" in argument:
        return "451 4.2.0 come again"
    return None


class Events(rig.TestCase):
    def setUp(self):
        super().setUp()
        os.mkdir(self.path("events"))
        os.chmod(self.path("events"), 0o777)

    def lines(self, name="accounting"):
        """Every line is whole, or this fails; the last may be on its way into the file."""
        with open(self.path("events", name)) as f:
            text = f.read()
        return [json.loads(line) for line in text[:text.rfind("\n") + 1].splitlines()]

    def all_lines(self):
        return [line for name in sorted(os.listdir(self.path("events"))) for line in self.lines(name)]

    def send(self, server, recipients):
        with rig.Client(server.port) as client:
            self.assertEqual(client.cmd("EHLO client.test")[0], 250)
            for recipient in recipients:
                client.message("a@sender.example", [recipient], "Subject: x\r\n\r\nbody")

    def host(self, server, name="host.event."):
        return server.pids(name)

    def metric(self, server, name):
        found = re.search(rf'^{name}{{[^}}]*event_sink="\w+"[^}}]*}} (\S+)$', server.cli("status", "--metrics"), re.M)
        return float(found[1]) if found else 0

    def outcomes(self, lines):
        return collections.Counter((l["qid"], l["to"], l["status"], l["dsn"], l["text"], l["delays"]) for l in lines)

    def test_the_file_says_what_the_log_says(self):
        sink = self.peer(on=replies)
        server = self.mansio(rig.relay_config(sink.port) + CONFIG % "")
        self.send(server, ["b@one.example", "nobody@two.example", "later@three.example"])
        server.wait_event("delivery", 4)  # with the bounce
        rig.wait_for(lambda: len([l for l in self.lines() if "to" in l]) == 4, "the outcomes in the file")
        inserted = {l["qid"]: l for l in self.lines() if l["event"] == "inserted"}
        self.assertEqual(len(inserted), 4)
        for line in self.lines():
            if line["event"] == "inserted" or line["event"] == "removed":
                continue
            log, = server.events("delivery", qid=line["qid"])
            self.assertEqual(line["event"], OUTCOME[log["status"]])
            for field in ("to", "transport", "relay", "delay", "delays", "dsn", "status", "text"):
                self.assertEqual(line[field], log[field])
        by_recipient = {l["to"]: l for l in self.lines() if "to" in l}
        self.assertEqual({to: l["event"] for to, l in by_recipient.items()},
                         {"b@one.example": "delivered", "nobody@two.example": "bounced", "later@three.example": "deferred",
                          "a@sender.example": "delivered"})
        mail = inserted[by_recipient["b@one.example"]["qid"]]
        self.assertEqual((mail["from"], mail["nrcpt"], mail["client_address"], mail["listener"]),
                         ("a@sender.example", 1, "127.0.0.1", "smtp"))
        bounce = inserted[by_recipient["a@sender.example"]["qid"]]
        self.assertEqual(bounce["parent"], by_recipient["nobody@two.example"]["qid"])
        self.assertNotIn("from", bounce)

    def test_nothing_is_missing_or_there_twice_through_renames_reloads_and_the_end(self):
        sink = self.peer()
        server = self.mansio(rig.relay_config(sink.port) + CONFIG % "")
        for i in range(4):
            self.send(server, [f"{n}@one.example" for n in range(i * 20, i * 20 + 20)])
            os.rename(self.path("events", "accounting"), self.path("events", f"accounting.{i}"))
            old = self.host(server)
            server.cli("reload")
            rig.wait_for(lambda: len(self.host(server)) == 1 and self.host(server) != old, "the old process to end")
        self.send(server, [f"{n}@one.example" for n in range(80, 100)])
        self.assertEqual(server.stop(), 0)
        lines = self.all_lines()
        inserted = collections.Counter(l["qid"] for l in lines if l["event"] == "inserted")
        self.assertEqual(inserted, collections.Counter(l["qid"] for l in server.events("accepted")))
        self.assertEqual(self.outcomes(l for l in lines if "to" in l), self.outcomes(server.events("delivery")))
        self.assertEqual(server.events("events were lost: the process that had taken them ended before the plugin had "
                                       "heard them"), [])
        self.assertIn("accounting.0", os.listdir(self.path("events")))

    def test_mail_flows_while_the_process_is_killed_again_and_again(self):
        sink = self.peer()
        server = self.mansio(rig.relay_config(sink.port) + CONFIG % "breaker_deaths = 100\nin_flight_limit = 5\n")
        for i in range(3):
            os.kill(rig.wait_for(lambda: self.host(server), "a process to kill")[0], signal.SIGKILL)
            self.send(server, [f"{n}@one.example" for n in range(i * 30, i * 30 + 30)])
        rig.wait_for(lambda: sink.count() >= 90, "every message at the sink")
        rig.wait_for(lambda: server.queue() == [], "an empty queue")
        self.assertEqual({m.recipients[0] for m in sink.messages}, {f"{n}@one.example" for n in range(90)})
        self.send(server, ["last@one.example"])
        rig.wait_for(lambda: any(l.get("to") == "last@one.example" for l in self.lines()), "the file to go on")
        rig.wait_for(lambda: 91 * 3 - len(self.lines()) <= self.metric(server, "mansio_events_lost_total"),
                     "all events but those that a process had which died")
        self.assertEqual(self.metric(server, "mansio_events_dropped_total"), 0)
        self.assertEqual(server.events("message held: release it once the plugin is repaired"), [])

    def test_it_hears_of_a_queue_that_came_anew(self):
        sink = self.peer()
        server = self.mansio(rig.relay_config(sink.port) + CONFIG % "")
        old = self.host(server)
        queue = server.pids("queue")[0]
        os.kill(queue, signal.SIGKILL)
        server.wait_event("process ready", 2, role="queue")

        def takes_mail():
            with rig.Client(server.port) as client:
                client.cmd("EHLO client.test")
                return client.cmd("MAIL FROM:<a@sender.example>")[0] == 250

        rig.wait_for(takes_mail, "the queue to take mail again")
        self.send(server, ["last@one.example"])
        rig.wait_for(lambda: [l["event"] for l in self.lines() if l.get("to") == "last@one.example"] == ["delivered"],
                     "the delivery to be told")
        self.assertEqual(self.host(server), old)

    def test_a_process_that_stands_still_slows_nothing_and_misses_what_does_not_fit(self):
        sink = self.peer()
        server = self.mansio(rig.relay_config(sink.port) + CONFIG % 'buffer_size = "64k"\nin_flight_limit = 10\n')
        pid, = self.host(server)
        os.kill(pid, signal.SIGSTOP)
        self.send(server, [f"{n}@one.example" for n in range(200)])
        rig.wait_for(lambda: server.queue() == [], "an empty queue")
        self.assertEqual(sink.count(), 200)
        rig.wait_for(lambda: self.metric(server, "mansio_events_dropped_total") > 0, "dropped events")
        said = "events are dropped: the plugin does not take them as fast as they come; mail is not held up"
        self.assertEqual(len(server.events(said)), 1)
        with contextlib.suppress(ProcessLookupError):  # ended, if it stood still for too long
            os.kill(pid, signal.SIGCONT)
        server.wait_event("events are told again")
        self.send(server, ["last@one.example"])
        rig.wait_for(lambda: any(l.get("to") == "last@one.example" for l in self.lines()), "the file to go on")

        def all_told():  # one that stands still for too long is ended, and what it had taken is lost
            missing = 201 * 3 - len(self.lines()) - self.metric(server, "mansio_events_dropped_total")
            return 0 <= missing <= self.metric(server, "mansio_events_lost_total")
        rig.wait_for(all_told, "every event, written or counted")

    def watch(self, names, options=""):
        """Scripts that count refusals in the log, write a line for each, and complain if they hear such a line."""
        with open(self.path("watch.lua"), "w") as f:
            f.write('''
local rejects = 0
mansio.on("log", function(line)
  local told = mansio.json.decode(line)
  if told.event == "reject" then
    rejects = rejects + 1
    mansio.log.info("rejects so far: %d", rejects)
  end
  if told.event:find("rejects so far", 1, true) or (told.process or ""):find("^host%.event") then
    mansio.log.error("heard a listener")
  end
end)
''')
        return "".join(f'[event.{name}]\nplugin = "lua"\nscript = "{{dir}}/watch.lua"\n{options}\n' for name in names)

    def refuse(self, server, n):
        with rig.Client(server.port) as client:
            client.cmd("EHLO client.test")
            for _ in range(n):
                self.assertEqual(client.cmd("MAIL FROM:<a@sender.example> SIZE=999999999999")[0], 552)

    def counted(self, server, name):
        """The numbers of its lines, in the order of the log."""
        lines = (json.loads(line) for line in server.log_text().splitlines() if "rejects so far: " in line)
        return [int(line["event"].split(": ")[1]) for line in lines if line["event_sink"] == name]

    def test_lines_of_the_log_are_told_and_never_those_of_listeners(self):
        """Two of them, each of which writes a line for each refusal that it hears of: no line leads to another."""
        names = ("watch", "other")
        sink = self.peer()
        server = self.mansio(rig.relay_config(sink.port) + self.watch(names))

        def all_heard():  # once it is told that lines are wanted, a process tells all that it writes
            self.refuse(server, 1)
            return all(self.counted(server, name) for name in names)
        rig.wait_for(all_heard, "lines to be told")
        before = {name: self.counted(server, name)[-1] for name in names}
        self.refuse(server, 3)
        self.send(server, ["b@one.example"])
        rig.wait_for(lambda: all(self.counted(server, name)[-1] >= before[name] + 3 for name in names),
                     "every refusal to be told")
        rig.wait_for(lambda: sink.count() == 1, "the message")
        self.assertEqual(server.stop(), 0)
        for name in names:
            numbers = self.counted(server, name)
            self.assertEqual(numbers, list(range(1, len(numbers) + 1)))
            self.assertLessEqual(len(numbers), len(server.events("reject")))
        self.assertEqual(server.events("heard a listener"), [])

    def test_a_flood_of_lines_is_dropped_and_counted_and_mail_flows(self):
        sink = self.peer()
        server = self.mansio(rig.relay_config(sink.port) +
                             self.watch(["watch"], 'buffer_size = "64k"\nin_flight_limit = 10'))

        def heard():
            self.refuse(server, 1)
            return self.counted(server, "watch")
        rig.wait_for(heard, "lines to be told")
        pid, = self.host(server)
        os.kill(pid, signal.SIGSTOP)
        self.send(server, [f"{n}@one.example" for n in range(200)])
        rig.wait_for(lambda: server.queue() == [], "an empty queue")
        self.assertEqual(sink.count(), 200)
        rig.wait_for(lambda: self.metric(server, "mansio_log_lines_dropped_total") > 0, "dropped lines")
        said = "lines of the log are not told: the plugin does not take them as fast as they come; mail is not held up"
        server.wait_event(said)
        with contextlib.suppress(ProcessLookupError):  # ended, if it stood still for too long
            os.kill(pid, signal.SIGCONT)
        server.wait_event("lines of the log are told again")

    def test_a_plugin_that_hangs_is_ended_and_mail_flows(self):
        sink = self.peer()
        server = self.mansio(rig.relay_config(sink.port) + '[event.odd]\nplugin = "event-odd"\ndo = "hang"\n',
                             plugins=self.plugins("event-odd", "transport-smtp"))
        self.send(server, [f"{n}@one.example" for n in range(10)])
        rig.wait_for(lambda: sink.count() == 10, "every message at the sink")
        server.wait_event("process ended", role="host.event.odd", crashed=True)
        self.send(server, ["last@one.example"])
        rig.wait_for(lambda: sink.count() == 11, "the last message")
        rig.wait_for(lambda: server.queue() == [], "an empty queue")

    def test_a_plugin_that_does_not_start_keeps_no_mail(self):
        os.mkdir(self.path("events", "accounting"))  # no file
        sink = self.peer()
        server = self.mansio(rig.relay_config(sink.port) + CONFIG % "")
        self.send(server, ["b@one.example"])
        rig.wait_for(lambda: sink.count() == 1, "the message")
        failed = server.wait_event("role failed to start", process="host.event.accounting")[0]
        self.assertIn("which cannot be opened", failed["reason"])


if __name__ == "__main__":
    unittest.main()
