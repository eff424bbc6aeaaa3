"""An evaluation as a whole: it streams, goes on past bad images, saves what it has and takes it up again."""

import ctypes
import errno
import functools
import json
import math
import resource
import shutil
import sys
import weakref
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from processes import Forked
from rounding import Rounding, photo

from gcn.data.images import decode
from gcn.errors import InputError
from gcn.evaluation import job, journal, measuring, sources
from gcn.metrics.classical import CODECS
from gcn.report.rates import rate_report

M_MMAP_THRESHOLD = -3  # of glibc's mallopt
SIDE = 320


def bare(rows):
    """Rows without the seconds, which differ each time."""
    return [
        (r.codec, r.setting, r.image, r.bytes, r.psnr, r.ms_ssim, r.mse, r.scales, r.image_id) for r in rows
    ]


def test_at_most_one_image_is_decoded_at_a_time(codecs, images, evaluate, monkeypatch):
    alive, most = [], []

    def watched(path, background):
        most.append(sum(one() is not None for one in alive))
        found = decode(path, background)
        alive.append(weakref.ref(found.pixels))
        return found

    monkeypatch.setattr(sources, "decode", watched)
    assert evaluate(images, compare="jpeg")[0] == 0
    assert len(alive) >= 20
    assert max(most) == 0


