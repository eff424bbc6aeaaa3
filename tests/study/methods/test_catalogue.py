"""The catalogue of methods: complete, with a source, a formula and a test for each, and commands that are accepted."""

import hashlib
from pathlib import Path

import pytest
import yaml

from gcn.config.offered import knobs
from gcn.config.parse import parse
from gcn.schema.conf_folder import CONF
from gcn.study.methods import catalogue, methods_page

ROOT = Path(__file__).parents[3]
METHODS = catalogue.catalogue(ROOT)
CONTENT = yaml.safe_load(catalogue.FILE.read_text(encoding="utf-8"))
# What the literature behind this project names, and the rows that it is; a name without rows is in `not_here`.
NAMED = {
    "non-saturating": ["plain"],
    "saturating minimax": ["vanilla"],
    "maximum likelihood": ["ml"],
    "hinge": ["hinge"],
    "LSGAN": ["lsgan", "lsgan_01"],
    "WGAN": ["wgan"],
    "f-divergences": [
        *("fgan_kl", "fgan_reverse_kl", "fgan_pearson"), *("fgan_hellinger", "fgan_js", "fgan_tv"),
    ],
    "EBGAN": ["ebgan"],
    "pulling-away term": ["pulling_away"],
    "BEGAN": ["began"],
    "OASIS": ["oasis", "unet"],
    "RSGAN": ["relativistic_pair", "relativistic_pair_shuffled"],
    "RaSGAN": ["relativistic_average"],
    "RaLSGAN": ["relativistic_average", "lsgan"],
    "RaHinge": ["relativistic_average", "hinge"],
    "RSGAN-GP": ["relativistic_pair", "gp"],
    "R1": ["r1"],
    "R2": ["r2"],
    "R3GAN": ["r1_r2_pair"],
    "R1 by finite differences": ["approx_r1"],
    "WGAN-GP": ["wgan_gp", "gp"],
    "weight clipping": ["wgan_weight_clip"],
    "zero-centred penalty on interpolates": ["gp_0"],
    "DRAGAN": ["dragan"],
    "Roth's regulariser": ["roth"],
    "LeCam": ["lecam"],
    "one-sided label smoothing": ["label_smoothing"],
    "instance noise": ["instance_noise"],
    "a noise level drawn per image": ["instance_noise_per_image"],
    "DiffAugment": ["diffaugment"],
    "spectral normalisation": ["spectral_norm"],
    "minibatch standard deviation": ["minibatch_std"],
    "batch normalisation in D": ["batch_norm"],
    "instance normalisation in D": ["instance_norm"],
    "several updates of D": ["d_steps"],
    "consensus optimization": ["consensus"],
    "JARE": ["jare"],
    "Nagarajan and Kolter's penalty, the foresighted generator": ["grad_norm"],
    "historical averaging": ["historical_averaging"],
    "feature matching": ["feature_matching"],
    "VQGAN's adaptive weight": ["adaptive"],
    "simultaneous updates": ["simultaneous"],
    "extragradient": ["extragradient"],
    "optimistic gradient descent": ["optimistic"],
    "symplectic gradient adjustment": ["sga"],
    "look-ahead": ["lookahead"],
    "unrolling": ["unrolled"],
    "L1": ["l1"],
    "MS-SSIM": ["ms_ssim"],
    "LPIPS": ["lpips"],
    "several scales": ["multiscale"],
    "HiFiC's discriminator": ["hific"],
    "VQGAN's discriminator": ["vqgan"],
    "projection discriminator": ["projection"],
    "auxiliary classifier": ["auxiliary", "class_entropy"],
    "minibatch discrimination": ["minibatch_discrimination"],
    "virtual batch normalisation": ["virtual_batch_norm"],
    "a buffer of past reconstructions": ["history"],
    "diffused latents as D's input": [],
    "moment reconstruction": [],
    "decoupled learning": [],
    "a detector of collapse": [],
    "two learning rates": [],
    "gradient clipping": [],
    "lazy penalties": [],
    "warm-up without the adversary": [],
    "averaged weights of the generator": [],
}  # fmt: skip
ROWS = {method.name for method in METHODS}


