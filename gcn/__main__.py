"""``python -m gcn`` is the command ``gcn``, for a checkout without installation."""

import sys

from gcn.commands.program import main

if __name__ == "__main__":
    sys.exit(main())
