"""scripts/export.py: the codec of a run as a model file."""

from collections.abc import Sequence
from pathlib import Path

from gcn.cli.arguments import Arguments, Command
from gcn.errors import InputError
from gcn.files.atomic import check_output
from gcn.models.places import ENDING, check_export, run_folder
from gcn.schema.plugins import WORDS, of_words

COMMAND = Command(
    name="export",
    about="Write the codec of a run as a model file.",
    examples="""
python scripts/export.py run=outputs/DATE/RUN out=model.safetensors
python scripts/export.py run=outputs/DATE/RUN out=model-gan.safetensors half=true base=model.safetensors
python scripts/export.py run=outputs/DATE/RUN out=game.safetensors discriminator=true    for init_from=
""",
    words="""\
run: ???                #: path ; run folder of scripts/train.py
out: ???                #: path ; the model file, NAME.safetensors
half: false             #: ; round the weights to half precision, half the size
base: null              #: path ; model file with the same latents beside the new one: only the synthesis is written
about: ""               #: str ; a remark that the file carries, such as the data and their licence
discriminator: false    #: ; write the discriminator too: init_from=FILE then continues from both
overwrite: false        #: ; replace a model file that exists, but never the run's own codec or the base
"""
    + WORDS,
)


def main(words: Sequence[str]) -> int:
    """Run the command line; returns the exit status."""
    return COMMAND.run(words, export)


def export(said: Arguments) -> int:
    """Write the model file that the arguments name; returns the exit status."""
    folder, target = run_folder(said["run"]), Path(said["out"])
    base = None if said["base"] is None else Path(said["base"])
    if target.suffix != ENDING:
        raise InputError(f"{target}: a model file; give a name that ends in {ENDING}")
    check_export(target, folder, base)
    check_output(target, said["overwrite"])

    from gcn.coding.run_codec import discriminator_of, for_export
    from gcn.models.package import load, save

    own = of_words(said.said)
    if base is not None:
        load(base, own)  # a damaged one is refused here, not by the reader of the new file
    weights = (
        discriminator_of(folder, own) if said["discriminator"] else None
    )  # a run without one is refused early
    codec = for_export(folder, said["half"], own)
    save(codec, target, {"run": folder.name, "about": said["about"]}, base, said["overwrite"], weights)
    print(f"{target}: {target.stat().st_size} bytes, latents {codec.latents_id.hex()}")
    return 0