def peaks(roots):
    """Evaluate folders one after another and print the most memory that the process has had so far, in MB."""
    ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, 2**16)  # what is freed goes back at once
    job.members, job.remarks = (lambda *_: [Rounding(8)]), (lambda *_: [])
    rate_report.rate_figures, job._crops = (lambda *_: []), (lambda *_: (None, []))
    measuring.Slicing = functools.partial(measuring.Slicing, patches=8, directions=8)
    measuring.crops_of = lambda count: 1
    for root in roots:
        job.evaluate({"data.root": root, "compare": "", "out": root + "-out"}, "")
        print("peak", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the allocator is told how to give memory back")
def test_sixteen_images_take_no_more_memory_than_four(tmp_path):
    roots = [tmp_path / str(count) for count in (4, 16)]
    for root in roots:
        root.mkdir()
        for i in range(int(root.name)):
            Image.fromarray(photo(SIDE, SIDE, i)).save(root / f"{i}.png", compress_level=1)
    evaluating = Forked(peaks, list(map(str, roots)))
    said, problem = evaluating.communicate(300)
    assert evaluating.returncode == 0, problem
    four, sixteen = (float(line.split()[1]) for line in said.splitlines() if line.startswith("peak"))
    assert sixteen - four < 16  # MB; 5 were measured, and 24 when all reconstructions were kept


def test_a_bad_image_costs_no_other(codecs, images, evaluate, capsys):
    expected = evaluate(images, images.parent / "before")[1]
    (images / "2a.png").write_bytes((images / "2.png").read_bytes()[:-40])
    (images / "junk.jpg").write_bytes(b"junk")
    capsys.readouterr()
    status, record = evaluate(images)
    said = capsys.readouterr()
    assert status == 2
    assert set(record.failed) == {"2a.png", "junk.jpg"}
    assert said.err.count("error: ") == 2
    assert "6 images: 4 done, 2 failed" in said.out
    assert [r[:3] for r in bare(record.images)] == [r[:3] for r in bare(expected.images)]
    assert [r.bpp for r in record.pooled] == [r.bpp for r in expected.pooled]


def test_an_image_that_fails_at_the_last_setting_is_in_no_number_of_the_others(
    codecs, images, evaluate, monkeypatch
):
    """As if it had not been there: sizes, means, distances and the range of JPEG."""
    without = images.parent / "without"
    shutil.copytree(images, without)
    (without / "3.png").unlink()
    _, expected = evaluate(without, images.parent / "expected", "jpeg")
    encode = CODECS["jpeg"].__class__.encode

    def failing(self, pixels, setting):
        if pixels.shape[0] == 23 and setting >= 20:
            raise InputError("too much")
        return encode(self, pixels, setting)

    monkeypatch.setattr(CODECS["jpeg"].__class__, "encode", failing)
    status, record = evaluate(images, compare="jpeg")
    assert status == 2
    assert record.failed == {"3.png": "too much"}
    assert bare(record.images) == bare(expected.images)
    for ours, theirs in zip(record.pooled, expected.pooled, strict=True):
        assert (ours.bpp, ours.psnr, ours.images, ours.swd) == (theirs.bpp, theirs.psnr, 3, theirs.swd)
    assert record.swd_floor == expected.swd_floor


@pytest.mark.parametrize(
    "problem",
    [
        MemoryError(),
        RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory"),
        FloatingPointError("no numbers"),
        InputError("too large"),
    ],
)
def test_one_image_that_does_not_fit_costs_no_other(codecs, images, evaluate, monkeypatch, problem, capsys):
    code = codecs[1].code

    def failing(image):
        if image.pixels.shape[0] == 21:
            raise problem
        return code(image)

    monkeypatch.setattr(codecs[1], "code", failing)
    status, record = evaluate(images)
    assert status == 2
    assert set(record.failed) == {"1.png"}
    assert "\n" not in record.failed["1.png"]
    assert {row.image for row in record.images} == {"0.png", "2.png", "3.png"}
    assert {row.images for row in record.pooled} == {3}


def test_where_all_images_fail_it_ends_in_one_line(codecs, images, evaluate, monkeypatch):
    def failing(image):
        raise FloatingPointError("no numbers")

    for codec in codecs:
        monkeypatch.setattr(codec, "code", failing)
    with pytest.raises(InputError, match=r"4 of 4 images failed; 0.png: .*no numbers"):
        evaluate(images)


@pytest.fixture
def two_images(images):
    """For tests that evaluate them again and again."""
    for name in ("2.png", "3.png"):
        (images / name).unlink()
    return images


def interrupted(images, evaluate, monkeypatch, after, problem):
    """An evaluation that ends at a write; the images that it had coded."""
    writes = 0
    append, add = journal.Journal._append, journal.Journal.add_tensors

    def counted(original):
        def write(self, *arguments):
            nonlocal writes
            writes += 1
            if writes > after:
                raise problem
            return original(self, *arguments)

        return write

    with monkeypatch.context() as patch:
        patch.setattr(journal.Journal, "_append", counted(append))
        patch.setattr(journal.Journal, "add_tensors", counted(add))
        with pytest.raises(type(problem)):
            evaluate(images)


def test_after_an_interruption_at_any_write_one_image_at_most_is_coded_again(
    codecs, two_images, evaluate, monkeypatch
):
    images = two_images
    _, expected = evaluate(images, images.parent / "expected")
    for after in range(10):
        shutil.rmtree(images.parent / "out", ignore_errors=True)
        for codec in codecs:
            codec.coded = 0
        interrupted(images, evaluate, monkeypatch, after, KeyboardInterrupt())
        _, record = evaluate(images)
        assert sum(codec.coded for codec in codecs) <= 2 * len(list(images.iterdir())) + 1, after
        assert bare(record.images) == bare(expected.images), after
        assert record.pooled == expected.pooled, after
        assert not [path for path in (images.parent / "out").rglob("*.npz")], after


def test_a_row_that_was_cut_off_is_computed_again(codecs, images, evaluate, monkeypatch):
    _, expected = evaluate(images, images.parent / "expected")
    interrupted(images, evaluate, monkeypatch, 6, KeyboardInterrupt())
    table = images.parent / "out" / "evaluation.csv"
    table.write_bytes(table.read_bytes()[:-20])
    assert bare(evaluate(images)[1].images) == bare(expected.images)


class Full:
    """A disk on which so many bytes fit."""

    def __init__(self, monkeypatch, room):
        self.room = room
        opened = Path.open

        def open_(path, mode="r", *arguments, **keywords):
            file = opened(path, mode, *arguments, **keywords)
            if "out" not in path.parts or mode[0] not in "wa":
                return file
            write = file.write

            class Writer:
                def __getattr__(self, name):
                    return getattr(file, name)

                def __enter__(self):
                    return self

                def __exit__(self, *_):
                    file.close()

            def limited(data):
                self.room -= len(data)
                if self.room < 0:
                    write(data[: len(data) // 2])
                    file.flush()
                    raise OSError(errno.ENOSPC, "No space left on device")
                return write(data)

            writer = Writer()
            writer.write = limited
            return writer

        monkeypatch.setattr(Path, "open", open_)


def test_a_full_disk_is_one_line_and_the_same_command_goes_on(codecs, two_images, evaluate, monkeypatch):
    images = two_images
    _, expected = evaluate(images, images.parent / "expected")
    for room in (0, 60, 500, 1100, 2000, 4000):
        shutil.rmtree(images.parent / "out", ignore_errors=True)
        with monkeypatch.context() as patch:
            Full(patch, room)
            with pytest.raises(InputError, match=r"out.*No space left on device") as caught:
                evaluate(images)
        assert "\n" not in str(caught.value)
        for path in (images.parent / "out").rglob("*"):
            assert ".partial" not in path.name
        _, record = evaluate(images)
        assert bare(record.images) == bare(expected.images), room
        assert record.pooled == expected.pooled, room


def test_other_weights_and_other_pixels_are_computed_anew(codecs, images, evaluate, monkeypatch):
    evaluate(images)
    Image.fromarray(photo(40, 50, 9)).save(images / "0.png")
    monkeypatch.setattr(codecs[1], "step", 16)
    for codec in codecs:
        codec.coded = 0
    _, record = evaluate(images)
    assert (codecs[0].coded, codecs[1].coded) == (
        4,
        4,
    )  # the distance is of all images: patches are coded again
    assert {row.setting for row in record.images if row.codec == "rounding"} == {"8", "16"}
    assert len(record.images) == len({(r.codec, r.setting, r.image) for r in record.images})


@pytest.mark.parametrize("there", ["evaluation.json", "index.html", "crops.png", ".resume"])
def test_files_of_another_report_are_not_replaced(codecs, images, evaluate, there, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / there).write_text("mine")
    with pytest.raises(InputError, match=f"holds {there} of another evaluation.*overwrite=true"):
        evaluate(images)
    assert (out / there).read_text() == "mine"
    assert list(out.iterdir()) == [out / there]
    if there != ".resume":
        assert evaluate(images, overwrite=True)[0] == 0


def test_files_beside_the_report_are_left_alone(codecs, images, evaluate, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "notes.txt").write_text("mine")
    evaluate(images)
    assert (out / "notes.txt").read_text() == "mine"


def test_names_that_no_terminal_can_show(codecs, images, evaluate, tmp_path):
    names = [b"caf\xe9.png", b"new\nline.png", b"tab\t.png", b"new\x0bline.png"]
    for name in names:
        shutil.copy(images / "0.png", bytes(images) + b"/" + name)
    _, record = evaluate(images)
    found = {row.image for row in record.images}
    assert len(found) == 4 + len(names)
    assert all(name.isprintable() and name.encode() for name in found)
    for name in ("evaluation.csv", "evaluation.json", "index.html"):
        assert b"\xe9" not in (tmp_path / "out" / name).read_bytes().replace("é".encode(), b"")
    with (tmp_path / "out" / "evaluation.csv").open() as file:
        assert sum(1 for _ in file) == 1 + len(record.images)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.text(st.sampled_from("ab\n\x00\udce9 (2)"), max_size=4), max_size=8))
def test_names_that_are_shown_alike_are_told_apart(names):
    found = sources.distinct(names)
    assert len(set(found)) == len(names)
    assert all(name.isprintable() for name in found)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(1, 40), st.integers(1, 40), st.booleans()), min_size=1, max_size=3))
