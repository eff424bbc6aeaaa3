"""scripts/features.py: train the small network whose features KID is computed on."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from gcn.cli.arguments import Arguments, Command
from gcn.cli.quoting import command
from gcn.files.names import printable

COMMAND = Command(
    name="features",
    about="Train the small network of patch features to tell photographs from degraded ones; writes its file.",
    examples="""
python scripts/features.py data.root=data/BSDS500/train                the file that comes with the package
python scripts/features.py data.root=FOLDER images=200 out=mine.safetensors
""",
    words="""\
data.root: ???          #: path ; folder of images
images: 60              #: int >= 6 ; how many are used, the first ones by name
steps: 3000             #: int >= 1 ; updates of 128 crops
seed: 0                 #: int >= 0 ; of the weights, the crops and their order
out: patch_features.safetensors #: path ; file that is written
overwrite: false        #: ; replace that file
""",
    bare=("data.root",),
)


def main(words: Sequence[str]) -> int:
    """Run the command line; returns the exit status."""
    return COMMAND.run(words, lambda said: work(said, command("python", "scripts/features.py", *words)))


def work(said: Arguments, line: str) -> int:
    """Train and write the file; returns the exit status."""
    import json

    from safetensors.torch import save

    from gcn.data.images import decode
    from gcn.data.scan import scan
    from gcn.evaluation.measuring import shown, tensor
    from gcn.files.atomic import check_output, write_bytes
    from gcn.metrics.feature_training import bank, train

    out = Path(said["out"])
    check_output(out, overwrite=said["overwrite"])
    found = scan(Path(said["data.root"]), crop=32, keep_bytes=0)
    paths = sorted((entry.path for entry in found.entries), key=lambda path: path.name)[: said["images"]]
    images = [tensor(decode(path).pixels).float() / 255 for path in paths]
    print(f"{len(images)} images, {printable(paths[0].name)} to {printable(paths[-1].name)}", flush=True)

    def watch(items: Sequence) -> Iterable:
        return shown(items, "degrading")

    trained = train(bank(images, said["seed"], watch), said["steps"], said["seed"])
    remarks = {
        "command": line,
        "images": [path.name for path in paths],
        "steps": said["steps"],
        "seed": said["seed"],
        "accuracy_on_every_sixth_image": round(trained.accuracy, 4),
        "accuracy_of_each_class": {name: round(value, 3) for name, value in trained.of_ladder.items()},
    }
    write_bytes(out, save(trained.weights, {"about": json.dumps(remarks)}))
    for name, share in trained.of_ladder.items():
        print(f"{name:<16}{share:7.1%} right")
    print(f"{'mean':<16}{trained.accuracy:7.1%}\nwritten: {printable(out)}", flush=True)
    return 0
