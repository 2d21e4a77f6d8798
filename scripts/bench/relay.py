"""The comparison behind scripts/bench/relay. Everything on loopback, each server in a directory of its own; whoever is
not measured is idle. Ratios are taken round by round and the median of them counts: the machine's speed drifts, the
ratio of two figures that were taken one after the other does not."""
import argparse
import contextlib
import json
import os
import shutil
import statistics
import subprocess
import tempfile
import time

from figures import RELAY, table
from machine import Disk, cpu_seconds, dirtied_bytes, end_on_signals, fail, free_port, processes, say, wait_growth, wait_port, wait_quiet
from next_hop_down import compare_down
from servers import Postfix, Sink, Source, relay

WARM_UPS = 8  # rounds at most until Mansio makes no new segment


class Case:
    """The rates are compared, so the slow server may get fewer messages; each gets so many that starting does not weigh."""

    def __init__(self, title, args, share=1.0, **how):
        self.title, self.how = title, how
        self.fast, self.slow = max(1, int(args.messages * share)), max(1, int(args.postfix_messages * max(share, 0.5)))

    def messages(self, name):
        return self.slow if name == "Postfix" else self.fast


def mail_bytes(args, case):
    """Of one message as it is on the wire, with the header section that smtp-source puts before its payload."""
    port, some = free_port(), 20
    sink = subprocess.Popen([args.mansio, "sink", f"127.0.0.1:{port}", "--quit-after", str(some), "--json"], stdout=subprocess.PIPE, text=True)
    try:
        wait_port(port)
        with Source(port, some, **dict(case.how, sessions=1)) as source:
            source.wait(60)
        return json.loads(sink.communicate(timeout=60)[0].splitlines()[-1])["bytes"] / some
    finally:
        sink.kill()
        sink.wait()


def end_to_end(case, name, port, sink, settle):
    """Messages a second until the sink has 95 %. Then all must come, and none twice: `settle` returns when none is left."""
    messages, before = case.messages(name), sink.rest()
    enough, what = before + int(0.95 * messages), f"{case.title}, {name}: arrived"
    begin = time.monotonic()
    with Source(port, messages, **case.how) as source:
        wait_growth(sink.count, enough, what, check=source.check)
        rate = (enough - before) / (time.monotonic() - begin)
        source.wait(120)
    wait_growth(sink.count, before + messages, what)
    settle()
    if sink.count() != before + messages:
        fail(f"{what} {sink.count() - before} of {messages}: some came twice")
    return rate


def warm_up(case, sink, postfix, mansio):
    """A round of each that does not count, and of Mansio's as many more as it takes until its segments are recycled ones;
    then until the zeros of those that were made on the way have been written."""
    end_to_end(case, "straight", sink.port, sink, lambda: None)
    end_to_end(case, postfix.name, postfix.port, sink, postfix.wait_empty)
    same = 0
    for _ in range(WARM_UPS):
        segments = mansio.segments()
        end_to_end(case, mansio.name, mansio.port, sink, mansio.wait_empty)
        same = same + 1 if mansio.segments() == segments else 0
        if same == 2:
            break
    wait_quiet(lambda: dirtied_bytes(mansio.pid), "Mansio to write nothing more")


class Use:
    """What a server spends on a message, and the disk meanwhile, on which nobody else should be at work."""

    def __init__(self, server, disk, messages, mail):
        self.server, self.disk, self.messages, self.mail = server, disk, messages, mail
        self.cpu, self.flushes, self.bytes = [], [], []

    def round(self, run):
        segments = self.server.segments()
        cpu, flushes, written = cpu_seconds(self.server.pid), self.disk.flushes(), self.disk.written()
        rate = run()
        self.cpu.append((cpu_seconds(self.server.pid) - cpu) / self.messages * 1e6)
        if self.disk.counts_flushes:
            self.flushes.append((self.disk.flushes() - flushes) / self.messages)
        os.sync()  # what was left to be written later is part of the round
        if written is not None and self.server.segments() == segments:
            self.bytes.append((self.disk.written() - written) / self.messages / self.mail)
        return rate

    def figures(self):
        """Bytes are those of all rounds together, since what is written now and then falls into one or another; but of
        rounds that made no new segment, for the zeros that fill it are preallocation."""
        return {"cpu": statistics.median(self.cpu),
                "flushes": statistics.median(self.flushes) if self.flushes else "not available",
                "written": statistics.mean(self.bytes) if self.bytes else "not available"}

    def show(self):
        f = {key: value if isinstance(value, str) else f"{value:.3f}" for key, value in self.figures().items()}
        return (f"   CPU {statistics.median(self.cpu):5.0f} us a message   flushes {f['flushes']} a message   "
                f"written {f['written']} bytes a byte of mail")


