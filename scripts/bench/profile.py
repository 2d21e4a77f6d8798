"""The table behind scripts/bench/profile. Samples of the whole machine are taken while smtp-source, Mansio and smtp-sink
work; one belongs to the system call that it was taken in, else to the library or program whose code ran. What is done
in interrupts counts for the process that was interrupted: mostly the loopback's delivery, begun by its own send."""
import argparse
import collections
import os
import re
import shutil
import signal
import subprocess
import tempfile

from machine import cpu_seconds, end_on_signals, fail, processes, say, wait_growth
from servers import Sink, Source, relay

SAMPLES = 997  # a second and processor; no divisor of what happens regularly
LEAST = 0.5  # microseconds a message: what takes less stands under "the rest"


def place_of(frames):
    """frames: (symbol, object), innermost first."""
    for symbol, _ in frames:
        if call := re.fullmatch(r"__(?:x64|arm64)_sys_(\w+)", symbol):
            return call[1] + "()"
    _, thing = frames[0]
    return "interrupts and scheduling" if thing.startswith("[") else os.path.basename(thing)


def samples(data):
    """(process, place) of each."""
    script = subprocess.Popen(["perf", "script", "-i", data, "-F", "comm,ip,sym,dso"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                              text=True, errors="replace")
    name, frames = None, []
    for line in script.stdout:
        if frame := re.match(r"\s+[0-9a-f]+ (.*) \(([^()]*(?:\([^()]*\))?[^()]*)\)$", line.rstrip("\n")):
            frames.append((frame[1].split("+")[0], frame[2]))
        elif line.strip():
            name = line.strip().rstrip(":")
        elif frames:
            yield name, place_of(frames)
            frames = []
    script.wait()


def measure(args, directory):
    with Sink() as sink:
        server = relay(directory, sink.port, args)
        server.start()
        try:
            def load(messages):
                before = sink.rest()
                with Source(server.port, messages, persistent=not args.connection_each) as source:
                    source.wait(120)
                wait_growth(sink.count, before + messages, "arrived")
                server.wait_empty()

            load(args.messages)  # not counted: segments are made
            data = os.path.join(directory, "perf.data")
            perf = subprocess.Popen(["perf", "record", "-a", "-g", "-q", "-o", data, "-F", str(SAMPLES)], stderr=subprocess.PIPE, text=True)
            names = {open(f"/proc/{p}/comm").read().strip() for p in processes(server.pid)}
            before = cpu_seconds(server.pid)
            load(args.messages)
            used = (cpu_seconds(server.pid) - before) / args.messages * 1e6
            perf.send_signal(signal.SIGINT)
            said = perf.communicate()[1]
            if not os.path.exists(data):
                fail(f"perf did not record: {said}")
            return names, used, data
        finally:
            server.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mansio", required=True)
    parser.add_argument("--plugins", required=True)
    parser.add_argument("--directory", default=os.environ.get("MANSIO_BENCH_DIR"))
    parser.add_argument("--messages", type=int, default=40_000)
    parser.add_argument("--connection-each", action="store_true", help="a connection a message")
    args = parser.parse_args()
    end_on_signals()
    directory = tempfile.mkdtemp(prefix="mansio-profile-", dir=args.directory)
    os.chmod(directory, 0o755)
    try:
        names, used, data = measure(args, directory)
        seen = collections.Counter((name, place) for name, place in samples(data) if name in names)
        if not seen:
            fail("perf recorded nothing of Mansio's processes")
        each = used / sum(seen.values())
        say(f"{used:.0f} us of CPU a message in all processes of Mansio; by process and place, us a message:\n")
        say("| process | us | of these |\n| --- | --- | --- |")
        for name in sorted(names, key=lambda n: -sum(v for (m, _), v in seen.items() if m == n)):
            places = [(place, n * each) for (m, place), n in seen.most_common() if m == name]
            if (total := sum(us for _, us in places)) < LEAST:
                continue
            shown = [f"{place} {us:.1f}" for place, us in places if us >= LEAST]
            rest = sum(us for _, us in places if us < LEAST)
            say(f"| {name} | {total:.0f} | " + ", ".join(shown + ([f"the rest {rest:.1f}"] if rest else [])) + " |")
    finally:
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
