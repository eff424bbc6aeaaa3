"""A run's codec as a model file: ``scripts/export.py run=outputs/… -o model.safetensors``."""

import sys

from gcn.cli.arguments import Words, choice, run

USAGE = "python scripts/export.py run=FOLDER -o FILE.safetensors [half=true] [base=FILE] [about=TEXT]"
OPTIONS = {
    "run": "run folder of scripts/train.py",
    "half": "true: round the weights to half precision, half the size",
    "base": "model file with the same latents beside the new one: only the synthesis is written",
    "about": "a remark that the file carries, such as the data and their licence",
    "overwrite": "true: replace a model file that exists, but never the run's own codec or the base",
}


def work(words: Words) -> int:
    from pathlib import Path

    from gcn.errors import InputError
    from gcn.files.atomic import check_output
    from gcn.models.places import ENDING, check_export, run_folder

    options = words.options
    if "run" not in options or words.output is None or words.files:
        raise InputError(f"usage: {USAGE}")
    half, overwrite = (choice(name, options.get(name, "false")) for name in ("half", "overwrite"))
    folder, target = run_folder(options["run"]), Path(words.output)
    base = Path(options["base"]) if "base" in options else None
    if target.suffix != ENDING:
        raise InputError(f"{target}: a model file; give a name that ends in {ENDING}")
    check_export(target, folder, base)
    check_output(target, overwrite)

    from gcn.coding.run_codec import for_export
    from gcn.models.package import save

    codec = for_export(folder, half)
    save(codec, target, {"run": folder.name, "about": options.get("about", "")}, base, overwrite)
    print(f"{target}: {target.stat().st_size} bytes, latents {codec.latents_id.hex()}")
    return 0


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:], OPTIONS, USAGE, "Write the codec of a run as a model file.", work))
