"""The files that pages load, and how they look to those who need contrast."""

import re
from hashlib import sha256

import pytest

from functions.web.dashboard.assets import FOLDER, HTMX
from tests.unit.web.dashboard.conftest import Browser, clock, wired

__all__ = ["clock", "wired"]

# Of htmx.org 2.0.11; scripts/vendor compares the package with the digest that npm publishes.
DIGESTS = {
    "LICENSE": "d3d2456f76414f2456104660ebd65aff1c04cd7966b942bdabd63f3cdb316a38",
    "htmx.min.js": "d6fdc75f204e6bdefa99b69bf1e6d4ac69b8a364f77929f45c13476b4000f717",
}
STYLE = (FOLDER / "templates" / "style.css").read_text(encoding="utf-8")
LIGHT, DARK = (
    dict(re.findall(r"--([\w-]+): (#[0-9a-f]{3,6});", block))
    for block in re.findall(r":root \{(.*?)\}", STYLE, re.S)
)


def test_htmx_is_the_pinned_package() -> None:
    listed = (line.split() for line in (HTMX / "SHA256SUMS").read_text().splitlines())

    assert DIGESTS == {name: digest for digest, name in listed}
    assert DIGESTS == {name: sha256((HTMX / name).read_bytes()).hexdigest() for name in DIGESTS}


@pytest.mark.parametrize(
    ("path", "type_"),
    [
        ("/dashboard/htmx.js", "text/javascript; charset=utf-8"),
        ("/dashboard/page.js", "text/javascript; charset=utf-8"),
        ("/dashboard/style.css", "text/css; charset=utf-8"),
        ("/dashboard/icon.svg", "image/svg+xml"),
    ],
)
async def test_each_file_is_served_with_its_type_and_kept_a_day(
    browser: Browser, path: str, type_: str
) -> None:
    answer = await browser.get(path)

    assert (200, type_) == (answer.status, answer.headers["content-type"])
    assert "public, max-age=86400" == answer.headers["cache-control"]


@pytest.mark.parametrize("theme", [LIGHT, LIGHT | DARK], ids=["light", "dark"])
@pytest.mark.parametrize(
    ("front", "back", "least"),
    [
        *((text, back, 4.5) for text in ("ink", "soft") for back in ("paper", "card", "sunken")),
        *((text, f"{text}-soft", 4.5) for text in ("accent", "good", "bad", "warn", "quiet")),
        *((text, "card", 4.5) for text in ("accent", "good", "bad", "warn", "quiet")),
        ("ink", "good-soft", 4.5),
        ("ink", "bad-soft", 4.5),
        ("ink", "warn-soft", 4.5),
        ("accent-ink", "accent", 4.5),
        *((part, back, 3.0) for part in ("control", "focus", "accent") for back in ("paper", "card")),
        *((f"{mark}-fill", "card", 3.0) for mark in ("good", "bad")),
    ],
)
def test_text_and_controls_stand_out(theme: dict[str, str], front: str, back: str, least: float) -> None:
    lighter, darker = sorted((luminance(theme[front]), luminance(theme[back])), reverse=True)

    assert (lighter + 0.05) / (darker + 0.05) >= least


def luminance(colour: str) -> float:
    """As WCAG 2 defines it."""
    digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
    red, green, blue = (linear(int(digits[start : start + 2], 16) / 255) for start in (0, 2, 4))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def linear(channel: float) -> float:
    return channel / 12.92 if channel <= 0.04045 else float(((channel + 0.055) / 1.055) ** 2.4)
