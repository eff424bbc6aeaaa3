import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "training"))  # whole runs
pytest.register_assert_rewrite("runs")
