"""Compress images to .gcn files: ``python scripts/compress.py photo.png``; ``--help`` lists its words."""

import sys

from gcn.commands.compress import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
