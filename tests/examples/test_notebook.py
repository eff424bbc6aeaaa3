"""The notebook of examples/ runs from its first cell to its last."""

import json

import torch

from gcn.schema.conf_folder import CONF

WORD = '"data.dead_leaves=0"'  # after it comes one more word here: photographs of one scale alone
NOTEBOOK = CONF.parent / "examples" / "lightning.ipynb"


def test_it_trains_resumes_evaluates_and_compresses(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        torch.backends.mkldnn, "enabled", False
    )  # oneDNN takes most of the time of small networks
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    assert sum(WORD in line for cell in cells for line in cell["source"]) == 1
    names = {}
    for cell in cells:
        if cell["cell_type"] == "code":
            exec("".join(cell["source"]).replace(WORD, f'{WORD}, "data.scales=[0.35]"'), names)
    assert names["trainer"].global_step == 20
    assert names["values"]["test/bpp_actual"] > 0
    assert names["x_hat"].shape == names["image"].x.shape
    assert torch.equal(names["x_hat"], names["codec"].reconstruct(names["image"].x).x_hat.clamp(0, 1))
    for name in ("first", "second", "resumed"):
        assert "val/psnr" in (tmp_path / "logs" / name / "version_0" / "metrics.csv").read_text()
