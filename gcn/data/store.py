"""Images by index, in memory where they fit, with a stand-in for a file that goes bad while a run is on."""

import logging
import multiprocessing
from collections import OrderedDict
from collections.abc import Sequence
from itertools import chain

from gcn.data.images import MAX_PIXELS, BadImage, Pixels, decode
from gcn.data.scan import Entry
from gcn.errors import InputError
from gcn.files.names import printable

log = logging.getLogger(__name__)


class Store(Sequence[Pixels]):
    """The images of a scan as a sequence of uint8 arrays (H, W, 3).

    What the scan kept in memory is served from there, the rest is decoded when asked for; the latest of those
    stay within ``recent_bytes``. A file that can no longer be read is replaced by the next image
    (cyclically), the same one in every process and after every resume, and is reported once.
    """

    def __init__(
        self,
        entries: Sequence[Entry],
        background: str = "white",
        max_pixels: int = MAX_PIXELS,
        recent_bytes: int = 0,
    ) -> None:
        self.entries = tuple(entries)
        self.background, self.max_pixels, self.recent_bytes = background, max_pixels, recent_bytes
        self._reported = multiprocessing.Array(
            "b", len(self.entries)
        )  # shared with workers, who meet the same file
        self._recent: OrderedDict[int, Pixels] = OrderedDict()

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, index: int) -> Pixels:  # type: ignore[override]  # no slices
        if not 0 <= index < len(self):
            raise IndexError(index)
        for at in chain(range(index, len(self)), range(index)):
            try:
                return self._pixels(at)
            except BadImage as reason:
                self._report(at, str(reason))
        raise InputError(f"{printable(self.entries[0].path.parent)}: no image can be read any more")

    def _pixels(self, index: int) -> Pixels:
        kept = self.entries[index].pixels
        if kept is None:
            kept = self._recent.pop(index, None)
            if kept is None:
                kept = decode(self.entries[index].path, self.background, self.max_pixels).pixels
            self._recent[index] = kept
            while self._recent and sum(pixels.nbytes for pixels in self._recent.values()) > self.recent_bytes:
                self._recent.popitem(last=False)
        return kept

    def _report(self, index: int, reason: str) -> None:
        with self._reported.get_lock():
            known, self._reported[index] = self._reported[index], 1
        if not known:
            path, stand_in = self.entries[index].path, self.entries[(index + 1) % len(self)].path
            log.warning("%s went bad (%s): %s stands in", printable(path), reason, printable(stand_in.name))
