"""scripts/scan.py: which images of a folder training can use. Every image is decoded."""

from collections.abc import Sequence
from functools import partial

from gcn.cli.arguments import Arguments, Command
from gcn.cli.progress_line import counted
from gcn.files.names import printable

COMMAND = Command(
    name="scan",
    about="Say which images of a folder can be used for training: exit status 0 if training would take the folder.",
    examples="""
python scripts/scan.py FOLDER
python scripts/scan.py FOLDER crop=256 bad=true                       and name every bad file
""",
    words="""\
folder: ???             #: path ; where images are looked for, at any depth
crop: 64                #: int >= 1 ; side of the training crops
max_pixels: null        #: int >= 1 ; largest image taken, by default that of training
bad_share: 0.01         #: float in [0, 1] ; share of bad files tolerated
bad: false              #: ; name every bad file, a line each
""",
    bare=("folder",),
)


def main(words: Sequence[str]) -> int:
    """Run the command line; returns the exit status."""
    return COMMAND.run(words, report)


def report(said: Arguments) -> int:
    """Print the report; returns the exit status, 2 if training would refuse the folder."""
    from gcn.data.images import MAX_PIXELS
    from gcn.data.scan import judge_scan, scan

    largest = said["max_pixels"] or MAX_PIXELS
    found = scan(
        said["folder"],
        option="",
        crop=said["crop"],
        max_pixels=largest,
        watch=partial(counted, what="reading"),
        judge=False,
    )
    if said["bad"]:  # also where there are too many
        for path, reason in found.bad:
            print(f"{printable(path)}: {printable(reason)}")
    judge_scan(found, "", said["bad_share"])
    sizes = sorted((entry.height * entry.width, entry.width, entry.height) for entry in found.entries)
    (_, *smallest), (_, *largest_of) = sizes[0], sizes[-1]
    print(found.report())
    print(f"sizes {smallest[0]}×{smallest[1]} to {largest_of[0]}×{largest_of[1]} pixels")
    return 0
