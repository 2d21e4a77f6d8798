"""The figures behind scripts/bench/plugin. The relay with its transport in a process of its own and in the egress process
take turns, round by round; the median of the ratios counts."""
import argparse
import json
import os
import shutil
import statistics
import tempfile

from figures import PLUGIN, judge
from machine import end_on_signals, output, say
from variant import compare


def isolated_against_not(directory, args):
    args.other_mansio = args.other_plugins = None
    args.sessions, args.length, args.connection_each = 20, 5120, False
    args.top, args.transport = [], ['isolation = "process"']
    rates, _ = compare(args, directory)
    for name, values in rates.items():
        say(f"  {'isolated' if name == 'changed' else 'in egress':9} median {statistics.median(values):6.0f} messages/s   "
            f"min {min(values):6.0f}   max {max(values):6.0f}")
    return statistics.median(c / a for c, a in zip(rates["changed"], rates["as it is"]))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bench", required=True)
    parser.add_argument("--lookup", required=True)
    parser.add_argument("--mansio", required=True)
    parser.add_argument("--plugins", required=True)
    parser.add_argument("--directory", default=os.environ.get("MANSIO_BENCH_DIR"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--messages", type=int, default=20_000)
    args = parser.parse_args()
    args.postfix_messages = args.messages  # a case asks for it; no Postfix runs here
    end_on_signals()
    values = json.loads(output([args.bench, args.lookup]))
    say(f"the plugin's function alone: {values['function_ns']:.0f} ns; an isolated lookup, 99th percentile: "
        f"{values['isolated_p99_us']:.1f} us; 64 bytes there and back between two processes, median: "
        f"{values['bare_median_us']:.1f} us")
    if args.rounds > 0:
        directory = tempfile.mkdtemp(prefix="mansio-bench-", dir=args.directory)
        os.chmod(directory, 0o755)
        try:
            values["relay"] = isolated_against_not(directory, args)
        finally:
            shutil.rmtree(directory, ignore_errors=True)
    raise SystemExit(0 if judge(PLUGIN, values) else 1)


if __name__ == "__main__":
    main()
