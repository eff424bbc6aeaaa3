"""Mutation testing: a random sample of small changes to the code, each of which the tests should notice.

    python tests/mutants/sample.py [GROUP ...] [--results FILE] [--again] [--list]

Cosmic Ray's operators make the mutants (another operator, a number one larger, ``not`` removed ...); ``mutants.toml``
names the code, the tests that belong to it, the size of the sample and its seed. A mutant is never written to disk: a
process is forked from one that has imported the libraries, an import hook gives it the changed module, and its
tests run until the first failure. Results are appended to a file as they come, and what is in it is not run again;
``--again`` repeats those that survived, after tests were added.
"""

import argparse
import ast
import contextlib
import hashlib
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import json
import os
import random
import re
import resource
import signal
import sys
import tempfile
import time
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[2]
CONFIGURATION = Path(__file__).with_suffix(".toml").with_name("mutants.toml")
MEMORY = 12 * 2**30  # bytes of data a mutant may allocate


@dataclass(frozen=True)
class Group:
    """Code that is changed, and the tests that must notice."""

    name: str
    code: tuple[str, ...]
    tests: tuple[str, ...]

    def files(self) -> list[str]:
        """Python files of the group, relative to the repository."""
        paths = [path for name in self.code for path in _python_files(ROOT / name)]
        return [path.relative_to(ROOT).as_posix() for path in paths]


class Mutant(NamedTuple):
    """One change of one file."""

    group: str
    file: str
    operator: str
    occurrence: int
    line: int
    column: int
    end: tuple[int, int]

    def source(self) -> str:
        """The changed file."""
        return _changed(self.file, self.operator, self.occurrence)

    def key(self) -> str:
        """A name that changes with the code: results of another version of the file are not taken for this one's."""
        text = (ROOT / self.file).read_bytes()
        return f"{self.file}:{self.operator}:{self.occurrence}:{hashlib.sha256(text).hexdigest()[:12]}"

    def change(self) -> str:
        """The changed line, before and after."""
        before = (ROOT / self.file).read_text(encoding="utf-8").splitlines()
        after = self.source().splitlines()
        at = next((i for i, (b, a) in enumerate(zip(before, after, strict=False)) if b != a), self.line - 1)
        return f"{before[at].strip()}  =>  {after[at].strip()}"


@cache
def _changed(file: str, operator: str, occurrence: int) -> str:
    from cosmic_ray.mutating import mutate_code
    from cosmic_ray.plugins import get_operator

    text = (ROOT / file).read_text(encoding="utf-8")
    changed = mutate_code(text, get_operator(f"core/{operator}")(), occurrence)
    assert changed is not None
    return changed


class Result(NamedTuple):
    """How the tests of a mutant ended."""

    killed: bool
    by: str
    seconds: float


def _python_files(path: Path) -> list[Path]:
    if not path.exists():
        raise SystemExit(
            f"error: {path.relative_to(ROOT)}: mutants.toml names it, but it is not there; name its new place"
        )
    return [path] if path.is_file() else sorted(path.rglob("*.py"))


# The sample


def mutants(group: Group) -> dict[tuple[str, int, int, tuple[int, int]], list[Mutant]]:
    """All mutants of a group by the place in the code that they change.

    Annotations and imports for the type checker alone have none: nothing runs there.
    """
    from cosmic_ray.ast import ast_nodes, get_ast
    from cosmic_ray.plugins import get_operator, operator_names

    found: dict[tuple[str, int, int, tuple[int, int]], list[Mutant]] = {}
    operators = {name.removeprefix("core/"): get_operator(name) for name in sorted(operator_names())}
    for file in group.files():
        text = (ROOT / file).read_text(encoding="utf-8")
        unused = list(_never_run(ast.parse(text)))
        nodes = list(ast_nodes(get_ast(text)))
        for name, operator in operators.items():
            if operator.arguments():  # asks for names of variables
                continue
            visitor = operator()
            places = (place for node in nodes for place in visitor.mutation_positions(node))
            for occurrence, ((line, column), end) in enumerate(places):
                if any(first <= (line, column) < last for first, last in unused):
                    continue
                mutant = Mutant(group.name, file, name, occurrence, line, column, end)
                found.setdefault((file, line, column, end), []).append(mutant)
    return found


