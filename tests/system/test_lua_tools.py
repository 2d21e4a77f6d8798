"""`mansio lua test` and `mansio lua repl` as people call them: what they print, how they end, and that the examples' tests
see a script that has been changed for the worse."""
import os
import re
import shutil
import unittest

import rig

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
EXAMPLES = os.path.join(ROOT, "examples", "lua")


class LuaTools(rig.TestCase):
    def write(self, name, text):
        with open(self.path(name), "w") as f:
            f.write(text)

    def test_every_example_has_tests_and_they_pass(self):
        scripts = {name for name in os.listdir(EXAMPLES) if name.endswith(".lua")}
        for script in scripts:
            if not script.endswith("_test.lua"):
                self.assertIn(script.replace(".lua", "_test.lua"), scripts)
        result = rig.run_program("lua", "test", EXAMPLES)
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        self.assertRegex(result.stdout, r"\n\d+ passed, 0 failed, \d+ files, [\d.]+ s\n$")

    def test_a_script_that_changed_for_the_worse_is_seen(self):
        shutil.copytree(EXAMPLES, self.path("lua"))
        with open(os.path.join(EXAMPLES, "dnsbl.lua")) as f:
            self.write("lua/dnsbl.lua", f.read().replace("LIMIT = 3", "LIMIT = 30"))
        result = rig.run_program("lua", "test", self.path("lua"))
        self.assertEqual(result.returncode, 1, result.stdout)
        self.assertIn("  FAIL  what lists say is added up\n", result.stdout)
        self.assertIn('- "550 5.7.1 192.0.2.2 is listed by bl.example.org"\n        + "accept"\n', result.stdout)
        self.assertRegex(result.stdout, r"\nfailed: .*dnsbl_test\.lua: what lists say is added up\n\n\d+ passed, 1 failed, ")

    def test_golden_files_are_written_when_told(self):
        self.write("a_test.lua", "test.case('golden', function() test.golden('a.txt', {1, b = 'x'}) end)\n")
        self.assertEqual(rig.run_program("lua", "test", self.dir).returncode, 1)
        self.assertEqual(rig.run_program("lua", "test", "--update", self.dir).returncode, 0)
        with open(self.path("golden", "a.txt")) as f:
            self.assertEqual(f.read(), '{\n  1,\n  b = "x",\n}\n')
        self.assertEqual(rig.run_program("lua", "test", self.dir).returncode, 0)

    def test_some_cases_alone(self):
        self.write("a_test.lua", "test.case('one', function() end)\ntest.case('two', function() error('not now') end)\n")
        result = rig.run_program("lua", "test", "--only", "one", self.path("a_test.lua"))
        self.assertEqual(result.returncode, 0, result.stdout)
        self.assertTrue(re.search(r"^1 passed, 0 failed, 1 file, ", result.stdout, re.M), result.stdout)

    def test_lua_can_be_tried(self):
        result = rig.run_program("lua", "repl", input="x = 20\nx + 1\nmansio.hash.md5('')\n")
        self.assertEqual((result.returncode, result.stdout), (0, '21\n"d41d8cd98f00b204e9800998ecf8427e"\n'), result.stderr)
        failed = rig.run_program("lua", "repl", input="mansio.nothing\n")
        self.assertEqual(failed.returncode, 1)
        self.assertIn('mansio has no "nothing"', failed.stdout)
        allowed = rig.run_program("lua", "repl", "--allow", "io", input="io.type(1)\n")
        self.assertEqual((allowed.returncode, allowed.stdout), (0, "nil\n"), allowed.stderr)
        unknown = rig.run_program("lua", "repl", "--allow", "debug", input="1\n")
        self.assertEqual(unknown.returncode, 1)
        self.assertIn('allow has "debug", expected io, os, package, connect', unknown.stderr)


if __name__ == "__main__":
    unittest.main()