@pytest.mark.parametrize("name", NAMED)
def test_no_method_of_the_literature_is_missing_without_a_reason(name):
    rows = NAMED[name]
    assert (rows and set(rows) <= ROWS) or CONTENT["not_here"].get(name), name


def test_a_reason_for_absence_is_given_for_absent_methods_only():
    assert {name for name in CONTENT["not_here"] if name not in NAMED} == set()
    assert [name for name in CONTENT["not_here"] if NAMED[name] and set(NAMED[name]) <= ROWS] == []


def test_every_file_of_a_loss_knob_rule_or_discriminator_has_a_row_or_a_reason():
    words = {word.partition("=")[0] for method in METHODS for word in method.words}
    chosen = {word for method in METHODS for word in method.words}
    for name in knobs():
        assert name in words or name in CONTENT["not_a_row"], name
    for group in catalogue.GROUPS:
        for path in (CONF / group).glob("*.yaml"):
            assert f"{group}={path.stem}" in chosen or path.stem in CONTENT["not_a_row"], path


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_each_row_has_formula_source_code_and_test_and_its_command_is_accepted(method):
    assert method.formula
    assert method.source, "name the paper in the class's docstring or in the yaml's comments"
    assert (ROOT / method.code).is_file()
    assert f"class {method.class_name}" in (ROOT / method.code).read_text(encoding="utf-8")
    assert method.test, "no test names the class or its word"
    assert (ROOT / method.test).is_file()
    parse(
        [
            *(word for word in methods_page.COMMAND if word.partition("=")[0] not in keys(method)),
            *method.words,
        ]
    )


def test_three_rows_drawn_by_a_seed_have_a_second_derivation():
    drawn = sorted(ROWS, key=lambda name: hashlib.sha256(f"2026 {name}".encode()).digest())[:3]
    derivations = (ROOT / "tests" / "theory" / "test_drawn_rows.py").read_text(encoding="utf-8")
    assert [name for name in drawn if f"def test_{name}_" not in derivations] == []


def keys(method):
    return {word.partition("=")[0] for word in method.words}


def test_a_new_file_has_a_row_without_being_named(tmp_path, monkeypatch):
    (tmp_path / "dynamics").mkdir(parents=True)
    (tmp_path / "dynamics" / "mine.yaml").write_text("_target_: gcn.game.rules.SGA\n")
    for group in ("loss", "discriminator", "knob"):
        (tmp_path / group).mkdir()
    monkeypatch.setattr(catalogue, "CONF", tmp_path)
    monkeypatch.setattr(catalogue, "knobs", dict)
    assert list(catalogue._files(set(), set())) == [("rules", "mine", "dynamics=mine")]


@pytest.mark.parametrize(
    ("text", "papers"),
    [
        ("½ E‖∇D(x)‖² (Mescheder et al. 2018).", ["Mescheder et al. 2018"]),
        ("x (Popov 1980; Daskalakis et al. 2018)", ["Popov 1980", "Daskalakis et al. 2018"]),
        (
            "Conditional PatchGAN (Mentzer et al., 2020, arXiv 2006.09965)",
            ["Mentzer et al. 2020, arXiv 2006.09965"],
        ),
        ("zero-centred, of Thanh-Tung et al. (2019)", ["Thanh-Tung et al. 2019"]),
        ("Lim and Ye 2017, and Miyato & Koyama 2018", ["Lim and Ye 2017", "Miyato & Koyama 2018"]),
        ("of 1024 classes in 2000 updates", []),
    ],
)
def test_papers_are_found_in_a_text(text, papers):
    assert catalogue.papers_of(text) == papers


def test_a_formula_of_an_option_is_its_row_of_the_docstring_s_table():
    by_name = {method.name: method for method in METHODS}
    assert "f*(g(t)) = exp(t - 1)" in by_name["fgan_kl"].formula
    assert by_name["relativistic_average"].formula == "a = D(x) - mean D(x_hat); b = D(x_hat) - mean D(x)"
    assert by_name["r1"].formula == "½ E‖∇D(x)‖² on real images; the weight is γ"
    assert by_name["r1"].source == "Mescheder et al. 2018"
