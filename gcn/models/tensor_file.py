"""Safetensors files written one tensor after the other.

The library's own functions want all tensors contiguous at once, and one of them all bytes as well: for a network whose
weights have another layout, as after training, that is two or three copies of it.
"""

import json
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

# In the order of the library's files: larger numbers first, so that all are aligned.
_TYPES = {
    torch.int64: "I64",
    torch.float32: "F32",
    torch.int32: "I32",
    torch.float16: "F16",
    torch.bool: "BOOL",
}


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write the bytes that ``safetensors.torch.save`` would give, with the memory of one tensor.

    Args:
        path: of the file, which is replaced; see :func:`gcn.files.atomic.replacing`.
        tensors: by name, of any layout and on any device: float32, float16, int32, int64 or bool.
        metadata: texts in the header.

    Raises:
        OSError: the file cannot be written.
        ValueError: a tensor has another type.
    """
    types = list(_TYPES)
    order = sorted(tensors, key=lambda name: (types.index(tensors[name].dtype), name))
    header: dict[str, object] = {"__metadata__": dict(metadata)}
    end = 0
    for name in order:
        value = tensors[name]
        begin, end = end, end + value.itemsize * math.prod(value.shape)
        header[name] = {
            "dtype": _TYPES[value.dtype],
            "shape": list(value.shape),
            "data_offsets": [begin, end],
        }
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little"))
        file.write(text)
        for name in order:
            array = tensors[name].detach().cpu().numpy()
            file.write(np.ascontiguousarray(array, array.dtype.newbyteorder("<")).data)
