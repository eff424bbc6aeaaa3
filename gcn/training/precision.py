"""The arithmetic (fp32 or bf16) that suits a machine."""

import torch

LIGHTNING = {"32": "32-true", "bf16": "bf16-mixed"}


def resolve(precision: str, on_gpu: bool) -> str:
    """``32`` or ``bf16``; ``auto`` is bf16 where the hardware multiplies it natively, and 32 elsewhere.

    bf16 is emulated on other processors and slower than fp32 there. Only the networks' layers use it: weights,
    optimizer, entropy model, losses and penalties stay in fp32.
    """
    if precision != "auto":
        return precision
    if on_gpu:
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "32"
    native = any(
        getattr(torch.cpu, name, bool)() for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    )
    return "bf16" if native else "32"
