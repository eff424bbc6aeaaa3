"""Known mistakes, put into a copy of the code one after the other: the test that a patch names must fail there.

    python tests/mutants/run.py [NAME ...]        # all patches of this folder, or some: 3_clock_counts_optimizer_steps

A patch is a unified diff against the code under a few lines that say what the mistake is, and ``test: NODE ID``. A
test counts as failed by an assertion only; an error on the way there would hide that the test sees nothing. Without
the patch the same tests pass.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # as pytest does

from processes import Forked

FOLDER = Path(__file__).resolve().parent
ROOT = FOLDER.parents[1]
PARTS = ("gcn", "conf", "scripts", "tests", "pyproject.toml")
PATCHES = {
    patch.stem: patch for patch in sorted(FOLDER.glob("*.patch"), key=lambda p: int(p.stem.split("_")[0]))
}
PATIENCE = 300  # seconds for the tests of one copy


class MutantError(AssertionError):
    """A patch that no longer applies, or a test that does not see the mistake."""


def named_test(patch: Path) -> str:
    """The node id of the test that must fail."""
    found = re.findall(
        r"^test: (\S+)$", patch.read_text(encoding="utf-8").partition("\n--- ")[0], re.MULTILINE
    )
    if len(found) != 1:
        raise MutantError(f"{patch.name}: needs one line `test: NODE ID` above the diff, has {len(found)}")
    return found[0]


@contextmanager
def copied() -> Iterator[Path]:
    """A temporary copy of the working tree."""
    with tempfile.TemporaryDirectory(prefix="mutant-") as name:
        folder = Path(name).resolve()
        for part in PARTS:
            if (ROOT / part).is_dir():
                shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(ROOT / part, folder / part)
        yield folder


@contextmanager
def patched(folder: Path, patch: Path) -> Iterator[None]:
    """The copy with a patch, until the block ends."""
    _apply(patch, folder)
    try:
        yield
    finally:
        for name in re.findall(r"^\+\+\+ b/(\S+)", patch.read_text(encoding="utf-8"), re.MULTILINE):
            shutil.copy2(ROOT / name, folder / name)  # with its date, by which Python knows its bytecode


def _apply(patch: Path, folder: Path) -> None:
    # Below the ceiling git finds no repository, inside of which it would skip files silently.
    environment = os.environ | {"GIT_CEILING_DIRECTORIES": str(folder.parent)}
    applied = subprocess.run(
        ["git", "apply", patch], cwd=folder, env=environment, text=True, capture_output=True, check=False
    )
    if applied.returncode:
        reason = " ".join(applied.stderr.split())
        raise MutantError(f"{patch.name}: no longer applies; make it anew from the present code ({reason})")


def outcomes(folder: Path, tests: Iterable[str]) -> dict[str, str]:
    """Run tests of a copy in one process: for each that ran, "passed" or how it ended."""
    report = folder / "report.xml"
    environment = {"PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1"}
    arguments = ["-p", "no:cacheprovider", f"--junit-xml={report}", *tests]
    process = Forked(_pytest, arguments, environment=environment, cwd=folder)
    try:
        ended = process.wait(PATIENCE)
    finally:
        process.kill()
    if ended not in (0, 1) or not report.exists():
        tail = "\n".join((process.said("out") + process.said("err")).splitlines()[-30:])
        raise MutantError(f"the tests do not run, pytest ended with status {ended}:\n{tail}")
    found = {}
    for case in ET.parse(report).iter("testcase"):
        bad = [child for child in case if child.tag in ("failure", "error", "skipped")]
        found[str(case.get("name"))] = f"{bad[0].tag}: {bad[0].get('message')}" if bad else "passed"
    return found


def _pytest(arguments: Sequence[str]) -> int:
    import pytest

    for name in [name for name in sys.modules if name.split(".")[0] == "gcn"]:
        del sys.modules[name]  # so that what is imported is the copy
    return int(pytest.main(list(arguments)))


def _name(test: str) -> str:
    return test.rpartition("::")[2]


def check_unpatched(folder: Path, names: Iterable[str]) -> str:
    """Require that in a copy without a patch the named tests pass."""
    tests = sorted({named_test(PATCHES[name]) for name in names})
    found = outcomes(folder, tests)
    for test in tests:
        if found.get(_name(test)) != "passed":
            raise MutantError(
                f"{test}: does not pass without a patch ({found.get(_name(test), 'did not run')})"
            )
    return f"{len(tests)} tests pass"


def check_mutant(folder: Path, name: str) -> str:
    """Require that in a copy with the patch the named test fails by an assertion; returns which."""
    test = named_test(PATCHES[name])
    with patched(folder, PATCHES[name]):
        found = outcomes(folder, [test])
    ended = found.get(_name(test), "did not run")
    if ended == "passed":
        raise MutantError(f"{name}: {test} does not see the mistake")
    if len(found) != 1 or not re.match(r"failure: (assert\b|AssertionError)", ended):
        raise MutantError(f"{name}: {test} ends with something else than a failed assertion ({ended})")
    return f"seen by {_name(test)}: {' '.join(ended.split())[:160]}"


def main(names: list[str]) -> int:
    """Check patches, by default all; returns the exit status."""
    names = names or list(PATCHES)
    unknown = [name for name in names if name not in PATCHES]
    if unknown:
        print(f"error: no patch {unknown[0]}; there are {', '.join(PATCHES)}", file=sys.stderr)
        return 2
    with copied() as folder:
        if not _holds("no patch", lambda: check_unpatched(folder, names)):
            return 1
        return 0 if all([_holds(name, lambda n=name: check_mutant(folder, n)) for name in names]) else 1


def _holds(name: str, check: Callable[[], str]) -> bool:
    before, holds = time.perf_counter(), True
    try:
        said = check()
    except MutantError as problem:
        said, holds = f"FAILED: {problem}", False
    print(f"{name:32} {time.perf_counter() - before:5.1f} s  {said}", flush=True)
    return holds


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
