"""Convert published weights of another project: ``python scripts/convert.py FILE out=model.safetensors``."""

import sys

from gcn.commands.program import run

if __name__ == "__main__":
    sys.exit(run("convert", sys.argv[1:]))
