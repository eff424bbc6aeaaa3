"""What forked processes have done already beside imports: the first composition of each command that Hydra starts.

Their runs draw no curves, at which no test looks.
"""

import gc

from blank_figure import blank

from gcn.config.offered import LAB, TRAIN, stamp
from gcn.config.parse import parse
from gcn.training import fit

fit.curves = blank

for root in (TRAIN, LAB):
    parse([], root=root)
stamp.cache_clear()  # every process names its own run folder

# What is here stays: a forked process need not look for garbage in it, for which its pages would be copied.
gc.freeze()
gc.set_threshold(7000, 10, 10)
