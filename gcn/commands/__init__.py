"""What each script does, a module for each."""

from gcn.commands import later_imports, uncollected

# for programs alone: a user of the library keeps Python's own imports
later_imports.install()
uncollected.install()
