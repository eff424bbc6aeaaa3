"""scripts/convert.py: published weights of another project as a model file."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gcn.cli.arguments import Arguments, Command
from gcn.errors import InputError
from gcn.files.atomic import check_output
from gcn.files.names import printable
from gcn.models.places import ENDING

if TYPE_CHECKING:
    from gcn.models.published.conversion import Converted, Licence
    from gcn.models.published.weights_file import WeightsFile

COMMAND = Command(
    name="convert",
    about="Convert published weights of another project to a model file.",
    examples="""
python scripts/convert.py mbt2018-mean-3-723404a8.pth.tar out=mbt2018-3.safetensors
python scripts/convert.py msillm_target_0.14bpp.ckpt out=msillm.safetensors accept_license=CC-BY-NC-4.0
python scripts/compress.py photo.png model=msillm.safetensors
python scripts/train.py generator=hific init_from=msillm.safetensors
""",
    words="""\
file: ???               #: path ; downloaded weights, of NeuralCompression or CompressAI (docs/importing.md)
out: ???                #: path ; the model file, NAME.safetensors
accept_license: null    #: str ; name of the licence of the weights, where it is not free
overwrite: false        #: ; replace a model file that exists
""",
    bare=("file",),
)


def main(words: Sequence[str]) -> int:
    """Run the command line; returns the exit status."""
    return COMMAND.run(words, convert)


def convert(said: Arguments) -> int:
    """Convert the file that the arguments name; returns the exit status."""
    source, target = Path(said["file"]), Path(said["out"])
    if target.suffix != ENDING:
        raise InputError(f"{printable(target)}: a model file; give a name that ends in {ENDING}")
    check_output(target, said["overwrite"])
    if not source.is_file():
        raise InputError(f"{printable(source)}: no such file; give a weight file that you have downloaded")

    from gcn.models.published.conversion import converted, recognised
    from gcn.models.published.layouts import LAYOUTS
    from gcn.models.published.weights_file import read

    file = read(source)
    layout = recognised(file, LAYOUTS)
    _check_accepted(said["accept_license"], layout.licence, layout.name)
    found = converted(file, layout)
    published = next((row for name, row in layout.results.items() if source.name.startswith(name)), None)
    about = {
        "source": layout.name,
        "file": printable(source.name)[:200],
        "sha256": file.sha256,
        "licence": layout.licence.name,
        **({} if published is None else {"published": published}),
    }
    try:
        more = layout.write(found, target, about, said["overwrite"])
    except InputError:
        raise
    except (ValueError, FloatingPointError) as problem:
        raise InputError(f"{printable(source)}: {problem}") from None
    print("\n".join(_lines(file, found)))
    print(f"{printable(target)}: {target.stat().st_size} bytes")
    print("\n".join([*([] if published is None else [f"published: {published}"]), *more]))
    return 0


def _check_accepted(said: str | None, licence: "Licence", of: str) -> None:
    """Raise InputError unless the user names the licence of weights that are not free."""
    if said is not None and said != licence.name:
        raise InputError(f"accept_license={printable(said)}: the licence of {of} is {licence.name}")
    if said is None and licence.ask:
        raise InputError(
            f"the published weights of {of} are under {licence.name}: {licence.says}; if you accept that, give"
            f" accept_license={licence.name}"
        )


def _lines(file: "WeightsFile", found: "Converted") -> Iterator[str]:
    """What became of each tensor, then totals and the licence."""
    for line in found.lines:
        key = printable(line.key)
        yield f"dropped  {key}: {line.reason}" if line.name is None else f"used     {key} -> {line.name}"
    used = [line for line in found.lines if line.name is not None]
    numbers = sum(value.numel() for value in found.weights.values())
    checked = ", whose first digits its name states" if file.hash_checked else ""
    yield f"{found.layout.name}: {len(found.lines)} entries, {len(used)} used with {numbers} numbers"
    yield f"SHA-256 {file.sha256}{checked}"
    yield f"licence {found.layout.licence.name}: {found.layout.licence.says}"
