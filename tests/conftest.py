"""One thread: the networks of the tests are so small that threads cost more than they bring."""

import torch

torch.set_num_threads(1)