def test_images_of_any_size_and_flat_ones(codecs, evaluate, tmp_path_factory, shapes):
    root = tmp_path_factory.mktemp("images")
    for i, (height, width, flat) in enumerate(shapes):
        pixels = np.full((height, width, 3), 128, np.uint8) if flat else photo(height, width, i)
        Image.fromarray(pixels).save(root / f"{i}.png")
    status, record = evaluate(root, tmp_path_factory.mktemp("report"), compare="jpeg")
    assert status == 0
    assert record.failed == {}
    for row in record.pooled:
        assert row.bpp > 0
        assert row.ms_ssim <= 1 or math.isnan(row.ms_ssim)
        assert row.swd < 1e4 or math.isnan(row.swd)
        assert not math.isinf(row.psnr)


def test_json_of_exact_images_is_valid(codecs, evaluate, tmp_path):
    root = tmp_path / "images"
    root.mkdir()
    Image.fromarray(np.full((40, 40, 3), 128, np.uint8)).save(root / "flat.png")  # a multiple of 8 and 32
    _, record = evaluate(root)
    assert {row.psnr for row in record.images if row.codec == "rounding"} == {math.inf}

    def refuse(text):
        raise AssertionError(text)

    for path in (tmp_path / "out").rglob("*.json*"):
        for line in path.read_text().splitlines() if path.suffix == ".jsonl" else [path.read_text()]:
            json.loads(line, parse_constant=refuse)


