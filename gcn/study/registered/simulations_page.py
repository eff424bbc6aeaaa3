"""``simulations.csv`` and ``simulations.md``: how often the deciding code of the margin study is right and wrong."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from gcn.files.atomic import make_folder, write_csv, write_text
from gcn.study.registered import decisions_page, rival_tests, simulated_cases
from gcn.study.registered.margin_plan import Plan, chains_of
from gcn.study.registered.simulate import Contrast, Rates
from gcn.study.registered.simulated_cases import CASES, interval

COLUMNS = ("table", "case", "contrast", "word", "count", "of", "share", "low", "high")
TESTS = ("sign flips", "Student", "Page")
WORTH = 0.01  # words given less often are not printed


class Count(NamedTuple):
    """A line of the table: how often something happened, in how many simulated studies or contrasts."""

    table: str
    case: str
    contrast: str
    word: str
    times: int
    of: int

    @property
    def limits(self) -> tuple[float, float]:
        """Wilson's 95 % interval of the share."""
        return interval(self.times, self.of)

    @property
    def share(self) -> str:
        """Share with its interval, per cent."""
        low, high = self.limits
        return f"{100 * self.times / self.of:.1f} [{100 * low:.1f}, {100 * high:.1f}]"


def write(plan: Plan, studies: int, seed: int, folder: Path) -> tuple[Path, Path]:
    """Simulate all cases, powers and tests, and write table and page into a folder; returns their paths."""
    counts = list(_counts(plan, studies, seed))
    folder = make_folder(folder)
    table, page = folder / "simulations.csv", folder / "simulations.md"
    write_csv(table, [COLUMNS, *map(_line, counts)])
    write_text(page, _page(counts, plan, studies, seed))
    return table, page


