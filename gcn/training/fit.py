"""One run from its first update to its summary."""

import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import lightning as L
import torch
from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities.exceptions import MisconfigurationException

from gcn.cli.quoting import resuming
from gcn.data.loader import Data
from gcn.errors import InputError, Interrupted
from gcn.files.atomic import remove_partials
from gcn.files.lock import only_writer
from gcn.models import package
from gcn.models.dcgan import DCGAN
from gcn.report.environment import environment
from gcn.report.run_curves import curves
from gcn.report.summary import write_summary
from gcn.report.wandb_log import WandbRun
from gcn.training.bad_images import BadImages
from gcn.training.checkpoint import AtomicCheckpointIO, has_checkpoint, open_checkpoint
from gcn.training.datamodule import Remaining
from gcn.training.failure import explained
from gcn.training.log import quiet, run_log, terminal
from gcn.training.loggers import send
from gcn.training.module import GameModule
from gcn.training.precision import LIGHTNING, resolve
from gcn.training.progress import Progress
from gcn.training.ranks import ReplicatedStrategy, check_ranks, placement, threads_each
from gcn.training.record import Intervals, Record
from gcn.training.restore import check
from gcn.training.same_data import SameData
from gcn.training.samples import RealCrops, evaluate_samples
from gcn.training.sizes import check_sizes
from gcn.training.user_callbacks import notes, refusals
from gcn.training.validate import against_jpeg, coding_copy, evaluate, with_files

# Arguments of Lightning's Trainer that a run leaves to the user; gcn/config/lightning_words.py has the others.
PASSED_ON = ("profiler", "detect_anomaly", "deterministic", "benchmark", "max_time", "enable_model_summary")


@dataclass(frozen=True)
class Machine:
    """The hardware of a run: devices, precision, threads.

    Args:
        accelerator: ``auto``, ``cpu`` or ``gpu``.
        devices: processes, each with its part of the batch; None: one, or one a GPU with ``ddp``.
        precision: ``32``, ``bf16`` or ``auto``; see :mod:`gcn.training.precision`.
        channels_last: memory layout of images and weights.
        ddp: several processes, one for each GPU where ``devices`` does not say.
        threads: CPU threads a process, None for torch's choice.
        options: further arguments of Lightning's Trainer, of ``PASSED_ON``.
    """

    accelerator: str = "auto"
    devices: int | None = None
    precision: str = "32"
    channels_last: bool = True
    ddp: bool = False
    threads: int | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Plan:
    """All objects and options that a run needs.

    Args:
        folder: the run folder.
        module: the game and how it is trained.
        data: what it is trained on.
        seed: of data and noise.
        often: how often things are looked at.
        machine: what it runs on.
        wandb: options of :class:`gcn.report.wandb_log.WandbRun`, or None.
        config: the resolved configuration, for the record.
        resume: continue from the folder's last checkpoint.
        loggers: Lightning's, of :func:`gcn.training.loggers.started`.
        callbacks: Lightning callbacks of the user.
        again: words that the command which resumes the run must name, see `gcn.config.destinations.words_again`.
    """

    folder: Path
    module: GameModule
    data: Data
    seed: int
    often: Intervals
    machine: Machine
    wandb: Mapping[str, Any] | None
    config: Mapping[str, Any]
    resume: bool = False
    loggers: Sequence[Logger] = ()
    callbacks: Sequence[L.Callback] = ()
    again: Sequence[str] = ()


def train(plan: Plan) -> dict[str, Any]:
    """Train, evaluate and write the run folder; returns the content of ``summary.json``.

    Raises:
        InputError: bad input, before the first update; another process is writing into the folder; later a full disk or
            too little memory.
        Interrupted: after SIGTERM or Ctrl-C, with a checkpoint written.
    """
    quiet()
    progress = Progress()
    trainer = _trainer(plan, plan.module.training_plan.steps, progress)
    if not trainer.is_global_zero:
        return _train(plan, trainer, progress)
    with only_writer(plan.folder), run_log(plan.folder):
        return _train(plan, trainer, progress)


