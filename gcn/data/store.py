"""Images by index, in memory where they fit, with a replacement for files that become unreadable during a run."""

from collections import OrderedDict
from collections.abc import Sequence
from itertools import chain

from gcn.data.images import MAX_PIXELS, BadImage, Pixels, decode
from gcn.data.scan import Entry
from gcn.errors import InputError
from gcn.files.names import printable


class Store(Sequence[Pixels]):
    """The images of a scan as a sequence of uint8 arrays (H, W, 3).

    What the scan kept in memory is served from there, the rest is decoded when asked for; the latest of those
    stay within ``recent_bytes``. A file that can no longer be read, or that has another size than the scan found, is
    replaced by the next image (cyclically), the same one in every process; :meth:`new_bad` names it.
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
        self._known: set[int] = set()  # images that went bad
        self._unsaid: dict[str, str] = {}
        self._recent: OrderedDict[int, Pixels] = OrderedDict()

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, index: int) -> Pixels:  # type: ignore[override]  # no slices
        if not 0 <= index < len(self):
            raise IndexError(index)
        reasons: dict[int, str] = {}
        for at in chain(range(index, len(self)), range(index)):
            try:
                pixels = self.exactly(at)
            except BadImage as reason:
                reasons[at] = str(reason)
                continue
            for bad in reasons.keys() - self._known:
                self._known.add(bad)
                name = printable(self.entries[bad].path)
                self._unsaid[name] = f"{reasons[bad]}; {printable(self.entries[at].path.name)} stands in"
            return pixels
        raise InputError(f"{printable(self.entries[0].path.parent)}: no image can be read any more")

    def exactly(self, index: int) -> Pixels:
        """The image itself, without a replacement; raises BadImage if it became unreadable since the scan."""
        kept = self.entries[index].pixels
        if kept is None:
            kept = self._recent.pop(index, None)
            if kept is None:
                kept = self._decoded(self.entries[index])
            self._recent[index] = kept
            while self._recent and sum(pixels.nbytes for pixels in self._recent.values()) > self.recent_bytes:
                self._recent.popitem(last=False)
        return kept

    def _decoded(self, entry: Entry) -> Pixels:
        pixels = decode(entry.path, self.background, self.max_pixels).pixels
        height, width = pixels.shape[:2]
        if (height, width) != (entry.height, entry.width):
            raise BadImage(f"{width}x{height} pixels now, {entry.width}x{entry.height} when it was scanned")
        return pixels

    def new_bad(self) -> dict[str, str]:
        """Newly unreadable images by path, with the reason and the replacement; each is named once in a process."""
        said, self._unsaid = self._unsaid, {}
        return said