def _never_run(tree: ast.Module) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    for node in ast.walk(tree):
        spans: list[Any] = []
        if isinstance(node, ast.arg | ast.AnnAssign):
            spans = [node.annotation]
        elif isinstance(node, ast.FunctionDef):
            spans = [node.returns]
        elif isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            spans = [node]
        for span in filter(None, spans):
            # columns of ast are bytes of UTF-8; a line with an annotation has ASCII before it in this code
            yield (span.lineno, span.col_offset), (span.end_lineno, span.end_col_offset)


def sample(groups: Iterable[Group], size: int, least: int, seed: int) -> list[Mutant]:
    """Places drawn without replacement in every group, and of each place one of its mutants.

    A place has up to 13 mutants (other operators); drawing places keeps them from outnumbering the rest.
    """
    places = {group.name: mutants(group) for group in groups}
    total = sum(map(len, places.values()))
    chosen = []
    for name, found in places.items():
        draw = random.Random(f"{seed} {name}")
        wanted = min(len(found), max(least, round(size * len(found) / total)))
        for place in sorted(draw.sample(sorted(found), wanted)):
            chosen.append(draw.choice(found[place]))
    return chosen


# One mutant


class _Changed(importlib.abc.MetaPathFinder, importlib.machinery.SourceFileLoader):
    """Finds and loads one module from a changed source."""

    def __init__(self, file: str, source: str) -> None:
        name = file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        super().__init__(name, str(ROOT / file))
        self.source = source

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> Any:
        return importlib.util.spec_from_loader(fullname, self) if fullname == self.name else None

    def get_code(self, fullname: str) -> Any:
        return compile(self.source, self.path, "exec")


class Clean(NamedTuple):
    """What the tests do to the code as it is.

    Attributes:
        seconds: node id to duration.
        lines: file to line to node ids of the tests that execute it; "" stands for the import of the file.
    """

    seconds: dict[str, float]
    lines: dict[str, dict[str, list[str]]]

    def tests_of(self, mutant: Mutant) -> set[str] | None:
        """Node ids of the tests that execute the statement of a mutant; None where an import does: any may see it."""
        lines = self.lines.get(mutant.file, {})
        first, last = _statement((ROOT / mutant.file).read_text(encoding="utf-8"), mutant.line)
        found = {test for line in range(first, last + 1) for test in lines.get(str(line), [])}
        return found if found and "" not in found else None


def _statement(text: str, line: int) -> tuple[int, int]:
    """First and last line of the innermost statement around a line; of a compound one, those of its head."""
    spans = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.stmt):
            body = getattr(node, "body", None)
            last = max(node.lineno, body[0].lineno - 1) if body else node.end_lineno or node.lineno
            if node.lineno <= line <= last:
                spans.append((last - node.lineno, node.lineno, last))
    return min(spans)[1:] if spans else (line, line)


class _Measure:
    """A pytest plugin that times every test and notes which lines of some files it executes."""

    def __init__(self, files: list[str], target: Path) -> None:
        import coverage

        self.files, self.target = files, target
        self.seconds: dict[str, float] = {}
        self.coverage = coverage.Coverage(
            data_file=None, include=[str(ROOT / file) for file in files], config_file=False
        )
        self.coverage.start()

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self.coverage.switch_context(nodeid)

    def pytest_runtest_logreport(self, report: Any) -> None:
        self.seconds[report.nodeid] = self.seconds.get(report.nodeid, 0.0) + report.duration

    def pytest_sessionfinish(self) -> None:
        self.coverage.stop()
        data = self.coverage.get_data()
        lines = {file: data.contexts_by_lineno(str(ROOT / file)) for file in self.files}
        self.target.write_text(json.dumps([self.seconds, lines]), encoding="utf-8")


class _Select:
    """A pytest plugin that runs some tests, first those that have killed most mutants, then the quickest."""

    def __init__(self, only: set[str] | None, clean: Clean, kills: Counter[str]) -> None:
        self.only, self.clean, self.kills = only, clean, kills

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        kept = [item for item in items if self.only is None or item.nodeid in self.only]
        seconds = self.clean.seconds
        items[:] = sorted(kept, key=lambda item: (-self.kills[item.nodeid], seconds.get(item.nodeid, 0.0)))


