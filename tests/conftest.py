"""One thread: the networks of the tests are so small that threads cost more than they bring."""

import os
import signal

import pytest
import torch
from generators import build, spread
from hypothesis import settings

torch.set_num_threads(1)

# A shell lets what it starts in the background ignore SIGINT, and processes inherit that: tests send it to their own.
signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("shared", deadline=None)  # a busy machine is no failure
settings.load_profile("shared")


@pytest.fixture(scope="session")
def generator():
    """A codec by the name of its yaml."""
    return build


@pytest.fixture(scope="session")
def spread_generator():
    """The same with many different symbols."""
    return lambda name, factor=4.0, **options: spread(build(name, **options), factor)


@pytest.fixture(autouse=True)
def environment():
    """Variables that a test sets, or a library in it (torch.distributed: MASTER_PORT), end with the test."""
    before = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    yield
    for name in [name for name in os.environ if name not in before and not name.startswith("PYTEST_")]:
        del os.environ[name]
    os.environ.update(before)
