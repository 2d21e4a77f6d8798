"""Accept-only and drain: what is taken a second while the next hop is down, and how fast what waited goes out.

Both servers are up all the time. The rounds of accept-only alternate, and the queues are not emptied between them but
grow, equally, to the whole backlog: each round ends when all that was taken has been deferred, outside the measured
time, so that nobody works while the other is measured. Then each drains its backlog into a sink of its own, the order
changing from one pass to the next. Neither retries by itself meanwhile."""
import contextlib
import os
import statistics
import time

from machine import fail, free_port, say, wait_growth
from servers import Postfix, Sink, Source, relay


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


def show(what, names, rates):
    ratios = [m / p for p, m in zip(*rates.values())]
    text = "   ".join(f"{name} median {statistics.median(rates[name]):.0f} (" + " ".join(f"{r:.0f}" for r in rates[name]) + ")" for name in names)
    say(f"  {what:9} {text}   Mansio / Postfix {statistics.median(ratios):.2f} (" + " ".join(f"{r:.2f}" for r in ratios) + ")")
    return statistics.median(ratios)


def compare_down(args, directory, began, values):
    directory = os.path.join(directory, "down")
    ports = {"Postfix": free_port(), "Mansio": free_port()}
    servers = [Postfix(directory, ports["Postfix"], retries=False), relay(directory, ports["Mansio"], args, retries=False)]
    names = [s.name for s in servers]
    accepted, drained = ({name: [] for name in names} for _ in range(2))
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
                    accepted[server.name].append(accept(server, step, step * round_))
            for server in servers if passes % 2 == 0 else reversed(servers):
                drained[server.name].append(drain(server, ports[server.name], backlog))
            passes, longest = passes + 1, max(longest, time.monotonic() - begin)
            show(f"pass {passes}", names, {n: drained[n][-1:] for n in names})
    values["accept"] = show("accepted", names, accepted)
    values["drain"] = show("drained", names, drained)
    say(f"  {len(accepted['Mansio'])} rounds of accept-only; {passes} drains of {backlog} each, of {args.drains} asked for"
        + ("" if passes == args.drains else f": another would not have ended within {args.minutes} minutes"))
