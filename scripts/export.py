"""Write a run's codec as a model file: ``python scripts/export.py run=RUN out=model.safetensors``."""

import sys

from gcn.commands.export import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
