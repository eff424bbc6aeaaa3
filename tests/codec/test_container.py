import struct
import zlib

import pytest
import torch

from gcn.codec.container import CHECKSUM, HEADER, model_id, read, write
from gcn.errors import InputError
from gcn.models.factorized import Factorized


class Coder:
    """Stores the image itself: the container asks nothing else of a codec."""

    def __init__(self, weight=1.0):
        self.weight = weight

    def state_dict(self):
        return {"weight": torch.tensor(self.weight), "tables": torch.zeros(0, 3, dtype=torch.int32)}

    def compress(self, x):
        data = (x[0] * 255).round().to(torch.uint8).numpy().tobytes()
        return (data, b"side"), *x.shape[-2:]

    def decompress(self, stream):
        (data, side), height, width = stream
        assert side == b"side"
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
    assert len(data) == 3 * 5 * 7 + len(b"side") + 29


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
    assert len(data) == len(codec.compress(x).strings[0]) + 25


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


def test_another_model_is_refused(x):
    with pytest.raises(InputError, match=model_id(Coder(1.0)).hex()):
        read(Coder(2.0), write(Coder(1.0), x))


def test_the_model_id_depends_on_names_shapes_types_and_values():
    class Weights(Coder):
        def __init__(self, **weights):
            self.weights = weights

        def state_dict(self):
            return self.weights

    zeros = torch.zeros(2, 3)
    same = [
        model_id(Weights(a=zeros)),
        model_id(Weights(a=zeros.clone())),
        model_id(Weights(a=zeros.t().clone().t())),
    ]
    others = [
        model_id(Weights(b=zeros)),
        model_id(Weights(a=zeros.reshape(3, 2))),
        model_id(Weights(a=zeros.int())),
        model_id(Weights(a=zeros + 1)),
    ]
    assert len(set(same)) == 1
    assert len({same[0], *others}) == 5


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"magic": b"PNG"}, "GCN"),
        ({"version": 9}, "version 9"),
        ({"height": 0}, "pixels"),
        ({"height": 65535, "width": 65535}, "pixels"),
        ({"count": 1}, "fill"),
        ({"count": 255}, "longer"),
    ],
)
def test_forged_headers_are_refused(x, change, said):
    data = write(Coder(), x)
    names = ("magic", "version", "model", "height", "width", "count")
    fields = dict(zip(names, HEADER.unpack_from(data), strict=True)) | change
    with pytest.raises(InputError, match=said):
        read(Coder(), signed(HEADER.pack(*fields.values()) + data[HEADER.size : -CHECKSUM.size]))


def test_forged_lengths_are_refused(x):
    data = bytearray(write(Coder(), x))
    struct.pack_into("<I", data, HEADER.size, 2**32 - 1)
    with pytest.raises(InputError, match="fill"):
        read(Coder(), signed(bytes(data[: -CHECKSUM.size])))


def test_an_image_too_large_for_the_format_is_refused():
    with pytest.raises(InputError, match="70000x1"):
        write(Coder(), torch.zeros(1, 3, 1, 70000))
