"""From a published weight file to a model file that compresses, decompresses and is trained further."""

import sys
from pathlib import Path

import pytest
import torch
from scripting import ROOT, compress, decompress, error_of, picture, script

from gcn.codec.container import read
from gcn.evaluation.settings import members, remarks
from gcn.models import package
from gcn.models.published.neural_compression import RESULTS
from gcn.models.vq_labeller import VQ, Projected

sys.path.insert(0, str(ROOT / "tests" / "training"))
sys.path.insert(0, str(ROOT / "tests" / "models" / "published"))
from runs import images, planned
from synthetic import ZOO, compressai, hific, vq

convert = script("convert")
ACCEPTED = "accept_license=CC-BY-NC-4.0"


def training(folder):
    """Words of a training on the images of a folder."""
    data = images(folder / "data")
    return [
        "data=folder", f"data.root={data}", "data.crop=64", "trainer=cpu", "logger=csv", "loss=ns", "mse=1",
    ]  # fmt: skip


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    picture(70, 100).save("a.png")
    return tmp_path


@pytest.mark.parametrize("kind", ["HiFiCAutoencoder", *ZOO])
def test_a_converted_model_compresses_and_decompresses(kind, here, capsys):
    state = hific() if kind == "HiFiCAutoencoder" else compressai(kind)
    torch.save(state, "weights.pth")
    assert (
        convert("weights.pth", "-o", "model.safetensors", ACCEPTED if kind[0] == "H" else "overwrite=false")
        == 0
    )
    said = capsys.readouterr().out.splitlines()
    assert [line.split()[1].rstrip(":") for line in said[: len(state)]] == list(state)
    assert {line.split()[0] for line in said[: len(state)]} == {"used", "dropped"}
    assert f"{kind} of " in said[len(state)]
    assert f"{len(state)} entries" in said[len(state)]
    assert any(line.startswith("licence ") for line in said)
    assert compress("a.png", "model=model.safetensors") == 0
    assert decompress("a.gcn", "model=model.safetensors", "-o", "b.png") == 0
    model = package.load(Path("model.safetensors"))
    assert package.card(Path("model.safetensors")).about["source"] == next(
        line.partition(":")[0] for line in said if f"{kind} of " in line
    )
    decoded = read(model, Path("a.gcn").read_bytes())
    assert decoded.shape == (1, 3, 70, 100)


def test_the_printed_command_trains_from_the_model(here, capsys):
    torch.save(hific(width=4), "weights.pth")
    assert convert("weights.pth", "-o", "model.safetensors", ACCEPTED) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    command = last.partition("to train from it: ")[2].split()
    assert command[:2] == ["python", "scripts/train.py"]
    assert command[2:] == [
        "generator=hific", "generator.width=4", "generator.M=5", "generator.hyper=4", "generator.blocks=2",
        "init_from=model.safetensors",
    ]  # fmt: skip
    words = training(here)
    generator = planned(here / "run", *command[2:], *words).module.codec
    weights = package.load(Path("model.safetensors")).state_dict()
    assert all(torch.equal(weights[name], value) for name, value in generator.named_parameters())


@pytest.mark.parametrize("kind", ["HiFiCAutoencoder", "bmshj2018-hyperprior"])
def test_a_decoder_is_trained_further_on_the_bitstream_of_the_model(kind, here, capsys):
    """With a frozen encoder, files of the model and of the run have the same latents."""
    torch.save(hific() if kind[0] == "H" else compressai(kind), "weights.pth")
    assert convert("weights.pth", "-o", "model.safetensors", *([ACCEPTED] if kind[0] == "H" else [])) == 0
    words = capsys.readouterr().out.splitlines()[-1].partition("to train from it: ")[2].split()[2:]
    words += training(here)
    codec = planned(here / "run", *words, "freeze=encoder", "rate=null").module.codec
    card = package.card(Path("model.safetensors"))
    coding = codec.for_coding()
    assert (coding.latents_id, coding.picture_id) == (card.latents_id, card.picture_id)
    with torch.no_grad():
        codec.g_s[-1].bias.add_(1) if kind[0] != "H" else codec.g_s.blocks[-1].bias.add_(1)
    coding = codec.for_coding()
    assert coding.latents_id == card.latents_id
    assert coding.picture_id != card.picture_id


def test_a_converted_labeller_gives_the_nearest_code_of_unit_length(here, capsys):
    """The published network normalises its codes, whatever their length in the file."""
    state = vq()
    torch.save(state, "labels.ckpt")
    assert convert("labels.ckpt", "-o", "labels.safetensors", ACCEPTED) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.endswith(
        "loss=oasis labeller=vq labeller.classes=16 labeller.width=4 labeller.weights=labels.safetensors"
    )
    labeller, x = VQ("labels.safetensors", 16, 4), torch.rand(2, 3, 32, 24)
    network = Projected(4)
    network.load_state_dict({name: value for name, value in state.items() if name in network.state_dict()})
    z = network(x).detach()
    codes = state["bottleneck_op.child.child.codebooks.0"]

    def nearest(codes):
        return (z[:, None] - codes[None, :, :, None, None]).square().sum(2).argmin(1)

    assert torch.equal(labeller(x), nearest(codes / codes.norm(dim=1, keepdim=True)))
    assert not torch.equal(labeller(x), nearest(codes))


def test_published_numbers_of_a_file_stand_beside_its_evaluation(here, capsys):
    torch.save(hific(), "msillm_target_0.14bpp.ckpt")
    assert convert("msillm_target_0.14bpp.ckpt", "-o", "q3.safetensors", ACCEPTED) == 0
    assert "published: .1206 bpp, PSNR 30.87" in capsys.readouterr().out
    found = members({"model": "q3.safetensors,low"})
    assert remarks(found) == [f"q3.safetensors: published with {RESULTS['msillm_target_0.14bpp']}"]


def test_a_licence_that_is_not_free_is_accepted_by_name(here, capsys):
    torch.save(hific(), "weights.ckpt")
    torch.save(compressai("mbt2018-mean"), "free.pth")
    said = error_of(capsys, convert("weights.ckpt", "-o", "a.safetensors"))
    assert "no commercial use" in said
    assert said.rstrip().endswith(ACCEPTED)
    for file, name in (("weights.ckpt", "MIT"), ("free.pth", "CC-BY-NC-4.0")):
        said = error_of(capsys, convert(file, "-o", "a.safetensors", f"accept_license={name}"))
        assert f"accept_license={name}: the licence of " in said
    assert not Path("a.safetensors").exists()
    assert convert("free.pth", "-o", "a.safetensors", "accept_license=BSD-3-Clause-Clear") == 0


def test_nothing_is_replaced_or_written_where_the_input_is_wrong(here, capsys):
    Path("there.safetensors").write_bytes(b"mine")
    Path("text.pth").write_text("weights")
    torch.save(compressai("mbt2018-mean"), "weights.pth")
    for line, said in {
        "weights.pth -o there.safetensors": "exists",
        "weights.pth -o a.pt": "ends in .safetensors",
        "nowhere.pth -o a.safetensors": "nowhere.pth: no such file",
        "text.pth -o a.safetensors": "text.pth: not a file of tensors alone",
        "a.png -o a.safetensors": "a.png: not a file of tensors alone",
    }.items():
        assert said in error_of(capsys, convert(*line.split())), line
    assert Path("there.safetensors").read_bytes() == b"mine"
    assert [path.name for path in here.glob("*.safetensors")] == ["there.safetensors"]
