"""Training does without torchmetrics as a whole and without torch's compiler; who uses them finds them as ever."""

import subprocess
import sys

import imported
from processes import Forked


def train_and_use_the_rest(group):
    """In a process that has imported training, and little else."""
    import torch

    layer = torch.nn.Linear(2, 2)
    optimizer = torch.optim.Adam(layer.parameters())
    x = torch.ones(1, 2)
    layer(x).sum().backward()
    optimizer.step()
    optimizer.load_state_dict(optimizer.state_dict())
    torch.distributed.init_process_group("gloo", init_method=f"file://{group}", rank=0, world_size=1)
    assert "gcn.training.module" in imported.NAMES
    assert "matplotlib" not in imported.NAMES
    for name in ("torchvision", "scipy", "triton", "torchmetrics.functional"):
        assert name not in sys.modules, name
    from lightning.pytorch.utilities.compile import OptimizedModule

    assert not isinstance(layer, OptimizedModule)
    from torchvision.models import squeezenet1_1  # noqa: F401
    from torchvision.ops.roi_align import is_compile_supported

    for name in ("torch._dynamo.convert_frame", "sympy"):
        assert name not in sys.modules, name

    import torch._dynamo.utils as imported_first

    assert sys.modules["torch._dynamo"].utils is imported_first
    assert imported_first.__spec__.name == "torch._dynamo.utils"
    assert imported_first.__spec__.origin == imported_first.__file__
    compiled = torch.compile(layer, backend="eager")
    assert isinstance(compiled, OptimizedModule)
    assert is_compile_supported("cpu")
    assert torch.equal(compiled(x), layer(x))
    assert torch._dynamo.trace_rules is sys.modules["torch._dynamo.trace_rules"]
    optimizer.step()

    from lightning.pytorch.utilities.model_summary import model_summary

    with model_summary.FlopCounterMode(display=False) as counter:
        layer(x)
    assert counter.get_total_flops() == 8
    assert isinstance(counter, torch.utils.flop_counter.FlopCounterMode)

    import torchmetrics
    from lightning.pytorch.utilities.types import Metric

    assert issubclass(torchmetrics.MeanMetric, Metric)
    assert torchmetrics.__spec__.name == "torchmetrics"
    assert torchmetrics.functional.accuracy
    metric = torchmetrics.MeanMetric()
    metric.update(1.0)
    figure, axes = metric.plot()
    assert axes is figure.axes[0]


def test_what_training_does_not_use_is_imported_at_its_first_use(tmp_path):
    done = Forked(train_and_use_the_rest, tmp_path / "group")
    said = done.communicate(timeout=600)
    assert done.returncode == 0, said[1]


def test_a_library_leaves_imports_alone():
    program = (
        "import sys; old = list(sys.meta_path); import gcn.training, gcn.config; assert sys.meta_path == old"
    )
    done = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
