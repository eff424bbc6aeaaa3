"""What each script does, a module for each."""

from gcn.commands.later_imports import install

install()  # for programs alone: a user of the library keeps Python's own imports
