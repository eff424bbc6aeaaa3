"""One thread: the networks of the tests are so small that threads cost more than they bring."""

import torch
from hypothesis import settings

torch.set_num_threads(1)

settings.register_profile("shared", deadline=None)  # a busy machine is no failure
settings.load_profile("shared")
