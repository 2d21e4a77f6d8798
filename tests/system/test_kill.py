"""kill -9 of every process kind under load loses nothing (kill_run.py; scripts/soak/kill is the long form)."""
import unittest

import kill_run
from rig import SLOW, TestCase


class Kill(TestCase):
    def test_no_acknowledged_message_is_lost(self):
        kill_run.run(self, messages=4000 // SLOW, kills=12, seed=7)


if __name__ == "__main__":
    unittest.main()
