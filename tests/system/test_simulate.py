"""`mansio simulate` as a command: what it prints and writes, its seeds, its exit statuses, and the recipes of
docs/scheduling.md with the figures that stand above them. What the simulator finds out is for the unit tests."""
import csv
import os
import pathlib
import re
import subprocess
import unittest
import xml.etree.ElementTree

import rig

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")
SLOW_TRANSPORT = os.path.join(ROOT, "examples/simulate/slow.toml")  # the smallest of those that are shipped
SVG = "{http://www.w3.org/2000/svg}"


def without_times(table):
    """The table but for how long this machine took over a decision."""
    return re.sub(r"(?m)^(\d+ decisions), .*$", r"\1", table)


class Simulate(rig.TestCase):
    def simulate(self, *args):
        """A run that goes well; its table."""
        result = rig.run_program("simulate", *args)
        self.assertEqual((result.returncode, result.stderr), (0, ""), args)
        return result.stdout

    def fails(self, status, *args):
        """A run that does not; what it says of that."""
        result = rig.run_program("simulate", *args)
        self.assertEqual(result.returncode, status, (args, result.stderr))
        self.assertEqual(result.stdout, "")
        return result.stderr

    def offered_and_delivered(self, table, name):
        (row,) = [line.split()[1:] for line in table.splitlines() if line.startswith(name + " ")]
        return int(row[0]), int(row[1])

    def test_a_scenario_runs_and_its_files_have_what_its_table_says(self):
        lines, plot = self.path("steps.csv"), self.path("plot.svg")
        table = self.simulate(SLOW_TRANSPORT, "--csv", lines, "--svg", plot)
        self.assertTrue(table.startswith("slow: a delay of a second between deliveries\n"), table)
        self.assertIn("no limit was exceeded, nothing waited that could go, nothing was leased twice or lost\n", table)
        offered, delivered = self.offered_and_delivered(table, "slow.example")
        self.assertGreater(delivered, 1000)
        with open(lines, newline="") as f:
            steps = list(csv.DictReader(f, strict=True))
        for step in steps:
            self.assertNotIn(None, [*step, *step.values()])  # as many fields as names
            self.assertTrue(all(float(value) >= 0 for value in step.values()))
        times = [float(step["seconds"]) for step in steps]
        self.assertEqual(times, sorted(set(times)))
        self.assertEqual(sum(int(step["arrived"]) for step in steps), offered)
        self.assertEqual(sum(int(step["delivered"]) for step in steps), delivered)
        self.assertEqual(sum(int(step["delivered slow.example"]) for step in steps), delivered)
        svg = xml.etree.ElementTree.parse(plot).getroot()
        self.assertEqual(svg.tag, SVG + "svg")
        self.assertIn("a delay of a second between deliveries", [text.text for text in svg.iter(SVG + "text")])
        curves = [line.get("points").split() for line in svg.iter(SVG + "polyline")]
        self.assertEqual({len(points) for points in curves}, {len(steps)})

    def test_a_seed_gives_the_same_run_each_time_and_another_seed_another(self):
        def run(*args):
            files = [self.path("steps.csv"), self.path("plot.svg")]
            table = self.simulate(SLOW_TRANSPORT, *args, "--csv", files[0], "--svg", files[1])
            return without_times(table), *(pathlib.Path(name).read_text() for name in files)
        first = run("--seed", "7")
        self.assertEqual(run("--seed", "7"), first)
        for ours, others in zip(first, run("--seed", "8")):
            self.assertNotEqual(ours, others)
        self.assertEqual(run(), run())  # the scenario's

    def test_wrong_usage_is_64(self):
        self.assertIn("scenario is required", self.fails(64))
        self.assertIn("--seed", self.fails(64, SLOW_TRANSPORT, "--seed", "many"))
        self.assertIn("--plot", self.fails(64, SLOW_TRANSPORT, "--plot"))
        self.assertIn("other.toml", self.fails(64, SLOW_TRANSPORT, "other.toml"))
        help_text = self.simulate("--help")
        for option in ("--csv", "--svg", "--seed"):
            self.assertIn(option, help_text)

    def test_a_scenario_that_is_wrong_is_refused_with_all_that_is_wrong_and_its_line(self):
        self.assertIn("nowhere.toml: cannot be read", self.fails(1, self.path("nowhere.toml")))
        self.assertIn("cannot be read", self.fails(1, self.dir))
        bad = self.path("bad.toml")

        def scenario(text):
            with open(bad, "w") as f:
                f.write(text)
            return self.fails(1, bad)
        self.assertIn(f"{bad}:2", scenario('title = "x"\nduration = = 1\n'))
        said = scenario('durations = "1m"\n[transport.smtp]\n[[destination]]\nname = "a.example"\n'
                        '[[arrival]]\ndestination = "b.example"\nrate = 1\n')
        self.assertIn(f"{bad}:1: durations is not an option here\n", said)
        self.assertIn(f'{bad}:5: arrival[1] has destination "b.example", but there is no such [[destination]]\n', said)

    def test_a_file_that_cannot_be_written_is_named_and_the_table_is_not_lost(self):
        for option in ("--csv", "--svg"):
            for name in (self.path("none/file"), self.dir, "/dev/full"):
                result = rig.run_program("simulate", SLOW_TRANSPORT, option, name)
                self.assertEqual((result.returncode, result.stderr), (1, f"mansio: cannot write {name}\n"))
                self.assertIn("slow.example", result.stdout)

    def test_the_recipes_of_the_guide_run_as_they_stand_and_give_its_figures(self):
        """Each `sed` changes something, and the first two rows of the table above them are what the runs say."""
        with open(os.path.join(ROOT, "docs/scheduling.md")) as f:
            guide = f.read()
        blocks = re.findall(r"(?s)\n```sh\n(.*?)\n```\n", guide)
        (recipe,) = [block for block in blocks if "mansio simulate" in block]
        os.symlink(os.path.join(ROOT, "examples"), self.path("examples"))
        os.mkdir(self.path("bin"))
        os.symlink(rig.MANSIO, self.path("bin/mansio"))
        path = f"{self.path('bin')}:{os.environ['PATH']}"
        run = subprocess.run(["sh", "-e", "-c", recipe], cwd=self.dir, capture_output=True, text=True,
                             timeout=5 * rig.LIMIT, env={**os.environ, "PATH": path})
        rig.no_reports(run.stderr, "the recipe")
        self.assertEqual((run.returncode, run.stderr), (0, ""))
        names = ["offered", "delivered", "deferred", "suspended", "rejected", "expired", "waiting", "each s", "p50",
                 "p90", "p99", "max"]
        all_mail = [dict(zip(names, line.split()[1:])) for line in run.stdout.splitlines() if line.startswith("all ")]
        with_limit, without_limit, with_delay, without_delay = all_mail
        number = lambda row, name: f"{int(row[name]):,}"
        seconds = lambda row, name: f"{float(row[name]):,g}"
        fragile = (f"cohort limit 1: {number(without_limit, 'delivered')} of {number(without_limit, 'offered')} "
                   f"delivered in that time, p99 of their delay {seconds(without_limit, 'p99')} s | cohort limit 100: "
                   f"{number(with_limit, 'delivered')} of {number(with_limit, 'offered')}, "
                   f"p99 {with_limit['p99'].split('.')[0]} s |")
        slow = (f"no delay: {number(without_delay, 'deferred')} attempts fail, delay p90 "
                f"{without_delay['p90'].split('.')[0]} s, at most {seconds(without_delay, 'max')} s | "
                f"a second's delay: none fails, p90 {with_delay['p90']} s, at most {with_delay['max']} s |")
        self.assertEqual(with_delay["deferred"], "0")
        for row in (fragile, slow):
            self.assertIn(row, guide)


if __name__ == "__main__":
    unittest.main()