def _train(plan: Plan, trainer: L.Trainer, progress: Progress) -> dict[str, Any]:
    module, steps = plan.module, plan.module.training_plan.steps
    rank, world, main = trainer.global_rank, trainer.world_size, trainer.is_global_zero
    checkpoint, start = _whence(plan, steps) if plan.resume else (None, 0)
    check_ranks(module.game, world)
    if main and plan.resume:
        remove_partials(plan.folder)
    threads = plan.machine.threads or threads_each(trainer.num_devices)
    if threads is not None:
        torch.set_num_threads(threads)
    if plan.machine.channels_last:
        module.game.to(memory_format=torch.channels_last)
    module.follows_checkpoint, module.sends_values = True, False
    loader = plan.data.train_loader(
        seed=plan.seed,
        steps=steps,
        start_step=start,
        d_steps=module.training_plan.d_steps,
        rank=rank,
        world=world,
    )
    images = plan.data.val_images(rank, world)
    reals = RealCrops(plan.data) if isinstance(module.game.generator, DCGAN) else None
    if main:
        print(plan.data.report(), flush=True)
    sizes = check_sizes(plan.data, module.game) if reals is None else []
    for line in [*sizes, *notes(plan.callbacks)]:
        if main:
            print(line, file=sys.stderr, flush=True)
    wandb = (  # after all that may be refused, for it writes into the folder
        WandbRun(plan.folder, config=plan.config, **plan.wandb) if main and plan.wandb is not None else None
    )
    record = Record(
        plan.folder, images, plan.often, progress, wandb, plan.loggers, plan.callbacks, plan.resume, reals
    )
    send(plan.loggers, [], plan.config)
    bad_images, same_data = BadImages(plan.data, progress, main), SameData(plan.data, record, start, main)
    trainer.callbacks += [*plan.callbacks, bad_images, record, same_data]  # type: ignore[attr-defined]
    before = time.perf_counter()
    with explained(plan.folder, lambda: _smaller(plan, record), lambda: record.begun, plan.again):
        with loader, refusals(plan.callbacks):
            trainer.fit(module, Remaining(loader, steps), ckpt_path=checkpoint, weights_only=True)
        record.go_on(trainer.global_step, main)  # Lightning begins nothing where no update is left
        if record.stop.signal is not None:
            where = f"stopped after {trainer.global_step} of {steps} updates"
            raise Interrupted(
                f"{where}; go on with: {resuming(plan.folder, *plan.again)}", 128 + record.stop.signal
            )
        if not main:
            return {}
        if trainer.global_step < steps and record.verdict.event is None:
            print(f"ended after {trainer.global_step} of {steps} updates, as {_who(plan)} asked", flush=True)
        record.phase = "the evaluation"
        summary = _finish(plan, record, bad_images, trainer, time.perf_counter() - before)
    if wandb is not None:
        wandb.finish(summary)
    return summary


def _who(plan: Plan) -> str:
    """What may have ended a run before its last update."""
    limited, added = "max_time" in plan.machine.options, bool(plan.callbacks)
    return " or ".join(["trainer.max_time"] * limited + ["a callback"] * (added or not limited))


def _smaller(plan: Plan, record: Record) -> str:
    """Advice on what to make smaller after memory ran out."""
    if record.phase == "training":
        return (
            f"give a smaller data.batch than {plan.data.batch}, or a smaller data.crop than {plan.data.crop}"
        )
    return f"{record.phase} takes validation images as a whole; give smaller ones, data.val_root=FOLDER"


def _whence(plan: Plan, steps: int) -> tuple[Path | None, int]:
    """Checkpoint and update from which a run resumes; the update may be the last one."""
    folder = plan.folder
    if not has_checkpoint(folder):
        print(f"{folder}: stopped before its first checkpoint; begins again", file=sys.stderr)
        return None, 0
    checkpoint, content = open_checkpoint(folder, lambda found: check(found, plan.module, ["Record"]))
    start = content["global_step"]
    if start > steps or (start == steps and _ended(folder, start)):
        raise InputError(
            f"{folder}: the run has its {start} updates; to continue give steps=N with N > {start}"
        )
    return checkpoint, start


