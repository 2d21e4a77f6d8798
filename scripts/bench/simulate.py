"""The measurement behind scripts/bench/simulate: the large scenarios, each in a process of its own, by turns, as often as
there are rounds. The figure of a scenario is the median of its rounds: the time in the scheduler for one decision, with
taking its result, as the simulator prints it. A run whose checks find something is an error."""
import argparse
import os
import re
import statistics
import subprocess
import time

from figures import SIMULATE, table
from machine import end_on_signals, fail, say

SCENARIOS = {"million": "million-waiting", "coming": "ten-million", "waiting": "ten-million-waiting"}
DECISIONS = re.compile(r"^(\d+) decisions, ([\d.]+) us each$", re.MULTILINE)


def run(mansio, scenario, shown):
    """Microseconds a decision; its table is printed once."""
    begin = time.monotonic()
    with subprocess.Popen([mansio, "simulate", f"examples/simulate/{scenario}.toml"], stdout=subprocess.PIPE, text=True) as process:
        text = process.stdout.read()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    found = DECISIONS.search(text)
    if process.returncode != 0 or not found:
        fail(f"{scenario} ended with {process.returncode}:\n{text}")
    if shown:
        say(text)
    say(f"{scenario}: {found[1]} decisions, {found[2]} us each, {time.monotonic() - begin:.0f} s, {used.ru_maxrss / 1024:.0f} MB")
    return float(found[2])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mansio", required=True)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="the million once: does it work at all?")
    options = parser.parse_args()
    end_on_signals()
    scenarios = {"million": SCENARIOS["million"]} if options.quick else SCENARIOS
    taken = {key: [] for key in scenarios}
    for number in range(1 if options.quick else options.rounds):
        for key, scenario in scenarios.items():
            taken[key].append(run(options.mansio, scenario, number == 0))
    say("")
    table(SIMULATE, {key: statistics.median(values) for key, values in taken.items()})


if __name__ == "__main__":
    main()
