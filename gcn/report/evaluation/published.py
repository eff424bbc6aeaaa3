"""Published numbers of other generative codecs, to draw beside one's own when asked.

They were measured by their authors on the data set that is named. On other images a curve shows where a method
works, not who is better: published rows are drawn dashed, and never compared in words.
"""

from dataclasses import dataclass

from gcn.report.evaluation.record import PooledRow

CLIC, KODAK = "CLIC2020 test", "Kodak"
IMAGES = {CLIC: 428, KODAK: 24}
HIFIC = "Mentzer et al., High-Fidelity Generative Image Compression, NeurIPS 2020, arXiv:2006.09965"
MS_ILLM = (
    "Muckley et al., Improving Statistical Fidelity for Neural Image Compression with Implicit Local Likelihood "
    "Models, ICML 2023, arXiv:2301.11189"
)
CRDR = (
    "Iwai et al., Controlling Rate, Distortion, and Realism: Towards a Single Comprehensive Neural Image "
    "Compression Model, WACV 2024, arXiv:2405.16817"
)
STABLECODEC = (
    "Zhang et al., StableCodec: Taming One-Step Diffusion for Extreme Image Compression, ICCV 2025, arXiv:2506.21977"
)


@dataclass(frozen=True)
class PublishedPoint:
    """One rate of a published curve: bits per pixel, PSNR in dB, LPIPS and FID/256 (None: not published)."""

    setting: str
    bpp: float
    psnr: float
    lpips: float
    fid_256: float | None = None


@dataclass(frozen=True)
class PublishedCurve:
    """A codec on a data set, and the paper that says so."""

    codec: str
    data_set: str
    source: str
    points: tuple[PublishedPoint, ...]

    @property
    def name(self) -> str:
        """With the data set, without which a number means nothing."""
        return f"{self.codec} ({self.data_set})"

    def rows(self) -> list[PooledRow]:
        """One row a rate, ready to be drawn and tabulated."""
        return [
            PooledRow(
                self.name, point.setting, "published", IMAGES[self.data_set], point.bpp, point.psnr, None, None,
                {"lpips": point.lpips} | ({} if point.fid_256 is None else {"fid_256": point.fid_256}),
            )
            for point in self.points
        ]  # fmt: skip


CURVES = (
    PublishedCurve(
        "HiFiC", CLIC, HIFIC,
        (
            PublishedPoint("Lo", 0.129, 30.87, 0.0539, 4.20),
            PublishedPoint("Mi", 0.250, 32.94, 0.0349, 2.38),
            PublishedPoint("Hi", 0.374, 34.60, 0.0250, 1.67),
        ),
    ),
    PublishedCurve(
        "HiFiC", KODAK, HIFIC,
        (
            PublishedPoint("Lo", 0.183, 27.57, 0.0686),
            PublishedPoint("Mi", 0.351, 29.65, 0.0428),
            PublishedPoint("Hi", 0.538, 31.74, 0.0278),
        ),
    ),
    PublishedCurve(
        "MS-ILLM", CLIC, MS_ILLM,
        (
            PublishedPoint("0.03 bpp", 0.0346, 27.88, 0.1137, 6.27),
            PublishedPoint("0.12 bpp", 0.1206, 30.87, 0.0541, 2.65),
            PublishedPoint("0.51 bpp", 0.5125, 35.88, 0.0173, 1.09),
        ),
    ),
    PublishedCurve("MS-ILLM without GAN", CLIC, MS_ILLM, (PublishedPoint("0.12 bpp", 0.120, 31.99, 0.0466, 6.56),)),
    PublishedCurve("CRDR", CLIC, CRDR, (PublishedPoint("0.12 bpp", 0.1215, 31.64, 0.0613, 4.12),)),
    PublishedCurve("StableCodec", CLIC, STABLECODEC, (PublishedPoint("0.03 bpp", 0.0308, 24.93, 0.138, 3.34),)),
)  # fmt: skip


def published_rows() -> list[PooledRow]:
    """All of them."""
    return [row for curve in CURVES for row in curve.rows()]


def sources() -> list[str]:
    """One line a paper: which codec, where it was measured, and the reference."""
    codecs: dict[str, list[PublishedCurve]] = {}
    for curve in CURVES:
        codecs.setdefault(curve.source, []).append(curve)
    return [
        f"{curves[0].codec}, on {' and '.join(dict.fromkeys(curve.data_set for curve in curves))}: {source}"
        for source, curves in codecs.items()
    ]
