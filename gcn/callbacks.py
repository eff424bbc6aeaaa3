"""Lightning callbacks for a ``Trainer`` of your own, with a module of :func:`gcn.build`; each works alone.

``L.Trainer(callbacks=[gcn.callbacks.Verdict(), gcn.callbacks.Panels()], …)``.
``scripts/train.py`` uses the same classes.
"""

from gcn.training.metrics_csv import MetricsCSV
from gcn.training.panels import Panels
from gcn.training.stop import StopOnSignal
from gcn.training.verdict import Verdict

__all__ = ["MetricsCSV", "Panels", "StopOnSignal", "Verdict"]
