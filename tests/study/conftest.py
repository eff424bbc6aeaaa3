import pytest
from lab_inside import LabInside
from processes import forking


@pytest.fixture
def forked_workers(monkeypatch):
    """Workers of a study begin with the libraries imported; those of executors/test_local.py import their own."""
    monkeypatch.setattr("gcn.study.executors.local.get_context", lambda _: forking())


@pytest.fixture
def workers_with_the_lab_inside(monkeypatch):
    """Workers of a study run the lab's command in their own process; other tests start it as users do."""
    monkeypatch.setattr("gcn.study.executors.local.get_context", lambda _: LabInside)
