import pytest
from processes import forking


@pytest.fixture
def forked_workers(monkeypatch):
    """Workers of a study begin with the libraries imported; test_margins.py has workers that import their own."""
    monkeypatch.setattr("gcn.study.executors.local.get_context", lambda _: forking())