def measure(group: Group, seconds: float) -> tuple[Result, Clean]:
    """The tests of a group, of the code as it is."""
    with tempfile.TemporaryDirectory(prefix="mutant-") as name:
        folder = Path(name)
        target = folder / "clean.json"
        result = _forked(folder, group.tests, seconds, None, lambda: _Measure(group.files(), target))
        clean = Clean(*json.loads(target.read_text(encoding="utf-8"))) if target.exists() else Clean({}, {})
    return result, clean


def run(group: Group, seconds: float, mutant: Mutant, clean: Clean, kills: Counter[str]) -> Result:
    """The tests that may see a mutant, up to the first failure."""
    only = clean.tests_of(mutant)
    files = [test for test in group.tests if only is None or _covers(test, only)]
    with tempfile.TemporaryDirectory(prefix="mutant-") as name:
        return _forked(Path(name), files, seconds, mutant, lambda: _Select(only, clean, kills))


def _covers(test: str, node_ids: set[str]) -> bool:
    return any(node.startswith(test) for node in node_ids)


def _forked(
    folder: Path, tests: Iterable[str], seconds: float, mutant: Mutant | None, plugin: Callable[[], Any]
) -> Result:
    before = time.perf_counter()
    output = folder / "output"
    if mutant is not None:
        mutant.source()  # made before the fork and kept
    child = os.fork()
    if not child:
        _run_in_child(
            [t for t in tests if (ROOT / t.partition("::")[0]).exists()], seconds, output, mutant, plugin
        )
    status = _wait(child, 10 * seconds)
    text = output.read_text(encoding="utf-8", errors="replace") if output.exists() else ""
    failed = re.search(r"^(?:FAILED|ERROR) (.+?)(?: - |$)", text, re.MULTILINE)
    by = "" if status == 0 else failed[1] if failed else "never ends" if status < 0 else "does not import"
    return Result(status != 0, by, round(time.perf_counter() - before, 1))


def _run_in_child(
    tests: list[str], seconds: float, output: Path, mutant: Mutant | None, plugin: Callable[[], Any]
) -> None:
    code = 70
    try:
        os.setpgid(0, 0)
        with output.open("w") as sink, open(os.devnull) as nothing:
            os.dup2(nothing.fileno(), 0)
            os.dup2(sink.fileno(), 1)
            os.dup2(sink.fileno(), 2)
        sys.stdout, sys.stderr = (os.fdopen(fd, "w", buffering=1, closefd=False) for fd in (1, 2))
        resource.setrlimit(resource.RLIMIT_CPU, (int(seconds), int(seconds) + 5))
        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
        os.environ["HYPOTHESIS_STORAGE_DIRECTORY"] = str(output.with_name("hypothesis"))
        # Looking for plugins takes longer than most of the tests.
        os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
        if mutant is not None:
            sys.meta_path.insert(0, _Changed(mutant.file, mutant.source()))
        import pytest

        options = ["-x", "-q", "--tb=no", "-rfE", "-p", "_hypothesis_pytestplugin", "-p", "no:cacheprovider"]
        options += [
            "--hypothesis-seed=0",
            "-m",
            "not slow and not gpu",
            f"--basetemp={output.with_name('files')}",
        ]
        code = int(pytest.main([*options, *tests], plugins=[plugin()]))
    finally:
        sys.stdout.flush()
        os._exit(code)


def _wait(child: int, seconds: float) -> int:
    """Exit status of a process, negative for a signal; its group is killed after ``seconds``."""
    end = time.monotonic() + seconds
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            break
        if time.monotonic() > end:
            os.killpg(child, signal.SIGKILL)
            _, status = os.waitpid(child, 0)
            break
        time.sleep(0.02)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)  # what its tests have started
    return os.waitstatus_to_exitcode(status)


# The score


def wilson(killed: int, total: int) -> tuple[float, float]:
    """95 % interval of a proportion (Wilson 1927)."""
    if not total:
        return 0.0, 1.0
    z, p = 1.959964, killed / total
    centre = (p + z * z / (2 * total)) / (1 + z * z / total)
    half = z / (1 + z * z / total) * (p * (1 - p) / total + z * z / (4 * total * total)) ** 0.5
    return centre - half, centre + half


