"""Large libraries are imported without the garbage collector, which works for everything else as it did."""

import gc
import sys

import pytest

from gcn.commands import uncollected

PACKAGE = {
    "large_library/__init__.py": "import gc, second_library\nfrom . import part\ncollected = gc.isenabled()\n",
    "large_library/part.py": "import gc\ncollected = gc.isenabled()\nkept = [[] for _ in range(1000)]\n",
    "second_library.py": "import gc\n",
    "broken_library.py": "1 / 0\n",
    "small_library.py": "import gc\ncollected = gc.isenabled()\n",
}
LARGE = ("large_library", "second_library", "broken_library")


@pytest.fixture(autouse=True)
def libraries(tmp_path, monkeypatch):
    for name, text in PACKAGE.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    uncollected.install(LARGE)
    yield
    for name in [name for name in sys.modules if name.partition(".")[0].endswith("_library")]:
        del sys.modules[name]


def test_a_large_library_and_its_parts_are_imported_without_the_collector():
    import large_library

    assert not large_library.collected
    assert not large_library.part.collected
    assert gc.isenabled()


def test_what_it_leaves_is_not_looked_at_again():
    import large_library

    looked_at = {id(found) for found in gc.get_objects()}
    assert not any(id(kept) in looked_at for kept in large_library.part.kept)


def test_other_imports_are_left_alone():
    import small_library

    assert small_library.collected


def test_the_collector_works_after_an_import_that_fails():
    with pytest.raises(ZeroDivisionError):
        import broken_library  # noqa: F401
    assert gc.isenabled()


def test_who_has_switched_the_collector_off_finds_it_off():
    gc.disable()
    try:
        import large_library  # noqa: F401

        assert not gc.isenabled()
    finally:
        gc.enable()
