"""The relay with its transport in the egress process against the same with isolation = "process", round by round in turn;
the median of the ratios counts."""
import argparse
import contextlib
import os
import shutil
import statistics
import tempfile

from machine import end_on_signals, say
from relay import Case, end_to_end
from servers import Sink, relay


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mansio", required=True)
    parser.add_argument("--plugins", required=True)
    parser.add_argument("--directory", default=os.environ.get("MANSIO_BENCH_DIR"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--messages", type=int, default=20_000)
    args = parser.parse_args()
    args.postfix_messages = args.messages
    end_on_signals()
    directory = tempfile.mkdtemp(prefix="mansio-bench-", dir=args.directory)
    os.chmod(directory, 0o755)
    case = Case("relay", args)
    try:
        with contextlib.ExitStack() as stack:
            sink = stack.enter_context(Sink())
            servers = {}
            for name in ("inproc", "process"):
                place = os.path.join(directory, name)
                os.mkdir(place, 0o755)
                servers[name] = relay(place, sink.port, args, transport=f'isolation = "{name}"')
                stack.callback(servers[name].stop)
                servers[name].start()
            rates = {name: [] for name in servers}
            for round_ in range(args.rounds + 2):
                for name, server in servers.items():
                    rate = end_to_end(case, name, server.port, sink, server.wait_empty)
                    if round_ >= 2:  # segments are recycled ones by then
                        rates[name].append(rate)
        for name, values in rates.items():
            say(f"  {name:8} median {statistics.median(values):6.0f} messages/s   min {min(values):6.0f}   max {max(values):6.0f}")
        ratio = statistics.median(p / i for p, i in zip(rates["process"], rates["inproc"]))
        say(f"isolated / in the egress: {ratio:.2f}, expected at least 0.90")
    finally:
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