def test_the_report_says_ctrl_c_can_be_resumed(codecs, images, evaluate, monkeypatch):
    monkeypatch.setattr(job.Evaluation, "measure", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt, match="the same command"):
        evaluate(images)


def test_the_report_may_lie_among_the_images(codecs, images, evaluate):
    out = images / "report"
    _, first = evaluate(images, out)
    Image.fromarray(photo(30, 30)).save(out / "crops.png")  # as the report has one in other cases
    _, again = evaluate(images, out)
    assert bare(first.images) == bare(again.images)
    other = sources.sources({"data.root": str(images), "out": str(images / "another report")}, [])
    assert {one.name for one in other.images} == {row.image for row in first.images}


def test_a_report_never_replaces_an_image_that_it_is_about(codecs, images, evaluate):
    (images / "0.png").rename(images / "crops.png")
    before = (images / "crops.png").read_bytes()
    for overwrite in (False, True):
        with pytest.raises(InputError, match=r"crops.png: an image that the report would replace"):
            evaluate(images, images, overwrite=overwrite)
    assert (images / "crops.png").read_bytes() == before


def test_a_report_touches_nothing_but_its_own_files(codecs, images, evaluate, tmp_path):
    out, mine = tmp_path / "out", tmp_path / "mine"
    partial = out / "run" / ".0123456789abcdef.partial"
    for folder in (partial.parent, mine / "folder"):
        folder.mkdir(parents=True)
    partial.touch()
    assert evaluate(images, out)[0] == 0
    assert partial.exists()
    shutil.rmtree(out / ".resume")
    (out / ".resume").symlink_to(mine)
    with pytest.raises(InputError, match=r"\.resume: a link"):
        evaluate(images, out, overwrite=True)
    (out / ".resume").unlink()
    (out / "crops.png").symlink_to(images / "0.png")
    with pytest.raises(InputError, match=r"a link to .*0\.png, outside"):
        evaluate(images, out, overwrite=True)
    assert (mine / "folder").exists()


DAMAGES = {
    "evaluation.csv": ["x" * 200_000 + "\n", "image_id\na\n", "codec_id,image_id\na,b\n"],
    ".resume/journal.jsonl": [
        '5\n"bytes"\n[]\n', "[" * 99_999 + "\n", '{"codec": [1], "image": [2], "bytes": 3}\n',
        '{"codec": "id-8", "images": "a", "values": {"swd": "x"}}\n', '{"codec": "a", "image": "b", "bytes": "c"}\n',
    ],
    ".resume/words.json": ["[" * 99_999],
}  # fmt: skip


def test_damage_of_what_was_saved_costs_time_alone(codecs, two_images, evaluate):
    """One damage after another: each evaluation writes whole files again."""
    images = two_images
    _, expected = evaluate(images)
    for name, content in [(n, c) for n, cs in DAMAGES.items() for c in cs]:
        (images.parent / "out" / name).write_text(content)
        again = bare(evaluate(images, overwrite=True)[1].images)
        assert again == bare(expected.images), (name, content[:20])


@pytest.mark.parametrize("damage", [lambda b: b"", lambda b: b[: len(b) // 2], lambda b: bytes(len(b))])
def test_damage_of_saved_patches_costs_time_alone(codecs, images, evaluate, monkeypatch, damage):
    _, expected = evaluate(images, images.parent / "expected")
    interrupted(images, evaluate, monkeypatch, 5, KeyboardInterrupt())
    saved = list((images.parent / "out").rglob("*.npz"))
    assert saved
    for place in saved:
        place.write_bytes(damage(place.read_bytes()))
    _, record = evaluate(images)
    assert [row.swd for row in record.pooled] == [row.swd for row in expected.pooled]
