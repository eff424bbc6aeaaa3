"""Numbers that other authors have published, drawn in on request. They are of the data set that is named, of other
software and mostly of much larger networks: a backdrop, no competition."""

from typing import NamedTuple


class Published(NamedTuple):
    """A curve from a paper: points (bpp, values by metric)."""

    codec: str
    data: str
    source: str
    points: tuple[tuple[float, dict[str, float]], ...]


HIFIC, MS_ILLM = "Mentzer et al. 2020, arXiv 2006.09965", "Muckley et al. 2023, arXiv 2301.11189"


def _points(metrics: tuple[str, ...], *rows: tuple[float, ...]) -> tuple[tuple[float, dict[str, float]], ...]:
    return tuple((row[0], dict(zip(metrics, row[1:], strict=True))) for row in rows)


WITH_FID = ("psnr", "lpips", "fid_256")
CURVES = (
    Published("HiFiC", "Kodak", HIFIC, _points(
        ("psnr", "lpips"), (0.183, 27.57, 0.0686), (0.351, 29.65, 0.0428), (0.538, 31.74, 0.0278),
    )),
    Published("HiFiC", "CLIC2020 test", HIFIC, _points(
        WITH_FID, (0.129, 30.87, 0.0539, 4.20), (0.250, 32.94, 0.0349, 2.38), (0.374, 34.60, 0.0250, 1.67),
    )),
    Published("MS-ILLM", "CLIC2020 test", MS_ILLM, _points(
        WITH_FID, (0.0346, 27.88, 0.1137, 6.27), (0.1206, 30.87, 0.0541, 2.65), (0.5125, 35.88, 0.0173, 1.09),
    )),
    Published("CRDR", "CLIC2020 test", "Iwai et al., WACV 2024", _points(WITH_FID, (0.1215, 31.64, 0.0613, 4.12))),
)  # fmt: skip


def of(metric: str, data: str | None = None) -> list[Published]:
    """Published curves that have a metric, of one data set or of all."""
    return [c for c in CURVES if metric in c.points[0][1] and data in (None, c.data)]
