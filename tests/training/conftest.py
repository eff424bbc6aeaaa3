import pytest

pytest.register_assert_rewrite("runs")


@pytest.fixture(scope="session")
def data(tmp_path_factory):
    """A folder of small images."""
    from runs import images

    return images(tmp_path_factory.mktemp("images"))


@pytest.fixture
def quick(monkeypatch):
    """Runs draw nothing."""
    from runs import undrawn

    undrawn(monkeypatch)
