"""What forked processes have done already beside imports: the first composition of each command that Hydra starts."""

from gcn.config.compose import LAB, TRAIN, stamp
from gcn.config.parse import parse

for root in (TRAIN, LAB):
    parse([], root=root)
stamp.cache_clear()  # every process names its own run folder
