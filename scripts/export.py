"""A run's codec as a model file: ``scripts/export.py run=outputs/… -o model.safetensors``."""

import sys

from gcn.words import Words, choice, run

USAGE = "python scripts/export.py run=FOLDER -o FILE.safetensors [half=true] [base=FILE] [about=TEXT]"
OPTIONS = {
    "run": "run folder of scripts/train.py",
    "half": "round the weights to half precision: half the size",
    "base": "model file with the same latents beside the new one: only the synthesis is written",
    "about": "a remark that the file carries, such as the data and their licence",
}


def work(words: Words) -> int:
    from pathlib import Path

    from gcn.coding import trained
    from gcn.errors import InputError
    from gcn.models.package import save

    if "run" not in words.options or words.output is None or words.files:
        raise InputError(f"usage: {USAGE}")
    half = choice("half", words.options.get("half", "false"))
    folder, target = Path(words.options["run"]), Path(words.output)
    if target.suffix != ".safetensors" or not target.absolute().parent.is_dir():
        raise InputError(f"{target}: give a name in an existing folder that ends in .safetensors")
    base = Path(words.options["base"]) if "base" in words.options else None
    about = {"run": folder.name, "about": words.options.get("about", "")}
    codec = trained(folder, half)
    save(codec, target, about, base)
    print(f"{target}: {target.stat().st_size} bytes, latents {codec.latents_id.hex()}")
    return 0


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:], OPTIONS, USAGE, "Write the codec of a run as a model file.", work))
