"""The measurement behind scripts/bench/sins: mail beside plugins that break the rules, those of tests/fixtures/sins and
lookup-sins, which the suite has too.

Two kinds of mail come at the same time. A trickle goes to the plugin, each message to a domain of its own, as the queue would
soon leave a single one alone. The load goes to a sink through a transport that is well. What counts is the load's rate
against the same load and trickle with a plugin that is well where the sin was. Each starts with a fresh Mansio and spool, so
that it is found out anew each time; they follow each other, and the median of the rounds' ratios counts.

Of mail that was acknowledged nothing may be missing, as both sources note each acknowledgement: the load's is at the sink; the
trickle's has been delivered, by a plugin that delivers for all its sins, or waits in the queue. A bounce is a loss."""
import argparse
import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

from figures import beside_plugins, judge
from machine import end_on_signals, fail, free_port, say, wait_growth, wait_until
from next_hops import SlowSink
from servers import Instance, Program

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../tests/system"))
from sins import BUDGETS, expectations, ids_in

WELL = "transport-discard"
ASKS = "transport-asks"  # the one that asks the lookups
OPENS = 10  # s: by then a breaker is open
SENDER = "trickle@load.example"
CONFIG = """[transport.relay]
plugin = "transport-smtp"
process_limit = 100
initial_destination_concurrency = 20
destination_concurrency_limit = 100
{sin}
[[route]]
domain = [".sin.example"]
transport = "sin"
[[route]]
transport = "relay"
nexthop = "[127.0.0.1]:{sink}"
[queue]
in_flow_delay = "0s"  # one client brings all mail here
notify_classes = []  # these would count as mail
"""


def names_of():
    """{plugin: whether it is a lookup}, of all that can be loaded."""
    return {name: folder == "lookup-sins" for folder in ("sins", "lookup-sins")
            for name, mode, _, _ in expectations(folder) if mode != "load"}


def tables(plugin, mode, lookup):
    """Of a configuration: the transport "sin", and the lookup of that name that it asks."""
    budgets = BUDGETS[mode] + ("cpu_limit = 0.2\n" if mode == "process" else "")
    if not lookup:
        return f'[transport.sin]\nplugin = "{plugin}"\nisolation = "{mode}"\ndelivery_time_limit = "2s"\n{budgets}'
    return (f'[transport.sin]\nplugin = "{ASKS}"\ndelivery_time_limit = "10s"\n'
            f'[lookup.sin]\nplugin = "{plugin}"\nisolation = "{mode}"\ntime_limit = "2s"\n{budgets}')


class Source(Program):
    """mansio source, which notes what was acknowledged."""

    def __init__(self, args, directory, name, port, *options):
        self._log = os.path.join(directory, name + ".acknowledged")
        super().__init__([args.mansio, "source", f"127.0.0.1:{port}", "--run", name, "--log", self._log, *options])

    def acknowledged(self):
        return ids_in(self._log)


class Trickle(Source):
    def __init__(self, args, directory, port):
        super().__init__(args, directory, "trickle", port, "-s", "1", "-m", "1000000", "-w", args.every, "-l", "100", "-f", SENDER,
                         "-t", "user@{n}.sin.example")


class Load(Source):
    def __init__(self, args, directory, name, port, messages):
        super().__init__(args, directory, name, port, "-s", "20", "-m", str(messages), "-l", "5120", "-f", "from@load.example",
                         "-t", "to@good.example")


def relayed(args, directory, name, port, messages, sink, stays):
    """Messages a second until the sink has 95 %; then all must come. `stays`: checks what runs beside it."""
    before = sink.count()
    enough = before + int(0.95 * messages)
    with Load(args, directory, name, port, messages) as load:
        def check():
            load.check()
            stays()
        begin = time.monotonic()
        wait_growth(sink.count, enough, "mail beside the plugin, arrived", check=check)
        rate = (enough - before) / (time.monotonic() - begin)
        load.wait(120)
        wait_growth(sink.count, before + messages, "mail beside the plugin, arrived")
        if sink.count() != before + messages:
            fail(f"mail beside the plugin, arrived {sink.count() - before} of {messages}: some came twice")
        return rate, load.acknowledged()


def accounted(server, log, acknowledged):
    """Waits until all of the plugin's mail that was acknowledged is seen, and returns how much of it is sent and how much
    waits. The queue is asked before the log is read, so that what leaves it meanwhile is seen."""
    end = time.monotonic() + 60
    while True:
        waits = {m["queue_id"] for m in map(json.loads, server.tool("queue", "list", "--json").splitlines()) if m["sender"] == SENDER}
        with open(log) as f:
            lines = [json.loads(line) for line in f if '"event":"delivery"' in line and '"transport":"sin"' in line and line.endswith("\n")]
        sent = {line["qid"] for line in lines if line["status"] == "sent"}
        if bounced := {line["qid"] for line in lines if line["status"] == "bounced"}:
            fail(f"{len(bounced)} messages for the plugin were returned to their sender")
        if len(sent | waits) >= acknowledged:
            return len(sent), len(waits - sent)
        if time.monotonic() > end:
            fail(f"of {acknowledged} acknowledged messages for the plugin {len(sent)} are sent and {len(waits - sent)} wait")
        time.sleep(0.5)


