import zlib

import pytest
import torch

from gcn.codec.container import CHECKSUM, GREY, HEADER, OVERHEAD, parse, read, write
from gcn.errors import InputError
from gcn.models.factorized import Factorized


class Coder:
    """Stores the image itself: the container asks nothing else of a codec."""

    def __init__(self, latents=b"lats", picture=b"pict"):
        self.latents_id, self.picture_id = latents, picture

    def compress(self, x):
        data = (x[0] * 255).round().to(torch.uint8).numpy().tobytes()
        return data, *x.shape[-2:], zlib.crc32(data)

    def decompress(self, coded):
        data, height, width, checksum = coded
        assert zlib.crc32(data) == checksum
        return torch.frombuffer(bytearray(data), dtype=torch.uint8).reshape(1, 3, height, width) / 255


@pytest.fixture
def x():
    return torch.randint(0, 256, (1, 3, 5, 7), generator=torch.Generator().manual_seed(0)) / 255


def signed(body):
    """A file with a checksum that fits."""
    return body + CHECKSUM.pack(zlib.crc32(body))


def test_round_trip(x):
    data = write(Coder(), x)
    assert torch.equal(read(Coder(), data), x)
    assert len(data) == 3 * 5 * 7 + OVERHEAD
    assert OVERHEAD == 25


def test_a_real_codec():
    torch.manual_seed(0)
    codec = Factorized(
        N=8,
        M=6,
        kernel=5,
        activation="gdn",
        residual=0,
        upsampling="transposed",
        quantisation="noise",
        init_scale=2.0,
        speed=10.0,
        gain=8.0,
    ).for_coding()
    x = torch.rand(1, 3, 33, 18)
    data = write(codec, x)
    assert torch.equal(read(codec, data), codec.reconstruct(x).x_hat.clamp(0, 1))
    assert len(data) == len(codec.compress(x).stream) + OVERHEAD
    assert parse(data).coded == codec.compress(x)


def test_grey_is_noted(x):
    assert parse(write(Coder(), x, grey=True)).grey
    assert not parse(write(Coder(), x)).grey


def test_every_truncation_is_refused(x):
    data = write(Coder(), x)
    for length in range(len(data)):
        with pytest.raises(InputError):
            read(Coder(), data[:length])
    with pytest.raises(InputError, match="damaged"):
        read(Coder(), data + b"\0")


def test_every_flipped_bit_is_refused(x):
    data = write(Coder(), x)
    for position in range(len(data) * 8):
        broken = bytearray(data)
        broken[position // 8] ^= 1 << position % 8
        with pytest.raises(InputError):
            read(Coder(), bytes(broken))


def test_a_file_needs_the_model_of_its_latents(x):
    data = write(Coder(b"aaaa"), x)
    with pytest.raises(InputError, match=b"aaaa".hex()):
        read(Coder(b"bbbb"), data)


def test_another_picture_network_may_draw_the_image(x):
    data = write(Coder(picture=b"aaaa"), x)
    assert parse(data).picture_id == b"aaaa"
    assert torch.equal(read(Coder(picture=b"bbbb"), data), x)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"magic": b"PNG"}, "GCN"),
        ({"version": 9}, "version 9"),
        ({"flags": 2 | GREY}, "flags 3"),
        ({"height": 0}, "pixels"),
        ({"height": 65535, "width": 65535}, "pixels"),
    ],
)
def test_forged_headers_are_refused(x, change, said):
    data = write(Coder(), x)
    names = ("magic", "version", "flags", "latents", "picture", "height", "width")
    fields = dict(zip(names, HEADER.unpack_from(data), strict=True)) | change
    with pytest.raises(InputError, match=said):
        read(Coder(), signed(HEADER.pack(*fields.values()) + data[HEADER.size : -CHECKSUM.size]))


def test_an_image_too_large_for_the_format_is_refused():
    with pytest.raises(InputError, match="70000x1"):
        write(Coder(), torch.zeros(1, 3, 1, 70000))


@pytest.mark.parametrize("size", [(65536, 1), (1, 65536)])
def test_a_side_beyond_two_bytes_is_refused(size):
    with pytest.raises(InputError, match="65536"):
        write(Coder(), torch.zeros(1, 3, *size))
    read(Coder(), write(Coder(), torch.zeros(1, 3, *(min(side, 65535) for side in size))))
