"""What the tests of plugins that break the rules share: the expectations that stand in each plugin's file, as lines of the
form "expect: MODE [OUTCOME] REGEX" of its first comment, and the test that each becomes; scripts/bench/sins has some of it."""
import contextlib
import os
import re

FOLDER = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "fixtures")
SANITIZED = int(os.environ.get("MANSIO_SLOW", 1)) > 1
# What a sanitizer would report, as it must; quiet() leaves it to the system, as in a build without.
REPORTED = {"sin-segfaults", "sin-aborts", "lookup-sin-aborts", "transport-poison", "filter-dies"} if SANITIZED else set()
# An address space that ends leaves a sanitizer without memory of its own.
LEFT_OUT = {("sin-eats-memory", "process")} if SANITIZED else set()
EXPECTATION = re.compile(r"expect: (load|inproc|process|both) (?:(sent|kept) )?(.*?)\s*$", re.M)
# What contains a plugin in a process of its own.
BUDGETS = {"process": 'memory_limit = "128M"\ndescriptor_limit = 100\n', "inproc": ""}
MESSAGE_ID = re.compile(r"[\w.-]+@source\.invalid")


def ids_in(path):
    """The messages that mansio source noted as acknowledged in that file, or mansio sink as taken."""
    with contextlib.suppress(FileNotFoundError), open(path) as f:
        return set(MESSAGE_ID.findall(f.read()))
    return set()


def expectations(folder):
    """(plugin, mode, outcome, regex) of each file in a folder of fixtures; "both" gives two."""
    for file in sorted(os.listdir(os.path.join(FOLDER, folder))):
        name, extension = os.path.splitext(file)
        if extension not in (".c", ".cpp"):
            continue
        with open(os.path.join(FOLDER, folder, file)) as f:
            found = EXPECTATION.findall(f.read().split("*/")[0])
        assert found, f"{name} does not say what is expected of it"
        for mode, outcome, regex in found:
            for each in ("inproc", "process") if mode == "both" else (mode,):
                yield name, each, outcome, regex


def quiet(name):
    """The environment, in addition to the test's own, of a server with that plugin."""
    if name not in REPORTED:
        return {}
    return {tool: os.environ.get(tool, "") + ":handle_segv=0:handle_sigill=0:handle_abort=0" for tool in ("ASAN_OPTIONS", "TSAN_OPTIONS")}


def add_tests(case, folder, run):
    """Gives the TestCase one test for each expectation, which calls run(self, plugin, mode, outcome, regex)."""
    for name, mode, outcome, regex in expectations(folder):
        if (name, mode) in LEFT_OUT:
            continue

        def test(self, name=name, mode=mode, outcome=outcome, regex=regex):
            run(self, name, mode, outcome, regex)
        setattr(case, f"test_{name}_{mode}".replace("-", "_"), test)