def compare(case, sink, servers, args, disk):
    """Prints the case; returns its figures by name."""
    warm_up(case, sink, *servers)
    mail, mansio = mail_bytes(args, case), servers[-1]
    rates = {"straight": [], **{s.name: [] for s in servers}}
    use = {s.name: Use(s, disk, case.messages(s.name), mail) for s in servers}
    alive, segments = set(processes(mansio.pid)), mansio.segments()
    os.sync()
    for _ in range(args.rounds):
        rates["straight"].append(end_to_end(case, "straight", sink.port, sink, lambda: None))
        for s in servers:
            rates[s.name].append(use[s.name].round(lambda s=s: end_to_end(case, s.name, s.port, sink, s.wait_empty)))
    if gone := alive - set(processes(mansio.pid)):
        fail(f"{case.title}: processes of Mansio died: {gone}")
    say(f"\n{case.title}: messages/s end to end, {args.rounds} rounds, {mail:.0f} bytes a message with its headers")
    for name, values in rates.items():
        line = (f"  {name:9}{case.messages(name):7} a round   median {statistics.median(values):6.0f}   min {min(values):6.0f}   "
                f"max {max(values):6.0f}")
        say(line + (use[name].show() if name in use else ""))
    against = {name: statistics.median(m / x for m, x in zip(rates["Mansio"], rates[name])) for name in ("Postfix", "straight")}
    say(f"  Mansio / Postfix {against['Postfix']:.2f}    Mansio / straight {against['straight']:.2f}    Mansio's segments: {segments} before the "
        f"rounds, {mansio.segments()} after them; bytes written are of the {len(use['Mansio'].bytes)} rounds that made none")
    return {**against, **use["Mansio"].figures()}


def cases_of(args):
    """Each with the figures of the final table that it gives: {key there: name here}."""
    return [
        (Case("5 KiB, 20 sessions, persistent connections", args),
         {"persistent": "Postfix", "straight": "straight", "cpu": "cpu", "flushes20": "flushes", "written5": "written"}),
        (Case("5 KiB, 100 sessions, persistent connections", args, sessions=100), {"flushes100": "flushes"}),
        (Case("5 KiB, 20 sessions, a connection a message", args, persistent=False), {"connection": "Postfix"}),
        (Case("5 KiB, 100 sessions, a connection a message", args, sessions=100, persistent=False), {}),
        (Case("100 KiB, 20 sessions, persistent connections", args, 0.25, length=102400), {"written100": "written"}),
        (Case("5 KiB, 50 recipients, 20 sessions, persistent connections", args, 0.25, recipients=50), {}),
    ]


def run(args, directory, values):
    disk = Disk(directory)
    say(disk.describe())
    cases = [(case, keys) for case, keys in cases_of(args) if not args.only or args.only in case.title]
    with contextlib.ExitStack() as stack:
        sink = stack.enter_context(Sink())
        servers = [Postfix(directory, sink.port), relay(directory, sink.port, args)] if cases else []
        for server in servers:
            stack.callback(server.stop)
            server.start()
        for case, keys in cases:
            seen = compare(case, sink, servers, args, disk)
            values.update({key: seen[name] for key, name in keys.items()})
    if args.backlog:
        compare_down(args, directory, values)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mansio", required=True)
    parser.add_argument("--plugins", required=True)
    parser.add_argument("--directory", default=os.environ.get("MANSIO_BENCH_DIR"), help="where the spools are made, on the disk to be measured")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--messages", type=int, default=20_000, help="a round, straight and through Mansio; of large mail a quarter")
    parser.add_argument("--postfix-messages", type=int, help="a round through Postfix, a tenth of those; of large mail half")
    parser.add_argument("--backlog", type=int, default=100_000, help="messages for accept-only and drain; 0: leave them out")
    parser.add_argument("--drains", type=int, default=5, help="passes of accept-only and drain, if the time allows")
    parser.add_argument("--minutes", type=int, default=35, help="from the first pass on; none is begun that would end later")
    parser.add_argument("--only", help="only cases whose title has this in it")
    args = parser.parse_args()
    args.postfix_messages = args.postfix_messages or max(1, args.messages // 10)
    end_on_signals()
    began, values = time.monotonic(), {}
    directory = tempfile.mkdtemp(prefix="mansio-bench-", dir=args.directory)
    os.chmod(directory, 0o755)
    try:
        run(args, directory, values)
        say(f"\nIn {(time.monotonic() - began) / 60:.0f} minutes; ratios and amounts are medians of rounds, bytes written those of all together:\n")
        table(RELAY, values)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