def once(args, plugin, mode, lookup):
    """A Mansio of its own: the load's rate beside this plugin."""
    with contextlib.ExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="mansio-bench-", dir=args.directory))
        os.chmod(directory, 0o755)
        log, arrivals, port = os.path.join(directory, "mansio.log"), os.path.join(directory, "sink.log"), free_port()
        open(log, "w").close()
        os.chmod(log, 0o666)
        sink = stack.enter_context(SlowSink(args.mansio, "127.0.0.1", port, 0, "--log", arrivals))
        server = Instance(directory, args, CONFIG.format(sin=tables(plugin, mode, lookup), sink=port), log=log)
        stack.callback(lambda: server.process and server.kill())  # a stop would wait for the plugin
        server.start()
        # Afterwards segments are recycled ones.
        acknowledged = relayed(args, directory, "warm-up", server.port, args.messages // 4, sink, lambda: None)[1]
        with Trickle(args, directory, server.port) as trickle:
            wait_until(lambda: trickle.check() or trickle.acknowledged(), "the plugin's first mail to be acknowledged", 60)
            if mode == "inproc" and plugin != WELL:
                time.sleep(0 if args.quick else OPENS)
            rate, more = relayed(args, directory, "load", server.port, args.messages, sink, trickle.check)
            trickle.end()
            of_plugin = len(trickle.acknowledged())
        acknowledged |= more
        if missing := acknowledged - ids_in(arrivals):
            fail(f"{len(missing)} of {len(acknowledged)} acknowledged messages are not at the sink")
        sent, waits = accounted(server, log, of_plugin)
        say(f"  {plugin:28} {mode:8} {rate:8.0f} messages/s   its own mail: {of_plugin} acknowledged, {sent} sent, {waits} wait")
    return rate


def ratios(args, plugin, lookup):
    """{mode: the median of the rounds' ratios}; a text where a round failed."""
    found, failed = {"inproc": [], "process": []}, {}
    for round_ in range(args.rounds):
        well = once(args, WELL, "inproc", False)
        for mode in found if round_ % 2 == 0 else reversed(found):
            try:
                found[mode].append(once(args, plugin, mode, lookup) / well)
            except SystemExit as e:
                say(f"  {plugin:28} {mode:8} {e.code}")
                failed[mode] = e.code
    return {mode: failed.get(mode) or statistics.median(found[mode]) for mode in found}


def plugins_of(args, directory, names):
    """What the servers load, in one directory: a plugin in a process of its own may read its directory alone."""
    os.mkdir(directory, 0o755)
    for name in (*names, ASKS, WELL, "transport-smtp"):
        where = next(d for d in (args.fixtures, args.plugins) if os.path.exists(os.path.join(d, name + ".so")))
        shutil.copy(os.path.join(where, name + ".so"), directory)
    return directory


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mansio", required=True)
    parser.add_argument("--plugins", required=True)
    parser.add_argument("--fixtures", required=True)
    parser.add_argument("--directory", default=os.environ.get("MANSIO_BENCH_DIR"))
    parser.add_argument("--only", default="", help="plugins whose names have this in them")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--messages", type=int, default=40_000, help="of the load, a round")
    parser.add_argument("--every", default="250ms", help="how long the trickle waits between two messages")
    parser.add_argument("--quick", action="store_true", help="one short round; its ratios say nothing, and do not count")
    args = parser.parse_args()
    if args.quick:
        args.messages, args.rounds = min(args.messages, 2000), 1
    names = {name: lookup for name, lookup in names_of().items() if args.only in name}
    if not names or args.rounds < 1:
        fail(f"no plugin's name has \"{args.only}\" in it" if not names else "--rounds is at least 1")
    end_on_signals()
    with tempfile.TemporaryDirectory(prefix="mansio-bench-plugins-") as directory:
        os.chmod(directory, 0o755)
        args.plugins = plugins_of(args, os.path.join(directory, "plugins"), names)
        values = {f"{name}/{mode}": value for name, lookup in names.items() for mode, value in ratios(args, name, lookup).items()}
    failed = {key: value for key, value in values.items() if isinstance(value, str)}
    held = judge(beside_plugins(names), {key: "failed" if key in failed else value for key, value in values.items()})
    for key, reason in failed.items():
        say(f"not held: {key}: {reason}")
    raise SystemExit(1 if failed or not (held or args.quick) else 0)


if __name__ == "__main__":
    main()
