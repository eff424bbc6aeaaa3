"""Write a run's codec as a model file: ``python scripts/export.py run=RUN out=model.safetensors``."""

import sys

from gcn.commands.program import run

if __name__ == "__main__":
    sys.exit(run("export", sys.argv[1:]))
