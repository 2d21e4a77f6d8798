"""Power cuts of the disk under the whole program lose nothing (cut_run.py; scripts/soak/diskcut is the long form)."""
import unittest

import namespaces

if __name__ == "__main__":
    namespaces.enter("m", lambda: None)

import cut_run  # noqa: E402
from rig import SLOW, TestCase  # noqa: E402


class PowerCut(TestCase):
    def test_no_acknowledged_message_is_lost(self):
        cut_run.run(self, cuts=6 if SLOW == 1 else 3, seed=11)


if __name__ == "__main__":
    unittest.main()
