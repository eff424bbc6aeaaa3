"""What a run is built from."""

from gcn.config.assemble import wandb_options
from gcn.config.parse import parse


def test_the_tags_of_a_wandb_log_are_the_users_and_the_changed_words():
    words = ["loss=hinge", "mse=1", "r1=10", "logger.tags=[mine]", "logger.name=first"]
    options = wandb_options(parse(words))
    assert options is not None
    assert options["tags"] == ["mine", "loss=hinge", "mse=1", "r1=10"]
    assert (options["name"], options["project"]) == ("first", "gcn")
    assert wandb_options(parse([*words[:2], "logger=csv"])) is None
