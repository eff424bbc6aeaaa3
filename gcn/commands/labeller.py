"""scripts/labeller.py: k-means classes of image patches, the labels of loss=oasis."""

from collections.abc import Sequence
from pathlib import Path

from gcn.cli.arguments import Arguments, Command
from gcn.cli.invocation import called
from gcn.cli.quoting import command
from gcn.commands.fitted_images import images as fitted_images
from gcn.files.names import printable

COMMAND = Command(
    name="labeller",
    about="Sort the 8x8 patches of images into classes by k-means; writes a file for labeller=patches.",
    examples="""
python scripts/labeller.py                                             the file that comes with the package
python scripts/labeller.py data.root=FOLDER classes=256 out=mine.safetensors
""",
    words="""\
data.root: null         #: path ; folder of images; by default eight free photographs that come with scikit-image
classes: 64             #: int in [2, 4096] ; number of classes
patches: 50000          #: int in [2, 1e6] ; patches that are sorted, drawn from all images
seed: 0                 #: int >= 0 ; of the patches and of the first means
out: patches.safetensors #: path ; file that is written
overwrite: false        #: ; replace that file
""",
    bare=("data.root",),
)


def main(words: Sequence[str]) -> int:
    """Run the command line; returns the exit status."""
    return COMMAND.run(words, lambda said: work(said, command(*called("labeller"), *words)))


def work(said: Arguments, line: str) -> int:
    """Sort patches and write the file; returns the exit status."""
    import json

    from safetensors.torch import save

    from gcn.files.atomic import check_output, write_bytes
    from gcn.models.labeller import CODES
    from gcn.models.patch_classes import assigned, k_means, patches_of

    out = Path(said["out"])
    check_output(out, overwrite=said["overwrite"])
    images = [one for _, copies in fitted_images(said["data.root"]) for one in copies]
    points = patches_of(images, said["patches"], said["seed"])
    means = k_means(points, said["classes"], said["seed"]).half()
    nearest = assigned(points, means.float())
    left = float((points - means.float()[nearest]).square().mean() / points.var(0).mean())
    shares = nearest.bincount(minlength=len(means)).float() / len(points)
    remarks = {
        "command": line,
        "images": len(images),
        "patches": len(points),
        "left_variance": round(left, 4),
    }
    write_bytes(out, save({CODES: means}, {"about": json.dumps(remarks)}))
    print(
        f"{len(points)} patches of {len(images)} images in {len(means)} classes of {shares.min():.2%} to "
        f"{shares.max():.2%}; {left:.1%} of the variance of pixels is within classes\nwritten: {printable(out)}"
    )
    return 0
