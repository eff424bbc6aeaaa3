"""Files are written whole or not at all, and never over something that the user did not name."""

import ast
import errno
import os
import socket
import stat
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import gcn
from gcn.errors import InputError
from gcn.files.atomic import (
    check_folder,
    check_output,
    check_results,
    remove_partials,
    replacing,
    write_bytes,
    write_csv,
    write_text,
)

NAMES = st.binary(min_size=1, max_size=300).filter(
    lambda name: not set(b"/\0") & set(name) and name not in (b".", b"..")
)


def entries(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


def write_and_fail(path: Path, part: bytes, problem: BaseException) -> None:
    with replacing(path) as partial:
        partial.write_bytes(part)
        raise problem


@given(name=NAMES, data=st.binary(max_size=100))
def test_a_file_of_any_name_is_written_or_refused_in_one_line(tmp_path_factory, name, data):
    folder = tmp_path_factory.mktemp("names")
    path = folder / os.fsdecode(name)
    if len(name) > 255:
        with pytest.raises(InputError, match=r"^[^\n]*cannot be written[^\n]*$"):
            write_bytes(path, data)
        assert entries(folder) == []
    else:
        write_bytes(path, data)
        assert path.read_bytes() == data
        assert entries(folder) == [path.name]


@pytest.mark.parametrize("length", [249, 255])
def test_a_partial_name_fits_where_the_target_fits(tmp_path, length):
    write_bytes(tmp_path / ("n" * length), b"x")
    assert entries(tmp_path) == ["n" * length]


def test_a_file_that_exists_is_refused_with_the_remedy(tmp_path):
    path = tmp_path / "photo.png"
    path.write_bytes(b"original")
    with pytest.raises(InputError, match=r"photo.png exists; .*overwrite=true"):
        check_output(path)
    with pytest.raises(InputError, match="exists"):
        write_bytes(path, b"new", overwrite=False)
    assert path.read_bytes() == b"original"
    write_bytes(path, b"new", overwrite=True)
    assert path.read_bytes() == b"new"


def test_a_file_that_appears_during_the_work_stays(tmp_path):
    path = tmp_path / "photo.png"

    def write() -> None:
        with replacing(path, overwrite=False) as partial:
            partial.write_bytes(b"new")
            path.write_bytes(b"another program's")

    with pytest.raises(InputError, match="exists"):
        write()
    assert path.read_bytes() == b"another program's"
    assert entries(tmp_path) == ["photo.png"]


@pytest.mark.parametrize("kind", ["device", "pipe", "socket", "folder"])
@pytest.mark.parametrize("linked", [False, True])
def test_what_is_no_file_is_refused_and_stays(tmp_path, kind, linked):
    place = tmp_path / "place"
    if kind == "device":
        place = Path("/dev/null")
    elif kind == "pipe":
        os.mkfifo(place)
    elif kind == "folder":
        place.mkdir()
    else:
        server = socket.socket(socket.AF_UNIX)
        server.bind(os.path.relpath(place))
        server.close()
    before = os.lstat(place).st_mode
    target = place
    if linked:
        target = tmp_path / "link"
        target.symlink_to(place)
    for attempt in (lambda: check_output(target, overwrite=True), lambda: write_bytes(target, b"x")):
        with pytest.raises(InputError, match="name a file"):
            attempt()
    assert os.lstat(place).st_mode == before
    assert target.is_symlink() == linked


@pytest.mark.parametrize("dangling", [False, True])
def test_a_link_stays_one_and_its_file_is_replaced(tmp_path, dangling):
    (tmp_path / "store").mkdir()
    file, link = tmp_path / "store" / "file", tmp_path / "link"
    if not dangling:
        file.write_bytes(b"old")
    link.symlink_to(file)
    write_bytes(link, b"new")
    assert link.is_symlink()
    assert file.read_bytes() == b"new"
    assert entries(tmp_path / "store") == ["file"]


def test_a_folder_for_results_may_hold_links_to_folders_but_not_to_files_elsewhere(tmp_path):
    folder, elsewhere = tmp_path / "results", tmp_path / "data"
    folder.mkdir()
    elsewhere.mkdir()
    (folder / "data").symlink_to(elsewhere)
    check_results(folder)  # as a checkout whose data lie on another disk
    (elsewhere / "photo.png").write_bytes(b"")
    (folder / "spectrum.png").symlink_to(elsewhere / "photo.png")
    with pytest.raises(InputError, match=r"spectrum\.png: a link to .*photo\.png, outside of this folder"):
        check_results(folder)


def test_a_link_to_itself_is_refused(tmp_path):
    (tmp_path / "circle").symlink_to("circle")
    with pytest.raises(InputError, match="circle"):
        write_bytes(tmp_path / "circle", b"x")


def test_a_replaced_file_keeps_its_permissions(tmp_path):
    path = tmp_path / "private"
    path.write_bytes(b"old")
    path.chmod(0o600)
    write_bytes(path, b"new")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@given(after=st.integers(0, 40), number=st.sampled_from([errno.ENOSPC, errno.EIO, errno.EDQUOT]))
def test_a_write_that_fails_at_any_byte_leaves_what_was_there(tmp_path_factory, after, number):
    folder = tmp_path_factory.mktemp("faults")
    path = folder / "file"
    path.write_bytes(b"old")
    with pytest.raises(InputError) as refusal:
        write_and_fail(path, b"x" * after, OSError(number, os.strerror(number)))
    assert str(refusal.value).count("\n") == 0
    assert os.strerror(number) in str(refusal.value)
    assert path.read_bytes() == b"old"
    assert entries(folder) == ["file"]


def test_an_interrupted_write_leaves_what_was_there(tmp_path):
    write_bytes(tmp_path / "file", b"old")
    with pytest.raises(KeyboardInterrupt):
        write_and_fail(tmp_path / "file", b"half", KeyboardInterrupt())
    assert (tmp_path / "file").read_bytes() == b"old"
    assert entries(tmp_path) == ["file"]


def test_writers_of_one_target_do_not_touch_each_others_files(tmp_path):
    path, wrong = tmp_path / "file", list[BaseException]()

    def write(letter: bytes) -> None:
        try:
            for _ in range(100):
                write_bytes(path, letter * 5000)
        except BaseException as problem:
            wrong.append(problem)

    threads = [threading.Thread(target=write, args=(letter,)) for letter in (b"a", b"b", b"c")]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        if path.exists():
            assert len(set(path.read_bytes())) == 1
            assert path.stat().st_size == 5000
    assert wrong == []
    assert entries(tmp_path) == ["file"]


def test_a_folder_that_is_missing_is_named_before_any_work(tmp_path):
    with pytest.raises(InputError, match=r"nowhere: no such folder; make it first"):
        check_output(tmp_path / "nowhere" / "file")
    with pytest.raises(InputError, match="no such folder"):
        check_output(tmp_path / "nowhere" / "file", overwrite=True)
    (tmp_path / "photo.png").touch()
    with pytest.raises(InputError, match=r"photo.png: not a folder; choose another place"):
        check_output(tmp_path / "photo.png" / "file")


def test_a_read_only_folder_is_named_before_any_work(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write everywhere
    with pytest.raises(InputError, match="read-only"):
        check_output(tmp_path / "file")
    with pytest.raises(InputError, match=r"out=.*read-only"):
        check_folder("out", tmp_path / "a" / "b")


@pytest.mark.parametrize("name", ["file", "file/below", "n" * 300])
def test_a_folder_that_cannot_be_made_is_refused_with_its_option(tmp_path, name):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(InputError, match=r"^out=.*choose another place"):
        check_folder("out", tmp_path / name)
    assert entries(tmp_path) == ["file"]


def test_a_folder_that_can_be_made_is_not_made_yet(tmp_path):
    assert check_folder("out", tmp_path / "a" / "b") == tmp_path / "a" / "b"
    assert entries(tmp_path) == []


def test_partial_files_of_killed_processes_are_removed_and_nothing_else(tmp_path):
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / ".0123456789abcdef.partial").write_bytes(b"half")
    (tmp_path / ".mine.partial").write_bytes(b"the user's")
    remove_partials(tmp_path)
    assert entries(tmp_path) == [".mine.partial", "checkpoints"]
    assert entries(tmp_path / "checkpoints") == []


def test_text_and_tables_have_the_same_line_ends_everywhere(tmp_path):
    write_text(tmp_path / "text", "a\nb\r\nü")
    write_csv(tmp_path / "table", [["a", "b"], ["x,y", 1]])
    assert (tmp_path / "text").read_bytes() == "a\nb\r\nü".encode()
    assert (tmp_path / "table").read_bytes() == b'a,b\n"x,y",1\n'


WRITERS = {"write_text", "write_bytes", "savefig", "touch", "rename", "mkstemp", "NamedTemporaryFile"}
REPLACERS = {
    "replace": "os.replace",
    "rename": "os.rename",
    "copyfile": "shutil.copyfile",
    "move": "shutil.move",
}
ELSEWHERE = {
    "gcn/files/atomic.py": "the one way itself",
    "gcn/evaluation/journal.py": "appends rows to evaluation.csv, so that an interruption loses one at most",
    "gcn/report/metrics_table.py": "appends rows to metrics.csv, which a reader may see grow",
    "gcn/cli/terminal.py": "writes into the null device what nobody reads",
    "gcn/models/tensor_file.py": "writes into the partial file that gcn.files.atomic.replacing gives it",
    "gcn/training/checkpoint.py": "keeps the checkpoint before as a hard link",
}


def _direct_writes(tree: ast.AST) -> list[str]:
    """Calls that write a file without gcn.files.atomic: opened for writing, or written by name."""
    nodes = list(ast.walk(tree))
    inside = {
        id(node)
        for block in nodes
        if isinstance(block, ast.With)
        and any("replacing" in ast.unparse(item.context_expr) for item in block.items)
        for node in ast.walk(block)
    }
    found = []
    for node in nodes:
        if not isinstance(node, ast.Call) or id(node) in inside:
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        method = isinstance(node.func, ast.Attribute)
        modes = [a.value for a in node.args if isinstance(a, ast.Constant) and isinstance(a.value, str)]
        opened = name == "open" and any(set("wax+") & set(mode) and len(mode) <= 3 for mode in modes)
        replaced = name in REPLACERS and ast.unparse(node.func) == REPLACERS[name]
        if opened or replaced or (method and name in WRITERS):
            found.append(f"{node.lineno}: {ast.unparse(node)[:80]}")
    return found


def test_the_package_writes_in_one_way_only():
    top = Path(gcn.__file__).parents[1]
    for path in [*top.glob("gcn/**/*.py"), *top.glob("scripts/**/*.py")]:
        name = path.relative_to(top).as_posix()
        if name not in ELSEWHERE:
            assert _direct_writes(ast.parse(path.read_text(encoding="utf-8"))) == [], name


def test_a_system_without_posix_calls_writes_and_checks_names(tmp_path, monkeypatch):
    """As on Windows: no ``os.pathconf``, and a folder cannot be opened to be synced."""
    import gcn.files.atomic as module
    from gcn.errors import InputError

    class Windows:
        name = "nt"

        def __getattr__(self, name):
            if name == "pathconf":
                raise AttributeError(name)
            return getattr(os, name)

        def open(self, path, *flags):
            assert not os.path.isdir(path)
            return os.open(path, *flags)

    monkeypatch.setattr(module, "os", Windows())
    module.write_text(tmp_path / "a", "text", sync=True)
    assert (tmp_path / "a").read_text() == "text"
    with pytest.raises(InputError, match="too long"):
        module.check_folder("out", tmp_path / ("x" * 256))
