"""What a forked process of the tests has imported before matplotlib, when training can begin."""

import sys

NAMES = frozenset(sys.modules)
