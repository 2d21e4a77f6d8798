"""Accept-only and drain: what is taken a second while the next hop is down, and how fast what waited goes out.

Both servers are up all the time. The rounds of accept-only alternate, and the queues are not emptied between them but
grow, equally, to the whole backlog: each round ends when all that was taken has been deferred, outside the measured
time, so that nobody works while the other is measured. Then each drains its backlog into a sink of its own, the order
changing from one pass to the next. Neither retries by itself meanwhile. CPU is that of all processes of the server, until
all that was taken has been deferred, or all that waited has gone."""
import contextlib
import os
import statistics
import time

from machine import cpu_seconds, fail, free_port, say, wait_growth
from servers import Postfix, Sink, Source, relay


class Seen:
    """Of one server, by round: messages a second, and us of CPU a message."""

    def __init__(self):
        self.rates, self.cpu = [], []

    def round(self, server, messages, run):
        before = cpu_seconds(server.pid)
        self.rates.append(run())
        self.cpu.append((cpu_seconds(server.pid) - before) / messages * 1e6)

    def last(self):
        only = Seen()
        only.rates, only.cpu = self.rates[-1:], self.cpu[-1:]
        return only


def accept(server, messages, total):
    begin = time.monotonic()
    with Source(server.port, messages) as source:
        source.wait(120 + messages / 20)
    rate = messages / (time.monotonic() - begin)
    server.wait_deferred(total)
    return rate


def drain(server, port, backlog):
    """Messages a second until 95 % have gone; then all of them, each once."""
    with Sink(port) as sink:
        begin = time.monotonic()
        server.flush()
        enough = int(0.95 * backlog)
        wait_growth(sink.count, enough, f"drained by {server.name}", 120)
        rate = enough / (time.monotonic() - begin)
        wait_growth(sink.count, backlog, f"drained by {server.name}", 120)
        server.wait_empty()
        if sink.count() != backlog:
            fail(f"{server.name} sent {sink.count()} messages where {backlog} waited")
    return rate


def show(what, seen):
    """Prints a table row of each server, by name; returns the median of the rounds' ratios."""
    for name, of in seen.items():
        say(f"  {what:9}{name:9}median {statistics.median(of.rates):6.0f}   CPU {statistics.median(of.cpu):5.0f} us a message   rounds "
            + " ".join(f"{rate:.0f} ({cpu:.0f} us)" for rate, cpu in zip(of.rates, of.cpu)))
    ratios = [m / p for p, m in zip(*(of.rates for of in seen.values()))]
    say(f"  {what:9}Mansio / Postfix {statistics.median(ratios):.2f} (" + " ".join(f"{r:.2f}" for r in ratios) + ")")
    return statistics.median(ratios)


def compare_down(args, directory, values):
    began = time.monotonic()
    directory = os.path.join(directory, "down")
    ports = {"Postfix": free_port(), "Mansio": free_port()}
    servers = [Postfix(directory, ports["Postfix"], retries=False), relay(directory, ports["Mansio"], args, retries=False)]
    accepted, drained = ({s.name: Seen() for s in servers} for _ in range(2))
    step = max(1, args.backlog // args.rounds)
    backlog = step * args.rounds
    say(f"\nNext hop down, then up: {args.rounds} alternating rounds of {step} messages of 5 KiB, 20 sessions, the queues growing to "
        f"{backlog}; then each drains. Messages/s:")
    with contextlib.ExitStack() as stack:
        for server in servers:
            stack.callback(server.stop)
            server.start()
        passes, longest = 0, 0.0
        while passes < args.drains and (passes == 0 or time.monotonic() + longest < began + 60 * args.minutes):
            begin = time.monotonic()
            for round_ in range(1, args.rounds + 1):
                for server in servers:
                    accepted[server.name].round(server, step, lambda s=server, total=step * round_: accept(s, step, total))
            for server in servers if passes % 2 == 0 else reversed(servers):
                drained[server.name].round(server, backlog, lambda s=server: drain(s, ports[s.name], backlog))
            passes, longest = passes + 1, max(longest, time.monotonic() - begin)
            show(f"drain {passes}", {name: of.last() for name, of in drained.items()})
    values["accept"] = show("accepted", accepted)
    values["drain"] = show("drained", drained)
    say(f"  measured in {passes} of {args.drains} passes: {len(accepted['Mansio'].rates)} rounds of accept-only, {passes} drains of {backlog}"
        + ("" if passes == args.drains else f"; another pass would not have ended within {args.minutes} minutes of the first one's start"))
