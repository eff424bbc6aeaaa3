"""Each patch of this folder is seen by the test that it names."""

import pytest
from run import FOLDER, PATCHES, MutantError, check_mutant, check_unpatched, copied, patched

MISTAKES = {1, 2, 3, 6, 8, 10, 11}


def test_every_mistake_stands_as_a_patch():
    assert {int(name.partition("_")[0]) for name in PATCHES} == MISTAKES


@pytest.fixture(scope="module")
def folder():
    with copied() as folder:
        yield folder


@pytest.mark.slow
def test_the_named_tests_pass_without_a_patch(folder):
    check_unpatched(folder, PATCHES)


@pytest.mark.slow
@pytest.mark.parametrize("name", PATCHES)
def test_the_named_test_sees_the_mistake(folder, name):
    check_mutant(folder, name)


def test_a_patch_that_no_longer_applies_is_an_error(folder, tmp_path):
    patch = tmp_path / "stale.patch"
    text = (FOLDER / "8_lpips_nan_at_zero.patch").read_text(encoding="utf-8")
    patch.write_text(text.replace("self.EPSILON).sqrt()", "self.epsilon).sqrt()"), encoding="utf-8")
    with pytest.raises(MutantError, match=r"stale.patch: no longer applies"), patched(folder, patch):
        pass
