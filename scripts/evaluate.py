"""A run's codec on whole images, beside JPEG at the same bits: ``scripts/evaluate.py run=outputs/… data.root=DIR``."""

import sys
from pathlib import Path

from gcn.errors import InputError

USAGE = "python scripts/evaluate.py run=RUN_FOLDER [data.root=FOLDER]   (default: the run's own validation images)"


def main(words: list[str]) -> int:
    if not words or {"-h", "--help"} & set(words):
        print(f"{__doc__}\n\nusage: {USAGE}")
        return 0
    try:
        options = dict(word.split("=", 1) for word in words if "=" in word)
        strange = [
            word for word in words if word.split("=", 1)[0] not in ("run", "data.root") or "=" not in word
        ]
        if strange or "run" not in options:
            raise InputError(f"{' '.join(strange) or 'run=… is missing'}: usage: {USAGE}")
        from gcn.evaluation import compare, images_of
        from gcn.report.summary import print_summary

        run = Path(options["run"])
        print_summary(compare(run, images_of(run, options.get("data.root"))))
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
