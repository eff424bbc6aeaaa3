"""An evaluation, from the arguments of the command line to the files of its report."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from gcn.cli.arguments import listed
from gcn.cli.terminal import BAD_INPUT, reason
from gcn.errors import InputError, is_memory_error
from gcn.evaluation import SMALLER
from gcn.evaluation import journal as saved
from gcn.evaluation.comparison import bd_rates, pool
from gcn.evaluation.cropping import crops, matched
from gcn.evaluation.journal import Journal
from gcn.evaluation.measuring import Evaluation, Failure, Measured, describe_slicing
from gcn.evaluation.settings import NUMBERS, Setting, classical, members, remarks
from gcn.evaluation.sources import Sources, report_folder, sources
from gcn.files.atomic import make_folder
from gcn.files.names import printable
from gcn.metrics.classical import Classical, chosen, curve
from gcn.metrics.fidelity import decibels
from gcn.metrics.learned import Learned, resolve
from gcn.report.rates.rate_record import CLASSICAL, LEARNED, EvaluationRecord
from gcn.report.rates.rate_report import Crops, write_report
from gcn.report.rates.rate_summary import sentences
from gcn.schema.plugins import of_words

FREE = ("out", "overwrite", "published")  # options that change no number
ABOVE = 1.3  # classical codecs are measured up to this multiple of the learned codecs' highest rate


class Plan(NamedTuple):
    """The checked plan of an evaluation."""

    settings: list[Setting]  # of learned codecs
    codecs: list[Classical]
    learned: Learned
    sources: Sources
    folder: Path
    words: dict[str, str]
    notes: list[str]  # on the codecs and on metrics that are left out


def plan(options: Mapping[str, str], overwrite: bool = False) -> Plan:
    """The plan of an evaluation; checks all that can be checked before an image is decoded or anything is written.

    Raises:
        InputError: a codec, data or weights that are not there; a report that cannot or must not be written.
    """
    codecs = chosen(listed(options.get("compare", "jpeg")))
    found = members(options)
    learned = resolve(Path(options["weights"]) if "weights" in options else None)
    data = sources(options, listed(options.get("run")))
    folder = report_folder(options, data.title)
    words = {key: value for key, value in sorted(options.items()) if key not in FREE}
    saved.check(folder, words, overwrite)
    settings = [member.setting() for member in found]
    notes = [*remarks(found, of_words(options)), *learned.notes]
    return Plan(settings, codecs, learned, data, make_folder(folder), words, list(map(printable, notes)))


def evaluate(
    options: Mapping[str, str], command: str, overwrite: bool = False, published: bool = False
) -> int:
    """Run the evaluation and print its lines as they are computed; returns the exit status.

    Args:
        options: as typed.
        command: for the report.
        overwrite: replace another evaluation in the folder.
        published: draw the curves of other papers.

    Raises:
        InputError: see :func:`plan`; no image is left, or what was computed cannot be saved.
    """
    try:
        return _evaluate(plan(options, overwrite), command, overwrite, published)
    except KeyboardInterrupt as signalled:
        raise type(signalled)("interrupted; what was measured is saved, the same command goes on") from None


def _evaluate(todo: Plan, command: str, overwrite: bool, published: bool) -> int:
    begun = time.perf_counter()
    print(f"{len(todo.sources.images)} images: {todo.sources.title}", flush=True)
    for note in todo.notes:
        print(note, flush=True)
    evaluation = Evaluation(todo.sources.images, todo.learned)
    for name, why in todo.sources.bad.items():
        evaluation.fail(name, why)
    evaluation.usable()
    pairs = list(todo.learned.pairs)
    extras = {LEARNED: [*NUMBERS, *pairs], CLASSICAL: pairs}
    journal = Journal(todo.folder, todo.words, extras, overwrite)
    if journal.rows:
        print(f"{len(journal.rows)} rows of {printable(journal.table)} are taken up", flush=True)
    measured = _until_settled(todo, evaluation, journal)
    record = _record(todo, evaluation, measured, command)
    pictures, remarks = _crops(todo, evaluation, measured, journal)
    record.notes.extend(remarks)
    write_report(record, todo.folder, pictures, published)
    journal.clean()
    done = len(evaluation.usable())
    bits = sum(8 * row.bytes for one in measured for row in one.rows)
    seconds = time.perf_counter() - begun
    summary = (
        f"{done + len(evaluation.failed)} images: {done} done, {len(evaluation.failed)} failed,"
        f" {len(measured)} settings, {bits} bits, {seconds:.1f} s"
    )
    print("", *sentences(record), "", summary, printable(todo.folder / "index.html"), sep="\n", flush=True)
    return BAD_INPUT if evaluation.failed else 0


def _until_settled(todo: Plan, evaluation: Evaluation, journal: Journal) -> list[Measured]:
    """Every setting on every image; if an image fails, all settings are measured again without it."""
    while True:
        before = evaluation.usable()
        measured = []
        for setting in todo.settings:
            measured.append(_printed(evaluation.measure(setting, journal)))
        rates = [one.bpp for one in measured]
        for codec in todo.codecs:

            def rate(value: float, codec: Classical = codec) -> float:
                return evaluation.rate(codec, value, journal)

            for value in curve(codec.settings, rate, min(rates), ABOVE * max(rates)):
                setting = classical(codec, value, evaluation.files)
                measured.append(_printed(evaluation.measure(setting, journal)))
        if evaluation.usable() == before:
            return measured
        print(f"again on the {len(evaluation.usable())} images that are left", flush=True)


def _printed(one: Measured) -> Measured:
    pixels = sum(row.width * row.height for row in one.rows)
    error = sum(row.mse * row.width * row.height for row in one.rows) / pixels
    quality = f"{decibels(error):.2f} dB of the mean error" if error else "every image exact"
    name = f"{one.setting.series} {one.setting.name}"
    print(f"{name}: {one.bpp:.3f} bit/pixel, {quality}, SWD {one.values['swd']:.4f}", flush=True)
    return one


def _record(
    todo: Plan, evaluation: Evaluation, measured: Sequence[Measured], command: str
) -> EvaluationRecord:
    left = evaluation.usable()
    names = {(one.setting.series, one.setting.name): one for one in measured}
    rows = [row for one in measured for row in one.rows]
    pooled, sets = pool(
        rows,
        ["psnr", "ms_ssim", *todo.learned.pairs],
        {name: one.setting.kind for name, one in names.items()},
        {name: one.values for name, one in names.items()},
    )
    features = [image.features for image in left if image.features is not None]
    return EvaluationRecord(
        title=f"{len(left)} images: {todo.sources.title}",
        command=printable(command),
        images=rows,
        pooled=pooled,
        swd_floor=evaluation.floor(),
        swd_disjoint_floor=evaluation.disjoint_floor(),
        swd_options=describe_slicing(evaluation.slicing),
        notes=[*todo.notes, *todo.learned.remarks(features), *evaluation.remarks()],
        bd_rates=bd_rates(pooled),
        sets=sets,
        failed=evaluation.failed,
    )


def _crops(
    todo: Plan, evaluation: Evaluation, measured: Sequence[Measured], journal: Journal
) -> tuple[Crops | None, list[str]]:
    """The crops of the report, or a remark why there are none."""
    failed = dict(evaluation.failed)
    try:
        columns = matched(measured, todo.codecs, evaluation, journal)
        if evaluation.failed != failed:  # at a setting that is in no table
            evaluation.failed.clear()
            evaluation.failed.update(failed)
            raise Failure("an image failed at a setting that only they need")
        return crops(columns, evaluation), []
    except (Failure, InputError, FloatingPointError, MemoryError, RuntimeError) as problem:
        if isinstance(problem, RuntimeError) and not is_memory_error(problem):
            raise
        return None, [f"no crops: {problem if isinstance(problem, Failure) else reason(problem, SMALLER)}"]
