import pytest

pytest.register_assert_rewrite("runs")


@pytest.fixture(scope="session")
def data(tmp_path_factory):
    """A folder of small images."""
    from runs import images

    return images(tmp_path_factory.mktemp("images"))


@pytest.fixture(scope="module")
def reference(request, data, tmp_path_factory):
    """A run from beginning to end, as often looked at as the test module's OFTEN says."""
    from runs import quickly, run, words

    folder = tmp_path_factory.mktemp("runs") / "reference"
    with pytest.MonkeyPatch.context() as patch:
        quickly(patch)
        run(folder, *words(data, request.module.OFTEN))
    return folder


@pytest.fixture
def quick(monkeypatch):
    """Runs draw nothing, and their networks and measurements are cheap."""
    from runs import quickly

    quickly(monkeypatch)
