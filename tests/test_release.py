"""What is said about this version in four files is the same."""

import re
import tomllib
from datetime import date
from pathlib import Path

import yaml

import gcn

ROOT = Path(__file__).parents[1]


def test_one_version_and_one_date():
    latest = re.search(
        r"^## (\S+) \((\S+)\)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert latest is not None
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    packaged = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert (gcn.__version__, packaged, latest[1]) == (cited["version"],) * 3
    assert date.fromisoformat(latest[2]) == date.fromisoformat(cited["date-released"])


def test_the_workflow_runs_the_script_that_anyone_can_run():
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8"))
    steps = workflow["jobs"]["test"]["steps"]
    assert [step["run"] for step in steps if "run" in step] == [".ci/run"]
    assert (ROOT / ".ci" / "run").stat().st_mode & 0o111
