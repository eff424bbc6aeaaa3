"""Workers of a study that run the lab's command in their own process, where an arm would start one."""

import contextlib
import io
import subprocess
from types import SimpleNamespace

from processes import forking

from gcn.cli.invocation import starting
from gcn.commands.program import run as call
from gcn.study import lab_arm


class LabInside:
    """Context of forked workers that run the lab's command inside of themselves, without a process for each arm."""

    Pipe = staticmethod(lambda: forking().Pipe())

    @staticmethod
    def Process(target, args, **options):
        return forking().Process(target=_with_lab_inside, args=(target, args), **options)


def inside(command, **_):
    """``subprocess.run`` for the lab's command, which it calls in this process."""
    assert command[: len(starting("lab"))] == [*starting("lab")]
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = call("lab", command[len(starting("lab")) :])
    return subprocess.CompletedProcess(command, status, out.getvalue(), err.getvalue())


def _with_lab_inside(target, args):
    lab_arm.subprocess = SimpleNamespace(run=inside)
    target(*args)
