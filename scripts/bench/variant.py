"""The relay as it is against the relay with something changed, a setting or the whole program, round by round in turn, so
that the machine's drift meets both. What counts is the median of the rounds' ratios."""
import argparse
import contextlib
import os
import shutil
import statistics
import tempfile

from machine import Disk, end_on_signals, fail, say
from relay import Case, Use, end_to_end, mail_bytes
from servers import Sink, relay

WARM_UPS = 2  # rounds, after which segments are recycled ones


def compare(args, directory):
    disk = Disk(directory)
    say(disk.describe())
    case = Case("relay", args, sessions=args.sessions, length=args.length, persistent=not args.connection_each)
    other = argparse.Namespace(mansio=args.other_mansio or args.mansio, plugins=args.other_plugins or args.plugins)
    variants = {"as it is": (args, {}), "changed": (other, {"top": "\n".join(args.top), "transport": "\n".join(args.transport)})}
    mail = mail_bytes(args, case)
    with contextlib.ExitStack() as stack:
        sink = stack.enter_context(Sink())
        servers, use, rates = {}, {}, {}
        for number, (name, (programs, settings)) in enumerate(variants.items()):
            place = os.path.join(directory, str(number))
            os.mkdir(place, 0o755)
            servers[name] = relay(place, sink.port, programs, **settings)
            stack.callback(servers[name].stop)
            servers[name].start()
            use[name], rates[name] = Use(servers[name], disk, case.messages(servers[name].name), mail), []
        for round_ in range(args.rounds + WARM_UPS):
            for name in variants if round_ % 2 == 0 else reversed(variants):
                def run(server=servers[name]):
                    return end_to_end(case, server.name, server.port, sink, server.wait_empty)
                if round_ < WARM_UPS:
                    run()
                else:
                    rates[name].append(use[name].round(run))
    return rates, use


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mansio", required=True)
    parser.add_argument("--plugins", required=True)
    parser.add_argument("--directory", default=os.environ.get("MANSIO_BENCH_DIR"), help="where the spools are made, on the disk to be measured")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--messages", type=int, default=20_000, help="a round")
    parser.add_argument("--sessions", type=int, default=20)
    parser.add_argument("--length", type=int, default=5120, help="bytes of a message")
    parser.add_argument("--connection-each", action="store_true", help="a connection a message")
    parser.add_argument("--top", action="append", default=[], metavar="LINE", help="changed: a line before all tables, 'ingress_processes = 2'")
    parser.add_argument("--transport", action="append", default=[], metavar="LINE", help="changed: a line of the transport, 'isolation = \"process\"'")
    parser.add_argument("--other-mansio", metavar="FILE", help="changed: another build of the program")
    parser.add_argument("--other-plugins", metavar="DIR", help="changed: that build's plugins")
    parser.add_argument("--expect", type=float, help="the least ratio that is expected; below it the exit status is 1")
    args = parser.parse_args()
    if not (args.top or args.transport or args.other_mansio):
        fail("nothing is changed: see --help")
    args.postfix_messages = args.messages  # a case asks for it; no Postfix runs here
    end_on_signals()
    directory = tempfile.mkdtemp(prefix="mansio-bench-", dir=args.directory)
    os.chmod(directory, 0o755)
    try:
        rates, use = compare(args, directory)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    for name, values in rates.items():
        say(f"  {name:9} median {statistics.median(values):6.0f} messages/s   min {min(values):6.0f}   max {max(values):6.0f}" + use[name].show())
    held = True
    for what, pairs in (("messages/s", rates), ("CPU a message", {name: u.cpu for name, u in use.items()})):
        ratio = statistics.median(c / a for c, a in zip(pairs["changed"], pairs["as it is"]))
        bound = ""
        if args.expect and what == "messages/s":
            held = ratio >= args.expect
            bound = f", expected at least {args.expect:.2f}: {'held' if held else 'not held'}"
        say(f"changed / as it is, {what}: {ratio:.2f}{bound}")
    raise SystemExit(0 if held else 1)


if __name__ == "__main__":
    main()
