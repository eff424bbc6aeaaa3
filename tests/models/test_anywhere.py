"""A file decodes to the same latents whatever decodes it: threads, layouts, precision, processor, process."""

import os
import subprocess
import sys

import pytest
import torch

from gcn.codec.container import parse, write
from gcn.models import package

NAMES = ("tiny", "factorized", "hyperprior", "hific", "mbt2018", "bmshj2018")
IMAGES = 100


def image(number):
    """Smooth with noise, from 8 to 90 pixels a side."""
    generator = torch.Generator().manual_seed(number)
    height, width = (int(torch.randint(8, 91, (1,), generator=generator)) for _ in range(2))
    coarse = torch.rand(1, 3, 4, 4, generator=generator)
    smooth = torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear")
    return (smooth + 0.1 * torch.randn(1, 3, height, width, generator=generator)).clamp(0, 1)


@pytest.fixture(scope="module", params=NAMES)
def written(request, spread_generator):
    """A codec, its files of 100 images and their latents, made with one thread in the default layout."""
    wide = {"hyper": 16} if request.param == "hific" else {"N": 16}
    codec = spread_generator(request.param, 2.0, M=12, **wide).for_coding()
    files = [write(codec, image(number)) for number in range(IMAGES)]
    return codec, files, [codec.latents(parse(data).coded) for data in files]


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
import sys
from pathlib import Path
from gcn.codec.container import parse
from gcn.models import package
codec = package.load(Path(sys.argv[1]))
for file in sorted(Path(sys.argv[2]).glob("*.gcn")):
    codec.latents(parse(file.read_bytes()).coded)  # raises where the symbols' checksum differs
    print(file.name)
"""
PROCESSORS = {
    "no vector units": {
        "ATEN_CPU_CAPABILITY": "default",
        "DNNL_MAX_CPU_ISA": "SSE41",
        "MKL_CBWR": "COMPATIBLE",
    },
    "avx2, three threads": {
        "ATEN_CPU_CAPABILITY": "avx2",
        "DNNL_MAX_CPU_ISA": "AVX2",
        "MKL_CBWR": "AVX2",
        "OMP_NUM_THREADS": "3",
        "MKL_NUM_THREADS": "3",
    },
}


@pytest.mark.slow
@pytest.mark.parametrize("processor", PROCESSORS)
@pytest.mark.parametrize("written", ["hyperprior", "hific"], indirect=True)
def test_another_process_on_a_lesser_processor(written, processor, tmp_path):
    """With the two kinds of h_s: hific's has the layers of the other published codecs."""
    codec, files, _ = written
    package.save(codec, tmp_path / "model.safetensors", {})
    for number, data in enumerate(files):
        (tmp_path / f"{number:03}.gcn").write_bytes(data)
    command = [sys.executable, "-c", DECODE, str(tmp_path / "model.safetensors"), str(tmp_path)]
    environment = os.environ | PROCESSORS[processor]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.split()) == IMAGES
