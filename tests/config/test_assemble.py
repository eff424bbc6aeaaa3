"""What a run is built from."""

import torch

from gcn.config.assemble import seeded, wandb_options
from gcn.config.parse import parse


def test_first_weights_depend_on_seed_and_name_and_leave_all_random_numbers_as_they_were(monkeypatch):
    monkeypatch.setattr(torch.cuda, "manual_seed_all", None)  # those of accelerators are not asked for
    before = torch.get_rng_state()

    def drawn(seed, name):
        with seeded(seed, name):
            return torch.rand(3).tolist()

    assert drawn(0, "generator") == drawn(0, "generator")
    assert len({tuple(drawn(seed, name)) for seed in (0, 1) for name in ("generator", "discriminator")}) == 4
    assert torch.equal(torch.get_rng_state(), before)


def test_the_tags_of_a_wandb_log_are_the_users_and_the_changed_words():
    words = ["loss=hinge", "mse=1", "r1=10", "logger.tags=[mine]", "logger.name=first"]
    options = wandb_options(parse(words))
    assert options is not None
    assert options["tags"] == ["mine", "loss=hinge", "mse=1", "r1=10"]
    assert (options["name"], options["project"]) == ("first", "gcn")
    assert wandb_options(parse([*words[:2], "logger=csv"])) is None
