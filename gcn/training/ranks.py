"""Training in several processes, started by one command; the game itself averages over them."""

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from typing import IO, Any

import torch
import torch.distributed as dist
from lightning.fabric.plugins.environments import ClusterEnvironment, SLURMEnvironment
from lightning.fabric.strategies.launchers.subprocess_script import _basic_subprocess_cmd
from lightning.pytorch.strategies import DDPStrategy
from lightning.pytorch.strategies.launchers.subprocess_script import _SubprocessScriptLauncher

from gcn.cli.invocation import program, starting
from gcn.errors import InputError
from gcn.game.game import Game
from gcn.models.discriminator import MinibatchStd
from gcn.models.minibatch_discrimination import MinibatchDiscrimination

PATIENCE = 10.0  # seconds from the end of one process to the end of the others
TAIL = 40  # lines shown of what a failed process wrote


class ReplicatedStrategy(DDPStrategy):
    """Lightning's process group, without DDP's reducer.

    The reducer hooks ``backward()``; it neither sees ``autograd.grad`` nor could it average inside the graph,
    which norms of global gradients need. :mod:`gcn.game.reduction` averages instead.
    """

    def configure_ddp(self) -> None:
        """Does not wrap the module in DDP."""

    def _register_ddp_hooks(self) -> None:
        pass

    def pre_backward(self, closure_loss: Any) -> None:
        """Does nothing: there is no reducer."""

    def _configure_launcher(self) -> None:
        assert self.cluster_environment is not None
        self._launcher = Launcher(self.cluster_environment, self.num_processes, self.num_nodes)


class Launcher(_SubprocessScriptLauncher):
    """Starts this command once more for each further process, and ends all of them if one fails.

    Lightning's own launcher puts words of its own into a Hydra command, kills a run without a word when a
    child has failed, and keeps the group of processes together after the training, where the first one, going
    on alone, would wait for the others for ever. What children write is kept, and shown if one of them fails.
    """

    def __init__(self, cluster_environment: ClusterEnvironment, num_processes: int, num_nodes: int) -> None:
        super().__init__(cluster_environment, num_processes, num_nodes)
        self.outputs: list[IO[bytes]] = []

    def launch(self, function: Callable, *args: Any, trainer: Any = None, **kwargs: Any) -> Any:
        """Start the other processes unless torchrun or srun did, and call ``function`` in this one.

        Raises:
            InputError: bad input that another process found.
            SystemExit: another process failed, and its last words have been printed.
        """
        try:
            self.cluster_environment.validate_settings(self.num_processes, self.num_nodes)
        except ValueError as problem:
            raise InputError(f"devices={self.num_processes}: {problem}") from None
        if not self.cluster_environment.creates_processes_externally:
            self._start()
        over = threading.Event()
        threading.Thread(target=self._watch, args=(over,), daemon=True).start()
        try:
            result = function(*args, **kwargs)
        except InputError:
            self._kill()
            raise
        except Exception:
            failure = self._failure(PATIENCE)  # a lost connection is not the reason
            self._kill()
            if isinstance(failure, InputError):
                raise failure from None
            if failure is not None:
                print(f"error: {failure}", file=sys.stderr)
                raise SystemExit(1) from None
            raise
        finally:
            over.set()
        if dist.is_initialized():
            dist.destroy_process_group()
        return result

    def _start(self) -> None:
        environment = self.cluster_environment
        shared = {
            "MASTER_ADDR": environment.main_address,
            "MASTER_PORT": str(environment.main_port),
            "NODE_RANK": str(environment.node_rank()),
            "WORLD_SIZE": str(self.num_processes * self.num_nodes),
        }
        self.outputs = [tempfile.TemporaryFile() for _ in range(1, self.num_processes)]  # noqa: SIM115
        self.procs = [
            subprocess.Popen(
                [*starting("train"), *sys.argv[1:]] if program() else _basic_subprocess_cmd(),
                env=os.environ | shared | {"LOCAL_RANK": str(rank)},
                stdout=output,
                stderr=subprocess.STDOUT,
            )
            for rank, output in enumerate(self.outputs, start=1)
        ]

    def _failure(self, patience: float = 0.0) -> Exception | None:
        """Reason of a child's failure, for which this waits up to ``patience`` seconds."""
        end = time.monotonic() + patience
        while True:
            for rank, (process, output) in enumerate(zip(self.procs, self.outputs, strict=True), start=1):
                if process.poll():
                    return _failure(f"process {rank} of {self.num_processes}", process.returncode, output)
            if not self.procs or time.monotonic() >= end:
                return None
            time.sleep(0.1)

    def _watch(self, over: threading.Event) -> None:
        """End this process if another has failed and this one waits for it without noticing."""
        while not over.wait(0.5):
            failure = self._failure()
            if failure is not None and not over.wait(PATIENCE):
                print(f"error: {failure}", file=sys.stderr, flush=True)
                self._kill()
                os._exit(2 if isinstance(failure, InputError) else 1)

    def _kill(self) -> None:
        for process in self.procs:
            process.kill()


def _failure(name: str, status: int, output: IO[bytes]) -> Exception:
    output.seek(0)
    lines = output.read().decode(errors="replace").splitlines()
    complaints = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    if status == 2 and complaints:
        return InputError(complaints[-1])
    how = f"ended with status {status}" if status > 0 else f"was killed by signal {-status}"
    return RuntimeError("\n".join([f"{name} {how}; its last words:", *lines[-TAIL:]]))


def placement() -> tuple[int | None, int]:
    """Number of processes on each machine and of machines, as torchrun or srun started them; else (None, 1)."""
    if "LOCAL_WORLD_SIZE" in os.environ:
        each = int(os.environ["LOCAL_WORLD_SIZE"])
        return each, int(os.environ["WORLD_SIZE"]) // each
    if SLURMEnvironment.detect():
        machines = int(os.environ.get("SLURM_NNODES", "1"))
        return int(os.environ["SLURM_NTASKS"]) // machines, machines
    return None, 1


def threads_each(processes: int) -> int | None:
    """CPU threads for each of several processes on a machine; None leaves the number unchanged."""
    if processes == 1 or "OMP_NUM_THREADS" in os.environ:
        return None
    return max(1, (os.cpu_count() or 1) // processes)


def check_ranks(game: Game, world: int) -> None:
    """Raise :class:`gcn.errors.InputError` if a game cannot be spread over ``world`` processes."""
    layers = [] if game.discriminator is None else list(game.discriminator.modules())
    if world > 1 and any(isinstance(layer, MinibatchStd) for layer in layers):
        raise InputError(
            f"discriminator.minibatch_std=true with {world} processes: each would compute the standard deviation of "
            "its own part of the batch; use discriminator.minibatch_std=false, or one process"
        )
    for layer in layers:
        if world > 1 and isinstance(layer, MinibatchDiscrimination):
            raise InputError(
                f"discriminator.minibatch_discrimination={layer.kernels} with {world} processes: each would compare "
                "images of its own part of the batch; use discriminator.minibatch_discrimination=null, or one process"
            )
    if world > 1 and any(isinstance(layer, torch.nn.modules.batchnorm._BatchNorm) for layer in layers):
        raise InputError(
            f"discriminator.norm=batch with {world} processes: each would normalise with the statistics of "
            "its own part of the batch; use discriminator.norm=none or instance"
        )
