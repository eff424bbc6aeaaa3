"""Safetensors files that are written tensor by tensor."""

import tracemalloc
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save

from gcn.models.tensor_file import write_tensors

TENSORS = {
    "weights.ä": torch.randn(3, 4, 2, 2, generator=torch.Generator().manual_seed(0)),
    "weights.b": torch.arange(5, dtype=torch.float16),
    "empty": torch.empty(0, 7),
    "number": torch.tensor(3.0),
    "flags": torch.tensor([True, False, True]),
    "counts": torch.tensor([[1, -2], [3, 2**40]]),
    "sizes": torch.arange(-2, 3, dtype=torch.int32),
}


@pytest.mark.parametrize("metadata", [{"about": 'a "text" of ü'}, {"a": ""}])
def test_the_bytes_are_those_of_the_library(tmp_path, metadata):
    write_tensors(tmp_path / "file", TENSORS, metadata)
    assert (tmp_path / "file").read_bytes() == save(TENSORS, metadata)


def test_any_layout_is_written(tmp_path):
    turned = TENSORS["weights.ä"].to(memory_format=torch.channels_last)
    assert not turned.is_contiguous()
    write_tensors(tmp_path / "file", {"a": turned, "b": turned[:, 1:]}, {})
    with safe_open(tmp_path / "file", "pt") as file:
        assert torch.equal(file.get_tensor("a"), turned)
        assert torch.equal(file.get_tensor("b"), turned[:, 1:])


def test_no_second_copy_of_a_network_is_in_memory(tmp_path):
    layers = {str(i): torch.zeros(64, 32, 3, 3).to(memory_format=torch.channels_last) for i in range(40)}
    tracemalloc.start()
    write_tensors(tmp_path / "file", layers, {})
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 3 * layers["0"].nbytes


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
def test_a_full_disk_is_an_error_of_the_file_system():
    with pytest.raises(OSError, match="No space"):
        write_tensors(Path("/dev/full"), TENSORS, {})


def test_other_types_are_refused_before_anything_is_written(tmp_path):
    with pytest.raises(ValueError, match="complex64"):
        write_tensors(tmp_path / "file", {"a": torch.zeros(1, dtype=torch.complex64)}, {})
    assert not (tmp_path / "file").exists()
