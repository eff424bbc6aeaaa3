"""Images by index, in memory where they fit, with a stand-in for a file that goes bad while a run is on."""

import logging
from collections import OrderedDict
from collections.abc import MutableSequence, Sequence

from gcn.data.images import MAX_PIXELS, BadImage, Pixels, decode
from gcn.data.scan import Entry, printable
from gcn.errors import InputError

log = logging.getLogger(__name__)


class Store(Sequence[Pixels]):
    """The images of a scan as a sequence of uint8 arrays (H, W, 3).

    What the scan kept in memory is served from there, the rest is decoded when asked for; the latest of those stay in
    ``recent_bytes``. A file that can no longer be read is replaced by the next image (cyclically), which is the same
    one in every process and after every resume, and is reported once.
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
        self.lost: MutableSequence[int] = bytearray(len(self.entries))  # 1: reported; a loader may share it
        self._recent: OrderedDict[int, Pixels] = OrderedDict()

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, index: int) -> Pixels:  # type: ignore[override]
        for step in range(len(self)):
            at = (index + step) % len(self)
            try:
                return self._pixels(at)
            except BadImage as reason:
                if not self.lost[at]:
                    self.lost[at] = 1
                    stand_in = self.entries[(at + 1) % len(self)].path
                    log.warning(
                        "%s went bad during the run (%s): %s stands in for it",
                        printable(self.entries[at].path),
                        reason,
                        printable(stand_in.name),
                    )
        raise InputError(f"no image of {printable(self.entries[0].path.parent)} can be read any more")

    def _pixels(self, index: int) -> Pixels:
        kept = self.entries[index].pixels
        if kept is not None:
            return kept
        if index in self._recent:
            self._recent.move_to_end(index)
            return self._recent[index]
        pixels = decode(self.entries[index].path, self.background, self.max_pixels).pixels
        self._recent[index] = pixels
        while self._recent and sum(p.nbytes for p in self._recent.values()) > self.recent_bytes:
            self._recent.popitem(last=False)
        return pixels