def _counts(plan: Plan, studies: int, seed: int) -> Iterator[Count]:
    for name, found in simulated_cases.simulated(plan, studies, seed):
        print(f"{name}: {found.false_claims} of {studies} studies with a false claim", flush=True)
        yield Count("errors", name, "any", "false claim", found.false_claims, studies)
        yield Count("errors", name, "any", "false contrary word", found.false_contrary, studies)
        yield from _words("words", name, found)
    for spread, seeds, found in simulated_cases.power(plan, max(1, studies // 4), seed):
        print(f"power: spread {spread:g}, {seeds} seeds", flush=True)
        yield from _words("power", f"{spread:g}, {seeds}", found)
    for rival in rival_tests.compare(plan, first_share(plan), studies, seed):
        case = "error" if rival.error else "power"
        yield Count(f"tests: {case}", rival.shape, rival.question, rival.test, rival.rejected, rival.studies)


def first_share(plan: Plan) -> float:
    """Error rate of the first contrast that is tested."""
    return plan.alpha / chains_of(plan)


def _words(table: str, case: str, found: Rates) -> Iterator[Count]:
    """How often each word was given; settings together, and tricks, in powers by what is true of them."""
    groups: dict[str, list[Contrast]] = {}
    for contrast in found.words:
        _, chain, name = contrast
        kind = chain.split(", ")[0]
        odd = kind == "H2" and name == "superfluous" and table == "power" and _adds(found, chain)
        groups.setdefault(f"{kind}: {name}{' (adds 1 octave)' if odd else ''}", []).append(contrast)
    for label, own in groups.items():
        words = dict.fromkeys(word for c in own for word in found.words[c])
        for word in sorted(words):
            count = sum(found.words[c].get(word, 0) for c in own)
            yield Count(table, case, label, word, count, found.studies * len(own))


def _adds(found: Rates, chain: str) -> bool:
    """Whether a trick is one of those that add an octave: every other one."""
    tricks = dict.fromkeys(own for _, own, _ in found.words if own.startswith("H2"))
    return list(tricks).index(chain) % 2 == 1


def _line(c: Count) -> list[object]:
    return [*c, *(f"{share:.4f}" for share in (c.times / c.of, *c.limits))]


def _page(counts: Sequence[Count], plan: Plan, studies: int, seed: int) -> str:
    parts = [
        "# Simulated studies, decided by the code of the plan",
        _setup(plan, studies, seed),
        "## Wrong words",
        f"""A *claim* is `supported` or `equivalent`; a *contrary word* is `opposite`, `no effect`, `adds`, `harms`,
`costs` or `helps`. The columns count studies with at least one that is false, in per cent with Wilson's
95 % interval for the number of simulations. The plan promises at most {100 * plan.alpha:g} per cent for
each kind where seeds are independent and the noise of a difference is symmetric. The cases with
correlated seeds, and with noise that is skewed in one arm, break this on purpose.""",
        _table(["case", "what is true", "a false claim", "a false contrary word"], list(_errors(counts))),
        "## Which words are given",
        f"""Per cent of the contrasts of all settings, and of all tricks. Words below {100 * WORTH:g} per cent are in
`simulations.csv` alone.""",
        _table(["case", *_SAID], list(_said(counts))),
        "## Power against spread and number of seeds",
        f"""All effects are 1 octave, in all settings. {_tricks(plan)}
*Both* means that the cost falls and the game's margin rises. Look up the spread that stage 1 measures.
{max(1, studies // 4)} studies a line; the words in per cent.""",
        _table(["spread", "seeds", *_POWERS], list(_powers(counts))),
        "## Which test",
        f"""The same simulated differences, tested in three ways at the error rate of the first of {chains_of(plan)}
chains, {100 * first_share(plan):.3g} per cent; {plan.seeds} seeds in one setting, {studies} data sets. Per cent
of rejections. In a *border* row every rejection is an error.""",
        _table(["noise", "question", *TESTS], list(_tests(counts))),
    ]
    return "\n\n".join(parts) + "\n"


def _tricks(plan: Plan) -> str:
    count = len(plan.assay)
    if not count:
        return "No trick is compared: none had room in stage 1."
    return f"Of {count} tricks every second adds 1 octave beside μ* (last column), the others nothing."


def _setup(plan: Plan, studies: int, seed: int) -> str:
    assumed = [name.removeprefix("stage_1.") for name in plan.open if name.count(".") == 1]
    said = [f"Stage 1 has not measured these yet, they are assumed: {', '.join(assumed)}."] if assumed else []
    if not plan.assay:
        said.append("No trick is compared: cases that differ in tricks alone differ in their random numbers.")
    return f"""Written by

    python scripts/registered.py simulate={studies} seed={seed}

A line is {studies} simulated studies with {plan.seeds} seeds and {len(plan.settings)} settings, decided as
[plan.md](plan.md) says. A paired difference in one setting has a deviation of {plan.spread:g} octaves over seeds; such
differences in two settings of a seed have a correlation of {plan.common:g}. Margins are cut off to quarter octaves.
{" ".join(said)}"""


def _errors(counts: Sequence[Count]) -> Iterator[list[str]]:
    own = [c for c in counts if c.table == "errors"]
    for claim, contrary in zip(own[::2], own[1::2], strict=True):
        yield [claim.case, CASES[claim.case].about, claim.share, contrary.share]


def _said(counts: Sequence[Count]) -> Iterator[list[str]]:
    groups = _grouped(counts, "words")
    for case in CASES:
        yield [
            case,
            *(_words_of([c for n in names for c in groups.get((case, n), [])]) for names in _SAID.values()),
        ]


def _words_of(own: Sequence[Count]) -> str:
    """Words with their share, the most frequent first."""
    found: dict[str, int] = {}
    for c in own:
        found[c.word] = found.get(c.word, 0) + c.times
    total, frequent = sum(found.values()), sorted(found, key=lambda word: -found[word])
    shares = [f"{word} {100 * found[word] / total:.0f}" for word in frequent if found[word] >= WORTH * total]
    return ", ".join(shares) or "–"


_SAID = {
    "H1: cost falls": ["H1: cost falls"],
    "H1: margin rises": ["H1: margin rises"],
    "twin's margin rises": ["confinement: twin's margin rises"],
    "game costs nothing": ["confinement: game costs nothing"],
    "exponent": ["exponent: coupling falls"],
    "truth": ["truth: mse above prox", "truth: mse above wrong"],
    "H2: assay": ["H2: assay"],
    "H2: superfluous": ["H2: superfluous"],
}
_POWERS: Mapping[str, tuple[str, str]] = {
    "H1, cost falls": ("H1: cost falls", "supported"),
    "H1, both": ("H1: margin rises", "supported"),
    "truth": ("truth", "supported"),
    "benefit of a trick": ("H2: assay", "supported"),
    "superfluous": ("H2: superfluous", "equivalent"),
    "adds 1 octave": ("H2: superfluous (adds 1 octave)", "adds"),
}


def _powers(counts: Sequence[Count]) -> Iterator[list[str]]:
    found: dict[str, dict[str, list[int]]] = {}
    for c in counts:
        if c.table == "power":
            for column, (contrast, word) in _POWERS.items():
                if contrast in (c.contrast, c.contrast.split(":")[0]):
                    own = found.setdefault(c.case, {}).setdefault(column, [0, 0])
                    own[0] += c.times * (c.word == word)
                    own[1] += c.times
    for case, columns in found.items():
        shares = {name: f"{100 * times / of:.0f}" for name, (times, of) in columns.items()}
        yield [*case.split(", "), *(shares.get(name, "–") for name in _POWERS)]


def _tests(counts: Sequence[Count]) -> Iterator[list[str]]:
    for table in ("tests: error", "tests: power"):
        for (shape, question), own in _grouped(counts, table).items():
            by_test = {
                c.word: f"{100 * c.times / c.of:.2f}" if "error" in table else f"{100 * c.times / c.of:.0f}"
                for c in own
            }
            yield [shape, question, *(by_test.get(test, "–") for test in TESTS)]


def _grouped(counts: Sequence[Count], table: str) -> dict[tuple[str, str], list[Count]]:
    found: dict[tuple[str, str], list[Count]] = {}
    for c in counts:
        if c.table == table:
            found.setdefault((c.case, c.contrast), []).append(c)
    return found


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(decisions_page.table(head, rows))
