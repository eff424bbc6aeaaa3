"""Decode .gcn files to images: ``python scripts/decompress.py photo.gcn``; ``--help`` lists its words."""

import sys

from gcn.commands.decompress import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
