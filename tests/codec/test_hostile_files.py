"""Damaged and forged files: one clear error, never a crash, a hang, a wrong image or gigabytes."""

import random
import zlib
from pathlib import Path

import pytest
import torch
from generators import build, spread
from processes import Forked

from gcn.codec.container import CHECKSUM, HEADER, OVERHEAD, parse, read, write
from gcn.errors import InputError

NAMES = ("tiny", "hyperprior")
STATUS = Path("/proc/self/status")


def image(height, width, seed):
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 3, 3, 3, generator=generator)
    return torch.nn.functional.interpolate(coarse, (height, width), mode="bicubic").clamp(0, 1)


@pytest.fixture(scope="module", params=NAMES)
def case(request, spread_generator):
    """A codec, and files of images of several sizes."""
    codec = spread_generator(request.param, N=4, M=4).for_coding()
    sizes = ((1, 1), (16, 40), (70, 33), (96, 96))
    return codec, [write(codec, image(*size, seed)) for seed, size in enumerate(sizes)]


def signed(data):
    """The same bytes with a last checksum that fits, as a forger would make it."""
    return data[: -CHECKSUM.size] + CHECKSUM.pack(zlib.crc32(data[: -CHECKSUM.size]))


def flipped(data, chance):
    position = chance.randrange(len(data) * 8)
    broken = bytearray(data)
    broken[position // 8] ^= 1 << position % 8
    return bytes(broken)


def truncated(data, chance):
    return data[: chance.randrange(len(data))]


def extended(data, chance):
    return data + chance.randbytes(chance.randrange(1, 50))


def overwritten(data, chance):
    start = chance.randrange(len(data))
    return data[:start] + chance.randbytes(chance.randrange(1, 20)) + data[start + chance.randrange(20) :]


def noise(data, chance):
    return chance.choice((b"", b"GCN", data[: HEADER.size])) + chance.randbytes(chance.randrange(200))


def resized(data, chance):
    fields = list(HEADER.unpack_from(data))
    fields[5 + chance.randrange(2)] = chance.choice((0, 1, 16, 17, 1000, 10_000, 65535))
    return HEADER.pack(*fields) + data[HEADER.size :]


def resized_and_padded(data, chance):
    fields = list(HEADER.unpack_from(data))
    fields[5:7] = chance.randrange(1, 700), chance.randrange(1, 700)
    return HEADER.pack(*fields) + chance.randbytes(4 * chance.randrange(1, 2000)) + data[-CHECKSUM.size :]


MUTATIONS = (flipped, truncated, extended, overwritten, noise, resized, resized_and_padded)


def attack(case, numbers):
    codec, files = case
    refused = 0
    for i in numbers:
        chance = random.Random(i)
        data = files[i % len(files)]
        mutant = MUTATIONS[i // 2 % len(MUTATIONS)](data, chance)
        if i % 2 and len(mutant) >= OVERHEAD:
            mutant = signed(mutant)
        if mutant in files:
            continue
        with pytest.raises(InputError) as error:
            read(codec, mutant)
        assert "\n" not in str(error.value)
        refused += 1
    return refused


def test_1_500_mutants_of_each_codec_are_refused(case):
    assert attack(case, range(1_500)) > 1_420


def test_a_forger_who_fits_every_checksum_gets_an_image_of_his_own(case):
    """Such a file is what an encoder might have written: it decodes, to what its symbols say."""
    codec, files = case
    file = parse(files[2])
    stream, height, width, symbols = file.coded
    forged = bytes([stream[0] ^ 1]) + stream[1:]
    with pytest.raises(InputError):
        codec.decompress((forged, height, width, symbols))


def _reads_claims_of_large_images():
    for name in NAMES:
        codec = spread(build(name), 4.0).for_coding()
        data = write(codec, torch.rand(1, 3, 16, 16))
        fields = list(HEADER.unpack_from(data))
        claims = (10_000, 10_000, b""), (65535, 1500, b"\1\2\3\4" * 100), (9_999, 9_999, b"\7" * 2_000_000)
        for height, width, stream in claims:
            fields[5:7] = height, width
            body = HEADER.pack(*fields) + b"\1\2\3\4" + stream
            try:
                read(codec, body + CHECKSUM.pack(zlib.crc32(body)))
            except InputError as error:
                print(error)
    print(STATUS.read_text().split("VmHWM:")[1].split()[0])  # getrusage would count what its parent had


@pytest.mark.slow
@pytest.mark.skipif(not STATUS.exists(), reason="reads the peak memory from Linux")
def test_a_claimed_size_costs_no_memory():
    process = Forked(_reads_claims_of_large_images)
    said, problems = process.communicate(300)
    assert process.returncode == 0, problems
    *errors, peak = said.splitlines()
    assert len(errors) == 3 * len(NAMES)
    assert int(peak) < 1024 * 1024  # KiB, torch and all
