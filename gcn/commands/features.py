"""scripts/features.py: train the small network whose features KID is computed on."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gcn.cli.arguments import Arguments, Command
from gcn.cli.invocation import called
from gcn.cli.quoting import command
from gcn.commands.fitted_images import images
from gcn.errors import InputError
from gcn.files.names import printable

if TYPE_CHECKING:
    from torch import Tensor

FIRST = 60  # images of a folder

COMMAND = Command(
    name="features",
    about="Train the small network of patch features to tell photographs from degraded ones; writes its file.",
    examples="""
python scripts/features.py                                             the file that comes with the package
python scripts/features.py data.root=FOLDER images=200 out=mine.safetensors
""",
    words="""\
data.root: null         #: path ; folder of images; by default eight free photographs that come with scikit-image
images: null            #: int >= 4 ; how many images of the folder are used, the first ones by name; by default 60
crops: 32               #: int in [1, 1000] ; crops of an image, and of each of the four copies of a free photograph
steps: 3000             #: int >= 1 ; updates of 128 crops
seed: 0                 #: int >= 0 ; of the weights, the crops and their order
out: patch_features.safetensors #: path ; file that is written
overwrite: false        #: ; replace that file
""",
    bare=("data.root",),
)


def main(words: Sequence[str]) -> int:
    """Run the command line; returns the exit status."""
    return COMMAND.run(words, lambda said: work(said, command(*called("features"), *words)))


def work(said: Arguments, line: str) -> int:
    """Train and write the file; returns the exit status."""
    import json

    from safetensors.torch import save

    from gcn.evaluation.measuring import shown
    from gcn.files.atomic import check_output, write_bytes
    from gcn.metrics.feature_training import TESTED, bank, train

    out = Path(said["out"])
    check_output(out, overwrite=said["overwrite"])
    found = _images(said["data.root"], said["images"])
    names = list(found)
    print(f"{len(names)} images, {printable(names[0])} to {printable(names[-1])}", flush=True)

    def watch(items: Sequence) -> Iterable:
        return shown(items, "degrading")

    crops = bank(list(found.values()), said["seed"], said["crops"], watch)
    trained = train(crops, said["steps"], said["seed"])
    remarks = {
        "command": line,
        "images": names,
        "crops": said["crops"],
        "steps": said["steps"],
        "seed": said["seed"],
        "tested_on": names[TESTED - 1 :: TESTED],
        "accuracy": round(trained.accuracy, 4),
        "accuracy_of_each_class": {name: round(value, 3) for name, value in trained.of_ladder.items()},
    }
    write_bytes(out, save(trained.weights, {"about": json.dumps(remarks)}))
    for name, share in trained.of_ladder.items():
        print(f"{name:<16}{share:7.1%} right")
    print(f"{'mean':<16}{trained.accuracy:7.1%}\nwritten: {printable(out)}", flush=True)
    return 0


def _images(root: str | None, count: int | None) -> dict[str, list["Tensor"]]:
    """Copies (3, H, W) in [0, 1] of each image by its name: of the first ones of a folder, or of scikit-image's."""
    if root is None and count is not None:
        raise InputError(f"images={count}: counts images of a folder; give data.root=FOLDER as well")
    return dict(images(root, lambda paths: sorted(paths, key=lambda path: path.name)[: count or FIRST]))