def _ended(folder: Path, steps: int) -> bool:
    """Whether the folder has the summary of a run of this many updates."""
    try:
        return json.loads((folder / "summary.json").read_bytes())["steps"] >= steps
    except (OSError, ValueError, LookupError, TypeError):  # none, or damaged: it will be written again
        return False


def _trainer(plan: Plan, steps: int, progress: Progress) -> L.Trainer:
    machine = plan.machine
    strategy: Any = "auto"
    devices, nodes = machine.devices or 1, 1
    gpu = machine.accelerator != "cpu" and torch.cuda.is_available()
    if machine.ddp or devices > 1:
        strategy = ReplicatedStrategy()
        started, nodes = placement()
        devices = machine.devices or started or (torch.cuda.device_count() if gpu else 1)
    if machine.accelerator == "gpu" and not torch.cuda.is_available():
        raise InputError("trainer=gpu: torch sees no GPU here; use trainer=cpu or trainer=auto")
    if gpu and devices > torch.cuda.device_count():
        raise InputError(f"devices={devices}: this machine has {torch.cuda.device_count()} GPUs")
    options = {"enable_model_summary": False, **machine.options}
    try:
        return L.Trainer(
            accelerator="gpu" if gpu else "cpu", devices=devices, num_nodes=nodes, strategy=strategy,
            precision=LIGHTNING[resolve(machine.precision, gpu)],  # type: ignore[arg-type]
            max_steps=steps, max_epochs=-1, plugins=[AtomicCheckpointIO()], use_distributed_sampler=False,
            logger=list(plan.loggers) or False, log_every_n_steps=plan.module.training_plan.log_every,
            enable_checkpointing=False, enable_progress_bar=False, callbacks=[progress],
            default_root_dir=plan.folder, limit_val_batches=0, num_sanity_val_steps=0,
            val_check_interval=plan.often.val, check_val_every_n_epoch=None, **options,
        )  # fmt: skip
    except MisconfigurationException as problem:  # of max_time, which Lightning parses
        raise InputError(f"trainer: {' '.join(str(problem).split())}") from None


def _finish(
    plan: Plan, record: Record, bad_images: BadImages, trainer: L.Trainer, seconds: float
) -> dict[str, Any]:
    module, rows = plan.module, record.table.rows()
    judged = record.verdict.judge()
    summary: dict[str, Any] = {
        "steps": trainer.global_step,
        "verdict": judged.name,
        "verdict_step": judged.step,
        "verdict_reason": judged.reason,
    }
    summary["precision"] = {name: key for key, name in LIGHTNING.items()}[trainer.precision]
    numbers: dict[str, Any] = dict.fromkeys(("psnr", "ms_ssim", "swd", "bpp", "bpp_actual"))
    try:
        codec = coding_copy(module.codec, module.average)
        if record.reals is not None:
            final = record.final or evaluate_samples(cast(DCGAN, codec), record.reals)
            numbers |= final.values
        else:
            final = record.final or evaluate(codec, plan.data.val_images(), module.device)
            result = with_files(codec, final, module.device)
            numbers |= result.values | against_jpeg(result)
            package.save_of_run(codec, plan.folder, {"run": plan.folder.name, "steps": trainer.global_step})
    except FloatingPointError:
        pass  # a diverged codec has nothing to show: its numbers are null
    bad_images.tell()
    summary["bad_images"] = bad_images.count
    parameters = sum(p.numel() for p in module.game.generator.parameters())
    summary |= numbers | {"parameters": parameters, "seconds": seconds, "indicators": judged.indicators}
    if record.changes:
        summary["changes"] = record.changes
    summary["environment"] = environment()
    summary["folder"] = str(plan.folder)
    write_summary(plan.folder / "summary.json", summary)
    terminal.info("verdict %s at step %s: %s", judged.name, judged.step, judged.reason)
    curves(plan.folder / "curves.png", rows, judged)
    return summary