def report(chosen: list[Mutant], results: dict[str, Any]) -> str:
    """Score by group, and the survivors."""
    lines = []
    names = list(dict.fromkeys(m.group for m in chosen))
    for name in [*names, "all"]:
        of_group = [results[m.key()] for m in chosen if name in (m.group, "all") and m.key() in results]
        killed = sum(r["killed"] for r in of_group)
        low, high = wilson(killed, len(of_group))
        share = f"{killed / max(1, len(of_group)):6.1%}"
        lines.append(
            f"{name:12} {killed:4} of {len(of_group):4}  {share}  95 % interval {low:.1%} to {high:.1%}"
        )
    alive = [m for m in chosen if m.key() in results and not results[m.key()]["killed"]]
    lines += ["", "survivors:"] + [f"{m.file}:{m.line}  {m.operator}  {m.change()}" for m in alive]
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    """Run the sample, or what is left of it; returns the exit status."""
    parser = argparse.ArgumentParser(prog="sample.py", description=str(__doc__).split("\n")[0])
    parser.add_argument("groups", nargs="*", help="groups of mutants.toml; all by default")
    parser.add_argument("--results", type=Path, default=ROOT / "outputs" / "mutants.jsonl")
    parser.add_argument("--again", action="store_true", help="repeat those that survived")
    parser.add_argument("--list", action="store_true", help="the score so far, without running anything")
    options = parser.parse_args(arguments)
    plan = tomllib.loads(CONFIGURATION.read_text(encoding="utf-8"))
    groups = {name: Group(name, tuple(g["code"]), tuple(g["tests"])) for name, g in plan["groups"].items()}
    unknown = [name for name in options.groups if name not in groups]
    if unknown:
        print(f"error: no group {unknown[0]}; there are {', '.join(groups)}", file=sys.stderr)
        return 2
    chosen = sample(groups.values(), plan["size"], plan["least"], plan["seed"])
    results: dict[str, Any] = {}
    if options.results.exists():
        lines = options.results.read_text(encoding="utf-8").splitlines()
        results = {entry["key"]: entry for entry in map(json.loads, lines)}
    if not options.list:
        os.chdir(ROOT)
        _preload(plan["preload"])
        for name in options.groups or groups:
            of_group = [m for m in chosen if m.group == name]
            if not _run_group(groups[name], of_group, plan["seconds"], results, options):
                return 1
    print(report(chosen, results))
    return 0


def _preload(names: Iterable[str]) -> None:
    sys.path.insert(0, str(ROOT))
    os.environ["PYTHONPATH"] = str(ROOT)
    os.environ["OMP_NUM_THREADS"] = "1"
    for name in names:
        importlib.import_module(name)
    assert not any(name.partition(".")[0] == "gcn" for name in sys.modules), "gcn is imported by each mutant"


def _run_group(
    group: Group, chosen: list[Mutant], seconds: float, results: dict[str, Any], options: argparse.Namespace
) -> bool:
    waiting = [
        m for m in chosen if m.key() not in results or (options.again and not results[m.key()]["killed"])
    ]
    if not waiting:
        return True
    result, clean = measure(group, 10 * seconds)
    print(
        f"{group.name}: {len(waiting)} mutants; the tests of the unchanged code take {result.seconds} s",
        flush=True,
    )
    if result.killed:
        print(f"error: {group.name}: the tests fail without a mutant ({result.by})", file=sys.stderr)
        return False
    kills: Counter[str] = Counter()
    options.results.parent.mkdir(parents=True, exist_ok=True)
    for number, mutant in enumerate(waiting, 1):
        result = run(group, seconds, mutant, clean, kills)
        kills[result.by] += 1
        entry = {"key": mutant.key(), "file": mutant.file, "line": mutant.line, **result._asdict()}
        entry["change"] = mutant.change()
        results[entry["key"]] = entry
        with options.results.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry, ensure_ascii=False) + "\n")
        word = f"killed by {result.by}" if result.killed else "SURVIVED"
        print(f"  {number}/{len(waiting)} {mutant.file}:{mutant.line} {word} {result.seconds} s", flush=True)
    return True


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
