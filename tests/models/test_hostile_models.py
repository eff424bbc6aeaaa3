"""Model files of strangers: every one is refused in one line within two seconds, or is a sound model."""

import json
import math
import struct
import time

import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import save_file

from gcn.codec.container import read, write
from gcn.errors import InputError
from gcn.models import package

X = torch.rand(1, 3, 40, 33, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module", params=["tiny", "hyperprior"])
def model(request, spread_generator, tmp_path_factory):
    """Metadata and tensors of a sound model file, and a place for what is made of them."""
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    package.save(spread_generator(request.param).for_coding(), path, {})
    with safe_open(path, "pt") as file:
        return file.metadata(), {name: file.get_tensor(name) for name in file.keys()}, path  # noqa: SIM118


def made(model, metadata=None, tensors=None, **arguments):
    """A model file with changed metadata, tensors (None: without it) and arguments of the architecture."""
    own, weights, path = model
    architecture = {k: v for k, v in (json.loads(own["architecture"]) | arguments).items() if v is not GONE}
    described = own | {"architecture": json.dumps(architecture)} | (metadata or {})
    content = {name: t for name, t in (weights | (tensors or {})).items() if t is not None}
    content = {name: t.contiguous().clone() for name, t in content.items()}
    save_file(content, path, {name: text for name, text in described.items() if text is not GONE})
    return path


def refused(path):
    started = time.process_time()
    with pytest.raises(InputError) as caught:
        package.load(path)
    assert time.process_time() - started < 2
    said = str(caught.value)
    assert said.startswith(str(path.parent))  # of the file or of its base
    assert "\n" not in said
    assert len(said) < 400


GONE = object()
WRONG = [
    0,
    -1,
    1.5,
    3,
    64.0,
    10_000,
    10**9,
    10**400,
    True,
    None,
    "8",
    "gdn",
    math.nan,
    math.inf,
    [8],
    {"a": 8},
    GONE,
]
NAMES = [
    "N",
    "M",
    "kernel",
    "activation",
    "residual",
    "upsampling",
    "quantisation",
    "init_scale",
    "speed",
    "gain",
]


@pytest.mark.parametrize("model", ["tiny"], indirect=True)  # their fields are checked alike
@pytest.mark.parametrize("name", NAMES)
def test_arguments_that_no_configuration_may_have_are_refused(model, name):
    own = json.loads(model[0]["architecture"])[name]
    for value in WRONG:
        number = isinstance(own, float) and isinstance(value, int | float) and not isinstance(value, bool)
        if value == own or (number and 0 < value <= 1000):  # another number that no tensor depends on
            continue
        refused(made(model, **{name: value}))


def test_many_blocks_are_refused_before_one_is_built(model):
    refused(made(model, residual=10_000))
    refused(made(model, residual=16))
    refused(made(model, N=1024, M=1024, kernel=7))


METADATA = {
    "architecture": [
        "", "{", "[]", "3", "null", "{}", "[" * 100_000, '{"N": ' * 50_000, '{"N": 8, "more": 1}', "9" * 10_000,
    ],
    "target": [
        "", ".", "Factorized.", "os.system", "torch.load", "builtins.eval", "gcn.models.blocks.GDN", "x" * 10_000,
        "gcn.models.codec.Codec", "gcn.models.package.load", "gcn.models.factorized.torch", "..", "a\nb",
    ],
    "latents_id": ["", "zz", "00", "00" * 1000, "é"],
    "picture_id": ["", "zz", "00"],
    "about": ["", "[]", "3", "{", "[" * 100_000],
    "base": [
        "", ".", "..", "/etc/passwd", "../model.safetensors", "a/b", "nothing", "x" * 1000, "a\0b", "a\nb", "/dev/zero",
    ],
    "format": ["", "gcn-model-2"],
}  # fmt: skip


@pytest.mark.parametrize("name", METADATA)
def test_metadata_that_no_model_has_are_refused(model, name):
    for text in [*METADATA[name], *([GONE] if name not in ("about", "base") else [])]:
        refused(made(model, {name: text}))


TENSORS = {
    "gone": lambda t: None,
    "empty": lambda t: t.new_zeros(0),
    "longer": lambda t: torch.cat([t.flatten(), t.flatten()]),
    "flat": lambda t: t.flatten() if t.dim() != 1 else t[None],
    "nan": lambda t: torch.full_like(t.float(), math.nan),
    "infinite": lambda t: torch.full_like(t.float(), -math.inf),
    "double": lambda t: t.double(),
    "bfloat16": lambda t: t.bfloat16(),
    "bytes": lambda t: t.to(torch.uint8),
    "bool": lambda t: t > 0,
    "negative": lambda t: -t - 1,
    "largest": lambda t: torch.full_like(t, torch.iinfo(t.dtype).max if not t.is_floating_point() else 6e4),
    "smallest": lambda t: torch.full_like(t, torch.iinfo(t.dtype).min if not t.is_floating_point() else -6e4),
}


@pytest.mark.parametrize("model", ["hyperprior"], indirect=True)  # it has the tables of tiny as well
@pytest.mark.parametrize("change", TENSORS.values(), ids=list(TENSORS))
def test_tensors_of_another_kind_are_refused(model, change):
    """Each table, and some weights of those that the identifiers name: they tell what is sound by itself.

    The tables of z are those of y by another name.
    """
    for name in model[1]:
        table = name.startswith("coding.") and not name.startswith("coding.tables.z.")
        if table or name in ("weights.g_s.0.weight", "weights.g_s.1.b"):
            refused(made(model, tensors={name: change(model[1][name])}))


@pytest.mark.parametrize("model", ["hyperprior"], indirect=True)
def test_tables_of_either_latents_are_checked(model):
    for name in model[1]:
        if name.startswith("coding.tables."):
            refused(made(model, tensors={name: TENSORS["largest"](model[1][name])}))


def test_further_tensors_are_refused(model):
    for name in ("weights.more", "coding.more", "coding.tables.x.offsets", "more", ""):
        refused(made(model, tensors={name: torch.zeros(3)}))


def test_headers_that_no_model_has_are_refused(model):
    path = model[2]
    for length in (0, 1, 2**20 + 1, 2**62, 2**64 - 1):
        path.write_bytes(struct.pack("<Q", length) + b"{" * 1000)
        refused(path)
    refused(made(model, {"about": json.dumps({"x": "y" * 2**21})}))


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(place=st.floats(0, 1, exclude_max=True), value=st.integers(0, 255), header=st.booleans())
@example(
    place=0.25, value=127, header=False
)  # a weight of 1e38: finite, and what the encoder makes of it is not
def test_a_changed_byte_is_refused_or_gives_a_model_that_codes(model, place, value, header):
    path = made(model)
    data = bytearray(path.read_bytes())
    end = 8 + int.from_bytes(data[:8], "little") if header else len(data)
    data[int(place * end)] = value
    path.write_bytes(data)
    said = ""
    try:
        codec = package.load(path)
    except InputError as problem:
        said = str(problem)
    else:
        try:
            read(codec, write(codec, X))
        except FloatingPointError as problem:  # the line that compress.py prints, see gcn.coding.transcode
            said = str(problem)
    assert "\n" not in said
