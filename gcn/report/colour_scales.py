"""Two colour scales, the values of matplotlib's ``magma`` and ``RdBu``, without its import."""

import base64
from functools import cache

import numpy as np
from numpy.typing import NDArray

_RED_BLUE = [
    (103, 0, 31), (178, 24, 43), (214, 96, 77), (244, 165, 130), (253, 219, 199), (247, 247, 247),
    (209, 229, 240), (146, 197, 222), (67, 147, 195), (33, 102, 172), (5, 48, 97),
]  # fmt: skip
_MAGMA = (
    "AAADAAAEAAAGAQAHAQEJAQELAgINAgIPAwMRBAMTBAQVBQQXBgUZBwUbCAYdCQcfCgciCwgkDAkmDQooDgoqDwssEAwvEQwxEg0z"
    "FA01FQ44Fg46Fw88GA8/GhBBGxBEHBBGHhBJHxFLIBFNIhFQIxFSJRFVJhFXKBFZKhFcKxFeLRBgLxBiMBBlMhBnNBBoNQ9qNw9s"
    "OQ9uOw9vPA9xPg9yQA9zQg90Qw91RQ92Rw93SBB4ShB5SxB5TRF6TxF7UBJ7UhJ8UxN8VRN9VxR9WBV+WhV+WxZ+XRd+Xhd/YBh/"
    "YRh/Yxl/ZRqAZhqAaBuAaRyAaxyAbB2Abh6Bbx6BcR+Bcx+BdCCBdiGBdyGBeSKBeiKBfCOBfiSBfySBgSWBgiWBhCaBhSaBhyeB"
    "iSiBiiiBjCmAjSmAjyqAkSqAkiuAlCuAlSyAlyx/mS1/mi1/nC5/ni5+ny9+oS9+ozB+pDB9pjF9pzF9qTJ8qzN8rDN7rjR7sDR7"
    "sTV6szV6tTZ5tjZ5uDd4uTd4uzh3vTl3vjl2wDp1wjp1wzt0xTx0xjxzyD1yyj5yyz5xzT9wzkBw0EFv0UJu00Jt1ENt1kRs10Vr"
    "2UZq2kdp3Ehp3Ulo3kpn4Etm4Uxm4k1l5E5k5VBj5lFi51Ji6FRh6lVg61Zg7Fhf7Vlf7lte7l1d715d8GBd8WFc8mNc82Vc82db"
    "9Ghb9Wpb9Wxb9m5b9nBb93Fb93Nc+HVc+Hdc+Xlc+Xtd+X1d+n9e+oBe+oJf+4Rg+4Zg+4hh+4pi/Ixj/I5j/JBk/JJl/JNm/ZVn"
    "/Zdo/Zlp/Ztq/Z1r/Z9s/aFu/aJv/aRw/qZx/qhz/qp0/qx1/q52/q94/rF5/rN7/rV8/rd9/rl//ruA/ryC/r6D/sCF/sKG/sSI"
    "/saJ/seL/smN/suO/c2Q/c+S/dGT/dKV/dSX/daY/dia/dqc/dyd/d2f/d+h/eGj/OOl/OWm/Oao/Oiq/Oqs/Oyu/O6w/PCx/PGz"
    "/PO1/PW3+/e5+/m7+/q9+/y/"
)


@cache
def colours(name: str) -> NDArray[np.uint8]:
    """The 256 colours (256, 3) of the scale ``magma`` (dark to bright) or ``RdBu`` (red, white, blue)."""
    if name == "magma":
        return np.frombuffer(base64.b64decode(_MAGMA), np.uint8).reshape(256, 3)
    at = np.linspace(0, len(_RED_BLUE) - 1, 256)
    channels = [np.interp(at, range(len(_RED_BLUE)), channel) for channel in np.array(_RED_BLUE).T]
    return np.stack(channels, 1).round().astype(np.uint8)


def coloured(values: NDArray[np.float64], name: str) -> NDArray[np.uint8]:
    """Colours (..., 3) of values from 0 to 1; what lies beyond has the colour of the end."""
    return colours(name)[(np.clip(values, 0, 1) * 256).astype(int).clip(0, 255)]
