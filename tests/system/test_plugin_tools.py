"""`mansio plugin new`, `check` and `list`, `mansio lookup`, and the installed SDK: a plugin begun from nothing builds with
CMake and with pkg-config alone, passes its test and the check, and answers."""
import concurrent.futures
import itertools
import os
import re
import subprocess
import unittest

import rig

BUILD = os.environ["MANSIO_BUILD"]


def run(*argv, **kw):
    result = subprocess.run(argv, capture_output=True, text=True, timeout=4 * rig.LIMIT, **kw)
    if result.returncode != 0:
        raise AssertionError(f"{argv}: {result.returncode}\n{result.stdout[-6000:]}{result.stderr[-6000:]}")
    return result.stdout


class PluginTools(rig.TestCase):
    def sdk(self):
        prefix = self.path("prefix")
        run("cmake", "--install", BUILD, "--prefix", prefix, "--component", "sdk")
        return prefix

    def new(self, kind, name, language):
        directory = self.path(f"{kind}-{name}")
        made = rig.run_program("plugin", "new", "--kind", kind, "--name", name, "--lang", language, directory)
        self.assertEqual(made.returncode, 0, made.stderr)
        return directory

    def test_a_new_plugin_builds_passes_its_test_and_answers(self):
        prefix = self.sdk()
        env = dict(os.environ, PKG_CONFIG_PATH=os.path.join(prefix, "lib/pkgconfig"))
        kinds = ("lookup", "transport", "filter", "policy", "event", "rate", "auth", "store")
        if rig.SLOW > 1:  # what is built here has no sanitizer in it: one stands for all
            kinds = ("lookup",)
        for kind, language in itertools.product(kinds, ("c++", "c")):
            with self.subTest(kind=kind, language=language):
                name = "mine" + ("" if language == "c" else "pp")
                directory = self.new(kind, name, language)
                build = os.path.join(directory, "build")
                # Optimized, as its author has it, for the first kind; what the others are tested for, that would only slow.
                quick = [] if kind == "lookup" else ["-DCMAKE_BUILD_TYPE=None"]
                run("cmake", "-S", directory, "-B", build, f"-DCMAKE_PREFIX_PATH={prefix}", *quick)
                run("cmake", "--build", build)
                run("ctest", "--test-dir", build, "--no-tests=error", "--output-on-failure")
                library = os.path.join(build, f"{kind}-{name}.so")
                self.assertIn("keeps the rules", run(rig.MANSIO, "plugin", "check", library))
                # The README's line, as it stands there.
                with open(os.path.join(directory, "README.md")) as readme:
                    line = next(text for text in readme if "pkg-config --cflags" in text)
                line = line if kind == "lookup" else line.replace(" -O2 ", " -O0 ")
                run("sh", "-ec", line, cwd=directory, env=env)
                run(rig.MANSIO, "plugin", "check", os.path.join(directory, f"{kind}-{name}.so"))

    def test_the_installed_sdk_has_the_version_of_the_abi(self):
        prefix = self.sdk()
        with open(os.path.join(prefix, "include/mansio/abi.h")) as header:
            minor = re.search(r"^#define MANSIO_ABI_MINOR (\d+)u", header.read(), re.M)[1]
        env = dict(os.environ, PKG_CONFIG_PATH=os.path.join(prefix, "lib/pkgconfig"))
        self.assertEqual(run("pkg-config", "--modversion", "mansio-sdk", env=env), f"1.{minor}.0\n")
        with open(os.path.join(prefix, "lib/cmake/MansioSDK/MansioSDKConfigVersion.cmake")) as version:
            self.assertIn(f'set(PACKAGE_VERSION "1.{minor}.0")', version.read())

    def test_a_lookup_answers_on_the_command_line(self):
        directory = self.plugins("lookup-odd", "lookup-blocking", "transport-discard")
        server = rig.Mansio(self.dir, '''
[listener.smtp]
listen = ["127.0.0.1:{port}"]
[transport.discard]
plugin = "transport-discard"
[[route]]
transport = "discard"
[lookup.odd]
plugin = "lookup-odd"
[lookup.blocking]
plugin = "lookup-blocking"
[lookup.both]
unionmap = ["odd", "blocking"]
[lookup.chain]
pipemap = ["odd", "blocking"]
''', plugins=directory)

        def lookup(*args):
            result = rig.run_program("lookup", "--config", server.config, *args)
            return result.returncode, result.stdout, result.stderr
        self.assertEqual(rig.run_program("check", "--config", server.config).returncode, 0)
        self.assertEqual(lookup("odd", "value"), (0, "value in odd\n", ""))
        self.assertEqual(lookup("odd", "two"), (0, "a\nb\n", ""))
        self.assertEqual(lookup("blocking", "value"), (0, "value in blocking\n", ""))
        self.assertEqual(lookup("both", "two"), (0, "a\nb\na\nb\n", ""))
        self.assertEqual(lookup("odd", "no")[:2], (1, ""))
        self.assertEqual(lookup("odd", "value", "no")[:2], (1, "value\tvalue in odd\n"))
        self.assertEqual(lookup("odd", "down")[0], 75)
        self.assertIn("the server  is down", lookup("odd", "down")[2])
        self.assertEqual(lookup("chain", "value")[0], 75)
        self.assertEqual(lookup("nothing", "key")[0], 64)

    def test_list_shows_plugins_and_what_cannot_be_loaded(self):
        directory = self.plugins("lookup-blocking", "no-entry")
        result = rig.run_program("plugin", "list", directory)
        self.assertEqual(result.returncode, 1)
        self.assertRegex(result.stdout, r"lookup-blocking +1 +1\.0 +mansio\.lookup/1 +blocking")
        self.assertRegex(result.stdout, r"no-entry .*has no symbol mansio_plugin_entry_1")
        os.remove(os.path.join(directory, "no-entry.so"))
        self.assertEqual(rig.run_program("plugin", "list", directory).returncode, 0)

    def check(self, name, *options):
        return subprocess.run([rig.MANSIO, "plugin", "check", os.path.join(rig.FIXTURES, name + ".so"), *options],
                              capture_output=True, text=True, timeout=3 * rig.LIMIT)

    def test_check_finds_the_sins(self):
        expected = {
            "sin-no-entry": "has no symbol",
            "sin-wrong-major": "has no symbol",
            "sin-future-minor": r"needs ABI 1\.\d+, this Mansio has 1\.\d+",
            "sin-short-size": "describes no whole plugin",
            "sin-unknown-option": "which this Mansio does not know",
            "sin-throws-in-constructor": "did not start",
            "sin-throws-in-call": "threw an exception",
            "sin-completes-twice": "answered an operation that is over",
            "sin-short-reply": "answered with a reply that is shorter than any was",
            "sin-completes-after-cancel": r"gives no answer late: \d+ came when the deadline had passed",
            "sin-wrong-thread": "wrong thread",
            "sin-segfaults": "ends its process: Segmentation fault",
            "sin-aborts": "ends its process: Aborted",
            "sin-exits": "ends its process: exit status 0",
            "sin-leaks-descriptors": "descriptor",
            "sin-never-completes": "ended by its deadline alone",
            "sin-blocks-loop": "hangs",
            "sin-spins": "hangs",
            "sin-eats-memory": "leaves no memory behind: it takes 2.. MiB",
            "sin-floods-log": "does not flood the log: .* more than is logged",
            "lookup-none": "is one of its kinds with these options: it is none of them",
            "lookup-sin-aborts": "ends its process: Aborted",
            "lookup-sin-blocks-loop": "hangs",
            "lookup-sin-completes-late": r"gives no answer late: \d+ came when the deadline had passed",
            "lookup-sin-completes-twice": "answered an operation that is over",
            "lookup-sin-finds-nothing": "answers as a lookup does: the plugin found no value",
            "lookup-sin-never-completes": "ended by its deadline alone",
            "lookup-sin-short-reply": "answered with a reply that is shorter than any was",
            "lookup-sin-throws-in-call": "threw an exception",
            "lookup-sin-throws-in-constructor": "did not start",
            "lookup-sin-wrong-thread": "wrong thread",
            "exports-more": "exports its entry alone: more_than_its_entry beside it",
            "leaves-thread": "leaves no thread behind: 1 more than before",
            "transport-odd": "has an option table in order: threads is an option of Mansio's and does not get there",
        }
        if rig.SLOW > 1:  # sanitizers end the process in their own way
            del expected["sin-segfaults"], expected["sin-aborts"], expected["lookup-sin-aborts"]
        with concurrent.futures.ThreadPoolExecutor(4) as pool:  # most of them wait most of the time
            results = dict(zip(expected, pool.map(self.check, expected)))
        for name, regex in expected.items():
            with self.subTest(name):
                result = results[name]
                self.assertEqual(result.returncode, 1, result.stdout)
                self.assertRegex(result.stdout, regex)

    def test_check_finds_what_is_careless_in_each_kind(self):
        finds = {"leak": "leaves no memory behind: it grows with the calls", "flood": "does not flood the log: .* more than is logged",
                 "late": r"gives no answer late: \d+ came when the deadline had passed"}
        kinds = ("lookup", "filter", "policy", "auth", "event", "rate", "store")
        cases = [(kind, does) for kind in kinds for does in ("", *finds)
                 if (kind, does) != ("event", "late")]  # nobody waits for what an event plugin does
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            results = pool.map(lambda case: self.check("careless", "--option", f"as={case[0]}", "--option", f"does={case[1]}"), cases)
            for (kind, does), result in zip(cases, results):
                with self.subTest(kind=kind, does=does):
                    if does:
                        self.assertEqual(result.returncode, 1, result.stdout)
                        self.assertRegex(result.stdout, f"FAIL as {kind}: {finds[does]}")
                    else:
                        self.assertEqual(result.returncode, 0, result.stdout)


if __name__ == "__main__":
    unittest.main()
