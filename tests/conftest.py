"""One thread: the networks of the tests are so small that threads cost more than they bring."""

import pytest
import torch
from generators import build, spread
from hypothesis import settings

torch.set_num_threads(1)

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
