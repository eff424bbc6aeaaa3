"""Say which images of a folder can be used for training: ``python scripts/scan.py FOLDER``.

Every image is decoded. Exit status 0 if training would take the folder, 2 with one line if it would not.
"""

import argparse
import sys

from gcn.data.images import MAX_PIXELS
from gcn.data.scan import scan
from gcn.errors import InputError
from gcn.files.names import printable


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Say which images of a folder can be used for training.")
    parser.add_argument("folder")
    parser.add_argument("--crop", type=int, default=64, help="side of the training crops [%(default)s]")
    parser.add_argument(
        "--max-pixels", type=int, default=MAX_PIXELS, help="largest image taken [%(default)s]"
    )
    parser.add_argument(
        "--bad-share", type=float, default=0.01, help="share of bad files tolerated [%(default)s]"
    )
    parser.add_argument("--bad", action="store_true", help="name every bad file, a line each")
    args = parser.parse_args(arguments)
    limits = {"max_pixels": args.max_pixels, "bad_share": args.bad_share}
    try:
        found = scan(args.folder, option="FOLDER", crop=args.crop, **limits)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if args.bad:
        for path, reason in found.bad:
            print(f"{printable(path)}: {reason}")
    sizes = sorted((entry.height * entry.width, entry.width, entry.height) for entry in found.entries)
    (_, *smallest), (_, *largest) = sizes[0], sizes[-1]
    print(found.report())
    print(f"sizes {smallest[0]}×{smallest[1]} to {largest[0]}×{largest[1]} pixels")
    return 0


if __name__ == "__main__":
    sys.exit(main())
