"""Small games from real configurations are those of the training's tests."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "training"))
