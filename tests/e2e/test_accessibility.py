"""Every page in a real browser, in both themes, on a screen and a phone: axe-core objects to nothing."""

from collections.abc import Iterator, Sequence

import pytest
from selenium import webdriver

from tests.harness.pictures import LOOKS, look, pages_of, shown, sign_in
from tests.support.axe import axe_script
from tests.support.browser import chromium

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]  # 130 looks; half a minute on an idle machine

CHECK = """
const done = arguments[arguments.length - 1];
const only = arguments[0] ? {runOnly: {type: "rule", values: arguments[0]}} : {};
axe.run(arguments[1], {resultTypes: ["violations"], ...only}).then((all) => done(all.violations.map((one) =>
  `${one.id}: ${one.help}: ${one.nodes.slice(0, 3).map((node) => node.html.slice(0, 160)).join(" | ")}`)));
"""
# WCAG 1.4.11, which axe-core does not check: the edge or the ground of a control stands out 3:1.
CONTROLS = """
const light = (text) => {
  const [r, g, b] = text.match(/[\\d.]+/g).slice(0, 3).map((n) => n / 255)
    .map((c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const ground = (element) => {
  for (let one = element.parentElement; one; one = one.parentElement) {
    const colour = getComputedStyle(one).backgroundColor;
    if (!/, 0\\)$/.test(colour)) return colour;
  }
  return "rgb(255, 255, 255)";
};
const ratio = (a, b) => {
  const [x, y] = [light(a), light(b)].sort((p, q) => q - p);
  return (x + 0.05) / (y + 0.05);
};
return [...document.querySelectorAll("button, .button, input:not([type=checkbox]), select, textarea")]
  .filter((one) => one.getClientRects().length && !one.closest(".visually-hidden") && one.offsetWidth > 2)
  .map((one) => { const style = getComputedStyle(one), around = ground(one);
    return [Math.max(ratio(style.borderTopColor, around), ratio(style.backgroundColor, around)), one]; })
  .filter(([found]) => found < 3).slice(0, 3)
  .map(([found, one]) => `${found.toFixed(2)}:1 ${one.outerHTML.slice(0, 120)}`);
"""
FEW_LOOKS = ((1280, "light"), (390, "dark"))  # all rules: each width, and each theme
COLOURS = ["color-contrast", "link-in-text-block"]  # what the other two looks can change beside
PARAMS = ".sections > section:first-child"  # of a form: title and params
# Beside texts of any length: words of ordinary length are whole, and nothing lies on anything else.
SQUEEZED = """
for (const one of document.querySelectorAll("td .clamp, .buttons > details .danger")) {
  one.textContent = "x".repeat(300);
}
for (const one of document.querySelectorAll(".buttons > details")) one.open = true;
const lines = (node, from, to) => {
  const range = document.createRange();
  range.setStart(node, from); range.setEnd(node, to);
  return new Set([...range.getClientRects()].map((one) => Math.round(one.top))).size;
};
const found = [];
for (const place of document.querySelectorAll("td, .top")) {
  const texts = document.createTreeWalker(place, NodeFilter.SHOW_TEXT);
  for (let node = texts.nextNode(); node; node = texts.nextNode()) {
    if (node.parentElement.closest(".clamp, .tag, code, .visually-hidden")) continue;
    for (const word of node.data.matchAll(/[^\\s/-]{2,20}/g)) {
      if (lines(node, word.index, word.index + word[0].length) > 1) found.push(`${word[0]} is broken`);
    }
  }
}
const who = document.querySelector(".who")?.getBoundingClientRect();
for (const link of who ? document.querySelectorAll("nav a") : []) {
  const { right, bottom, top } = link.getBoundingClientRect();
  if (right > who.left && top < who.bottom && bottom > who.top) found.push(`${link.text} is covered`);
}
return found.slice(0, 3);
"""
WIDTH = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"


@pytest.fixture(scope="module")
def window() -> Iterator[webdriver.Chrome]:
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="module")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    return axe_script(tmp_path_factory.mktemp("axe"))


def test_every_page_is_for_everybody(window: webdriver.Chrome, axe: str) -> None:
    found: list[str] = []
    with shown(odd=True) as address:
        window.get(f"{address}/dashboard/sign-in")
        found += problems(window, axe, "sign-in")
        sign_in(window, address)
        for name in pages_of(window, address):
            if name.startswith("new-"):  # the forms of the types are alike, and like that of a task's edit
                found += problems(window, axe, name, FEW_LOOKS, within=PARAMS)
            else:
                found += problems(window, axe, name)
                found += [f"{name}: {one}" for one in squeezed(window)]
        errors = [one["message"] for one in window.get_log("browser") if one["level"] == "SEVERE"]  # type: ignore[no-untyped-call]

    assert [] == found
    assert [] == [one for one in errors if "/dashboard/nothing" not in one]  # a page of the error 404


def test_what_is_faint_or_has_no_name_is_found(window: webdriver.Chrome, axe: str) -> None:
    window.get(
        "data:text/html,<html lang=en><title>x</title><main><h1>x</h1><input style='border:1px solid %23ddd'>"
    )

    found = problems(window, axe, "here", looks=((1280, "light"),))

    assert ["here 1280 light: label:", "here 1280 light: 1.3"] == [
        one[:23] if "label" in one else one[:20] for one in found
    ]


def squeezed(window: webdriver.Chrome) -> list[str]:
    """What has no room on the open page in half a screen, where tables are the narrowest, and on paper."""
    found: list[str] = []
    for width, medium in ((970, "screen"), (718, "print")):
        look(window, width, "light")
        window.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": medium})
        found += [f"{medium}: {one}" for one in window.execute_script(SQUEEZED)]
        found += [f"{medium}: too wide"] if window.execute_script(WIDTH) > 0 else []
    window.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    return found


def problems(
    window: webdriver.Chrome,
    axe: str,
    place: str,
    looks: Sequence[tuple[int, str]] = LOOKS,
    *,
    within: str = "html",
) -> list[str]:
    """What is wrong with the open page, or with a part of it, in each look."""
    window.execute_script(axe)
    found: list[str] = []
    for width, theme in looks:
        look(window, width, theme)
        wide = window.execute_script(WIDTH)
        rules = None if (width, theme) in FEW_LOOKS else COLOURS
        wrong = [*window.execute_async_script(CHECK, rules, within), *window.execute_script(CONTROLS)]
        wrong += [f"{wide} px too wide"] if wide > 0 else []
        found += [f"{place} {width} {theme}: {one}" for one in wrong]
    return found
