"""What the benchmarks make of their figures: a target that is missed is said and counts, one that was not measured does not."""
import contextlib
import io
import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../scripts/bench"))
import figures


class Figures(unittest.TestCase):
    def judged(self, **values):
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            held = figures.judge(figures.PLUGIN, values)
        return held, said.getvalue()

    def test_all_that_was_measured_has_to_be_held(self):
        good = {"in_process_over_function_ns": 1000, "isolated_median_us": 25.0, "isolated_pipelined_per_second": 200_000, "relay": 0.9}
        self.assertEqual(self.judged(**good)[0], True)
        for key, bad in (("in_process_over_function_ns", 1001), ("isolated_median_us", 25.1),
                         ("isolated_pipelined_per_second", 199_999), ("relay", 0.89)):
            held, said = self.judged(**{**good, key: bad})
            self.assertFalse(held, key)
            self.assertEqual(said.count("not held: "), 1, said)

    def test_what_was_not_measured_is_not_missed(self):
        held, said = self.judged(isolated_median_us=20.0)
        self.assertTrue(held)
        self.assertEqual(said.count("not measured"), 3)

    def test_each_plugin_beside_which_mail_is_measured_has_to_hold_in_both_modes(self):
        promised = figures.beside_plugins(["one", "two"])
        good = {f"{name}/{mode}": 0.9 for name in ("one", "two") for mode in ("inproc", "process")}
        self.assertEqual({f.key for f in promised}, good.keys())
        with contextlib.redirect_stdout(io.StringIO()) as said:
            self.assertTrue(figures.judge(promised, good))
            self.assertFalse(figures.judge(promised, {**good, "two/process": 0.89}))
        self.assertEqual(said.getvalue().count("not held: "), 1)


if __name__ == "__main__":
    unittest.main()
