"""A run folder does not decide where a resumed run writes and what it sends to."""

import shlex

import pytest

from gcn.commands import restart
from gcn.commands.hydra_command import main
from gcn.commands.reservation import refuse_used
from gcn.config.destinations import destinations, words_again
from gcn.config.offered import TRAIN, knobs
from gcn.config.parse import parse, save
from gcn.errors import InputError
from gcn.schema.conf_folder import CONF
from gcn.schema.fields import at, declarations

WORDS = ["mse=1", "data=folder", "data.root=tests", "trainer=cpu"]
LOGGERS = sorted(path.stem for path in (CONF / "logger").glob("*.yaml"))
NO_RUN = (
    "study",
    "lab",
    "knob",
    "callbacks",
)  # folders of conf/ of which a run folder's config.yaml decides nothing
FIELDS = {
    **declarations(CONF / "train.yaml"),
    **{f"{path.parent.name}.{name}": field
       for path in CONF.glob("*/*.yaml") if path.parent.name not in NO_RUN
       for name, field in declarations(path).items()},
    **{f"terms.{knob.name}.{option}": field for knob in knobs().values() for option, field in knob.declared.items()},
}  # fmt: skip
PLACES = sorted(name for name, field in FIELDS.items() if field.type in ("path", "address"))
READ = {"data.root", "data.val_root", "init_from", "terms.lpips.weights", "terms.lpips.backbone", "labeller.file",
        "labeller.weights"}  # fmt: skip
SENT = [name for name in PLACES if name.startswith("logger.")]


def stored(folder, *words):
    folder.mkdir(exist_ok=True)
    save(parse([*WORDS, *words]), folder)
    return folder


def choice_of(name):
    return next(one for one in LOGGERS if name in declarations(CONF / "logger" / f"{one}.yaml"))


def test_every_place_that_a_run_folder_names_is_in_the_security_page():
    said = (CONF.parent / "SECURITY.md").read_text()
    assert set(PLACES) == READ | set(SENT)
    assert len(SENT) > 8
    for name in PLACES:
        assert f"`{name}`" in said, name


@pytest.mark.parametrize("name", SENT)
def test_a_stored_destination_counts_only_if_it_is_said_again(name, tmp_path):
    logger = f"logger={choice_of(name.removeprefix('logger.'))}"
    usual = at(parse([*WORDS, logger]), name)
    folder = stored(tmp_path / "run", logger, f"{name}=elsewhere")
    resume = f"resume={folder}"
    with pytest.raises(InputError, match=rf"{name}=elsewhere, or {logger} for the usual place$") as refusal:
        parse([resume])
    assert "\n" not in str(refusal.value)
    assert at(parse([resume, f"{name}=elsewhere"]), name) == "elsewhere"
    assert at(parse([resume, f"{name}=there"]), name) == "there"
    assert at(parse([resume, logger]), name) == usual
    assert name not in str(parse([resume, "logger=csv"]).logger)


def test_a_run_that_logged_to_the_usual_place_resumes_without_a_word(tmp_path):
    for logger in (*LOGGERS, "[csv,tensorboard,wandb,mlflow]"):
        folder = stored(tmp_path / "run", f"logger={logger}")
        assert parse([f"resume={folder}"]).choices.logger == parse([f"logger={logger}"]).choices.logger
    folder = stored(
        tmp_path / "run", "logger=wandb", "logger.name=a name", "logger.tags=[a]", "logger.mode=offline"
    )
    assert parse([f"resume={folder}"]).logger.mode == "offline"


def test_all_destinations_of_a_run_are_named_at_once(tmp_path):
    logger = "logger=[wandb,mlflow]"
    own = ["logger.entity=them", "logger.mlflow.tracking_uri='https://there/?a=b, c'"]
    folder = stored(tmp_path / "run", logger, *own)
    for said, missing in ([], own), (own[:1], own[1:]), (own[1:], own[:1]):
        with pytest.raises(InputError) as refusal:
            parse([f"resume={folder}", *said])
        again = shlex.split(str(refusal.value).partition("give it again, ")[2].partition(", or logger=")[0])
        assert again == missing
    assert parse([f"resume={folder}", *own]).logger.entity == "them"


def test_the_texts_of_a_logger_of_ones_own_count_as_destinations(tmp_path):
    conf = tmp_path / "conf"
    (conf / "logger").mkdir(parents=True)
    (conf / "logger" / "mine.yaml").write_text(
        "mine:\n  _target_: lightning.pytorch.loggers.CSVLogger\n  save_dir: '{folder}'\n"
        "  flush_logs_every_n_steps: 9\n  prefix: ''     #: str\n"
    )
    words = [*WORDS, "logger=mine", "logger.mine.save_dir=x", "logger.mine.prefix=y"]
    cfg = parse([*words, "logger.mine.flush_logs_every_n_steps=3"], str(conf))
    assert destinations(cfg) == ["logger.mine.save_dir=x"]


def test_printed_commands_and_restarted_jobs_keep_the_destinations(tmp_path, monkeypatch):
    said = [
        "logger=tensorboard",
        f"logger.tensorboard.save_dir={tmp_path / 'it is'}",
        "logger.tensorboard.name=a",
    ]
    early = "callbacks.early={_target_: lightning.pytorch.callbacks.Timer}"
    folder, cfg = stored(tmp_path / "run", *said, early), parse([*WORDS, *said, early])
    with pytest.raises(InputError) as refusal:
        refuse_used(cfg, folder, TRAIN)
    command = str(refusal.value).partition("continue it with: ")[2].partition("; or choose")[0]
    again = parse(shlex.split(command)[2:])
    assert (again.logger, again.callbacks) == (cfg.logger, cfg.callbacks)
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    assert refuse_used(cfg, folder, TRAIN)
    assert restart.resumed(folder, cfg, said).logger == cfg.logger
    assert set(words_again(cfg)) <= set(shlex.split(command))


def test_the_command_line_of_a_resumed_run_takes_the_words_of_its_logger(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    said = ["logger=tensorboard", "logger.tensorboard.save_dir=there"]
    assert main([*WORDS[:1], "data=photos", *said, "out=run"], train=lambda cfg: None) == 0
    found = []
    for more in [], said[1:], said[:1]:
        status = main(["resume=run", *more], train=lambda cfg: found.append(cfg.logger.tensorboard.save_dir))
        assert status == (0 if more else 2)
    assert found == ["there", "{folder}"]
    assert "logger.tensorboard.save_dir=there" in capfd.readouterr().err
