"""A file decodes to the same latents whatever decodes it: threads, layouts, precision, processor, process.

For published weights stand slim copies of the three networks with random numbers, imported from a file of the published
layout: 12 latent channels and 16 of the hyper-latents instead of 220 and 320 (hific), 192 and 128 (the others).
"""

import os
import subprocess
import sys
import zlib
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import torch
from generators import build, spread
from processes import script

from gcn.codec.container import parse, write
from gcn.models import package

sys.path.insert(0, str(Path(__file__).parent / "published"))
from synthetic import compressai, hific

NAMES = ("tiny", "factorized", "hyperprior", "hific", "mbt2018", "bmshj2018")
IMAGES = 12
PUBLISHED = {  # state dicts, and the layers whose factors decide how many different symbols there are
    "hific": (lambda: hific(4, 12, 16, 1), ("encoder.blocks.5.weight", "hyper_analysis.4.weight")),
    "mbt2018": (lambda: compressai("mbt2018-mean", 16, 12), ("g_a.6.weight", "h_a.4.weight")),
    "bmshj2018": (lambda: compressai("bmshj2018-hyperprior", 16, 12), ("g_a.6.weight", "h_a.4.weight")),
}


def image(number):
    """Smooth with noise, from 8 to 90 pixels a side."""
    generator = torch.Generator().manual_seed(number)
    height, width = (int(torch.randint(8, 91, (1,), generator=generator)) for _ in range(2))
    coarse = torch.rand(1, 3, 4, 4, generator=generator)
    smooth = torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear")
    return (smooth + 0.1 * torch.randn(1, 3, height, width, generator=generator)).clamp(0, 1)


def imported(name, folder):
    """The codec of a file with random numbers in the published layout, through ``gcn convert``."""
    from gcn.commands.convert import main

    make, layers = PUBLISHED[name]
    state = make()
    for layer in layers:
        state[layer] *= 20  # else nearly all symbols are 0
    torch.save(state, folder / f"{name}.pth")
    out = folder / f"{name}.safetensors"
    licence = ["accept_license=CC-BY-NC-4.0"] * (name == "hific")
    assert main([str(folder / f"{name}.pth"), f"out={out}", *licence]) == 0
    return package.load(out)


@cache
def made(name):
    """A codec, its files of all images and their latents, made with one thread in the default layout."""
    if name in PUBLISHED:
        with TemporaryDirectory() as folder:
            codec = imported(name, Path(folder))
    else:
        codec = spread(build(name, M=12, N=16), 2.0).for_coding()
    files = [write(codec, image(number)) for number in range(IMAGES)]
    latents = decoded(codec, files)
    assert torch.cat([y_hat.flatten() for y_hat in latents]).round().unique().numel() > 10
    return codec, files, latents


@pytest.fixture(scope="module", params=NAMES)
def written(request):
    """A codec, its files and their latents."""
    return made(request.param)


@pytest.fixture
def threads():
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def decoded(codec, files):
    return [codec.latents(parse(data).coded) for data in files]


def test_another_number_of_threads(written, threads):
    codec, files, latents = written
    threads(4)
    assert all(map(torch.equal, decoded(codec, files), latents))


def test_channels_last(written):
    codec, files, latents = written
    codec.to(memory_format=torch.channels_last)
    assert all(map(torch.equal, decoded(codec, files), latents))


def test_lower_precision_elsewhere(written):
    codec, files, latents = written
    torch.set_float32_matmul_precision("medium")
    with torch.autocast("cpu", torch.bfloat16):
        found = decoded(codec, files)
    torch.set_float32_matmul_precision("highest")
    assert all(map(torch.equal, found, latents))


def test_without_onednn(written):
    codec, files, latents = written
    with torch.backends.mkldnn.flags(enabled=False):
        found = decoded(codec, files)
    assert all(map(torch.equal, found, latents))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu(written):
    codec, files, latents = written
    found = [y_hat.cpu() for y_hat in decoded(codec.cuda(), files)]
    codec.cpu()
    assert all(map(torch.equal, found, latents))


def test_the_hyper_synthesis_of_a_batch_is_that_of_its_images(spread_generator):
    codec = spread_generator("hyperprior", 2.0).for_coding()
    y = torch.cat([codec.analyse(image(number)[..., :8, :8]) for number in range(IMAGES)])
    together = codec.quantise(y).y_hat
    assert all(
        torch.equal(codec.quantise(one[None]).y_hat[0], both) for one, both in zip(y, together, strict=True)
    )


DECODE = """
import sys, zlib
from pathlib import Path
import torch
from gcn.codec.container import parse
from gcn.models import package
torch.set_num_threads(int(sys.argv[1]))
for folder in map(Path, sys.argv[2:]):
    codec = package.load(folder / "model.safetensors")
    for file in sorted(folder.glob("*.gcn")):
        print(zlib.crc32(codec.latents(parse(file.read_bytes()).coded).numpy()))
print(torch.backends.cpu.get_cpu_capability())
"""
LIGHT = (
    'assert not {"sympy", "torch._dynamo"} & set(sys.modules)  # 2 seconds, which no part of decoding needs'
)
NO_VECTORS = {"ATEN_CPU_CAPABILITY": "default", "DNNL_MAX_CPU_ISA": "SSE41", "MKL_CBWR": "COMPATIBLE"}
AVX2 = {"ATEN_CPU_CAPABILITY": "avx2", "DNNL_MAX_CPU_ISA": "AVX2", "MKL_CBWR": "AVX2"}


KINDS = ("hyperprior", "hific")


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A model and its files for each kind of h_s: hific's has the layers of the other published codecs."""
    found = []
    for name in KINDS:
        codec, files, _ = made(name)
        found.append(tmp_path_factory.mktemp(name))
        package.save(codec, found[-1] / "model.safetensors", {})
        for number, data in enumerate(files):
            (found[-1] / f"{number:03}.gcn").write_bytes(data)
    return found


@pytest.fixture(scope="module")
def checksums():
    """Checksums of the latents of all these files, as what a process prints."""
    return [str(zlib.crc32(y_hat.numpy())) for name in KINDS for y_hat in made(name)[2]]


@pytest.mark.slow
def test_a_process_without_vector_units(folders, checksums):
    command = [sys.executable, "-c", DECODE + LIGHT, "1", *map(str, folders)]
    environment = os.environ | NO_VECTORS
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    *found, capability = done.stdout.split()
    assert found == checksums
    assert capability == "DEFAULT"


@pytest.mark.slow
def test_a_process_of_three_threads_on_a_processor_with_avx2(folders, checksums, tmp_path):
    (tmp_path / "decode.py").write_text(DECODE)
    process = script(tmp_path / "decode.py", ["3", *map(str, folders)], environment=AVX2)
    said, problems = process.communicate(300)
    assert process.returncode == 0, problems
    *found, capability = said.split()
    assert found == checksums
    assert capability == "AVX2" or not torch.backends.cpu.get_cpu_capability().startswith("AVX")
