"""The figures behind scripts/bench/lua. The relay with a script and without one take turns, round by round; the median of the
ratios counts. What scripts that fail cost the mail of others is in beside.py."""
import argparse
import contextlib
import json
import os
import shutil
import statistics
import tempfile

from beside import beside_sins
from figures import LUA, table
from machine import end_on_signals, output, say
from relay import Case, end_to_end
from servers import Sink, relay

SCRIPT = """
mansio.on("rcpt", function(transaction, rcpt)
  if rcpt.domain == "refused.example" then return mansio.reject("5.7.1", "not here") end
end)
mansio.on("end-of-message", function(transaction, message)
  local subject = message:header("Subject") or ""
  if subject:find("refused", 1, true) then return mansio.reject("5.7.1", "not this") end
end)
"""
LISTENER = """filters = ["script"]
[filter.script]
plugin = "lua"
script = "%s"
"""


def against_without(directory, args):
    script = os.path.join(directory, "hooks.lua")
    with open(script, "w") as f:
        f.write(SCRIPT)
    os.chmod(script, 0o644)
    case = Case("relay", args)
    with contextlib.ExitStack() as stack:
        sink = stack.enter_context(Sink())
        servers = {}
        for name, listener in (("without", ""), ("with", LISTENER % script)):
            place = os.path.join(directory, name)
            os.mkdir(place, 0o755)
            servers[name] = relay(place, sink.port, args, listener=listener)
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
    return statistics.median(w / wo for w, wo in zip(rates["with"], rates["without"]))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bench", required=True)
    parser.add_argument("--mansio", required=True)
    parser.add_argument("--plugins", required=True)
    parser.add_argument("--directory", default=os.environ.get("MANSIO_BENCH_DIR"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--messages", type=int, default=20_000)
    args = parser.parse_args()
    args.postfix_messages = args.messages
    end_on_signals()
    values = json.loads(output([args.bench, os.path.join(args.plugins, "lua.so")]))
    if args.rounds > 0:
        directory = tempfile.mkdtemp(prefix="mansio-bench-", dir=args.directory)
        os.chmod(directory, 0o755)
        try:
            values["relay"] = against_without(directory, args)
            values.update(beside_sins(directory, args))
        finally:
            shutil.rmtree(directory, ignore_errors=True)
    table(LUA, values)


if __name__ == "__main__":
    main()
