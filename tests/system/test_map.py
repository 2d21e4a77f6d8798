"""mansio map: builds tables, answers from them, and says what is wrong."""
import os
import subprocess
import unittest

from rig import TestCase, run_program


class Map(TestCase):
    def setUp(self):
        super().setUp()
        self.source = self.path("aliases")
        self.table = self.source + ".lmdb"

    def write(self, text):
        with open(self.source, "w") as f:
            f.write(text)

    def build(self, *more):
        return run_program("map", "build", self.source, *more)

    def query(self, *keys):
        return run_program("map", "query", self.table, *keys)

    def test_what_was_built_is_found(self):
        self.write("# people\nAlice@Example.com bob@example.net,\n  carol@example.net\n@example.org catch-all\n")
        built = self.build()
        self.assertEqual((built.returncode, built.stdout), (0, f"{self.table}: 2 entries\n"))
        one = self.query("alice@example.com")
        self.assertEqual((one.returncode, one.stdout), (0, "bob@example.net,  carol@example.net\n"))
        several = self.query("@example.org", "nobody", "ALICE@example.com")
        self.assertEqual(several.returncode, 1)
        self.assertEqual(several.stdout,
                         "@example.org\tcatch-all\nALICE@example.com\tbob@example.net,  carol@example.net\n")

    def test_a_table_that_is_not_understood_leaves_the_old_one(self):
        self.write("a 1\n")
        self.assertEqual(self.build().returncode, 0)
        self.write("a 2\nlonely\n")
        bad = self.build()
        self.assertEqual(bad.returncode, 2)
        self.assertIn(f"{self.source}:2: has no value", bad.stderr)
        self.assertEqual(self.query("a").stdout, "1\n")
        self.assertEqual(sorted(os.listdir(self.dir)), ["aliases", "aliases.lmdb"])

    def test_case_may_count_and_the_file_may_lie_elsewhere(self):
        self.write("Alice 1\nalice 2\n")
        self.assertEqual(self.build().returncode, 2)
        elsewhere = self.path("elsewhere")
        self.assertEqual(self.build(elsewhere, "--exact-case").returncode, 0)
        self.assertEqual(run_program("map", "query", "--exact-case", elsewhere, "Alice").stdout, "1\n")

    def test_others_read_what_it_makes(self):
        self.write("alice bob\n")
        self.assertEqual(self.build().returncode, 0)
        # lmdb-utils' dump, and so LMDB as anybody uses it.
        dump = subprocess.run(["mdb_dump", "-n", "-p", self.table], capture_output=True, text=True, check=True)
        self.assertIn("\n alice\n bob\nDATA=END", dump.stdout)

    def test_what_cannot_be_done_is_said(self):
        missing = self.build()
        self.assertEqual(missing.returncode, 2)
        self.assertIn("cannot be read", missing.stderr)
        self.assertEqual(self.query("a").returncode, 2)
        self.assertEqual(run_program("map", "build").returncode, 64)


if __name__ == "__main__":
    unittest.main()
