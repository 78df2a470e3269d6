"""The page `/docs`: nothing on it comes from elsewhere, and Swagger UI is what its package has."""

import re
from hashlib import sha256
from urllib.parse import urljoin

import pytest

from functions.web.reference import SWAGGER_UI
from tests.unit.web.api.conftest import Call, api, clock, wired

__all__ = ["api", "clock", "wired"]

# Of swagger-ui-dist 5.35.0; scripts/vendor compares the package with the digest that npm publishes.
DIGESTS = {
    "LICENSE": "cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30",
    "NOTICE": "0d20d1adef18aee3f40dd258172155521ce702ac445cb5f7b7d60ed32dad2fb2",
    "swagger-ui-bundle.js": "e6a898692f2d768e807c3ba4626068a69a2c5dd960dd6c76f3e4d3a3de180af2",
    "swagger-ui.css": "5ed08757e53da3e026d6cbecc61fe5d43585c9560b302d534ad56692519a273d",
}
ASSETS = ("/docs/start.js", "/docs/swagger-ui-bundle.js", "/docs/swagger-ui.css")


def test_swagger_ui_is_the_pinned_package() -> None:
    found = {
        path.name: sha256(path.read_bytes()).hexdigest()
        for path in SWAGGER_UI.iterdir()
        if path.name != "SHA256SUMS"
    }

    assert DIGESTS == found
    listed = (line.split() for line in (SWAGGER_UI / "SHA256SUMS").read_text().splitlines())
    assert DIGESTS == {name: digest for digest, name in listed}


async def test_the_page_loads_nothing_from_elsewhere(api: Call) -> None:
    page = await api("GET", "/docs", key=None)

    loaded = re.findall(r'(?:src|href)="([^"]*)"', page.body.decode())
    assert 200 == page.status
    assert set(ASSETS) <= {urljoin("/docs", address) for address in loaded}
    assert not [address for address in loaded if "//" in address]


async def test_the_page_allows_scripts_of_this_site_alone(api: Call) -> None:
    page = await api("GET", "/docs", key=None)

    policy = page.headers["content-security-policy"]
    assert "default-src 'none'; script-src 'self';" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    assert "DENY" == page.headers["x-frame-options"]
    assert not re.search(r"<script(?![^>]* src=)|<style| on\w+=| style=", page.body.decode())


@pytest.mark.parametrize("path", ASSETS)
async def test_each_file_is_served_with_its_type(api: Call, path: str) -> None:
    answer = await api("GET", path, key=None)

    assert 200 == answer.status
    assert answer.headers["content-type"].startswith(
        "text/css" if path.endswith("css") else "text/javascript"
    )
    assert "nosniff" == answer.headers["x-content-type-options"]
    assert answer.body


@pytest.mark.parametrize(
    "path", ["/docs/LICENSE", "/docs/__init__.py", "/docs/..%2fpage.html", "/docs/oauth2-redirect"]
)
async def test_nothing_else_is_served(api: Call, path: str) -> None:
    assert (await api("GET", path, key=None)).status in (404, 422)


async def test_the_page_asks_no_server_of_swaggers_to_validate(api: Call) -> None:
    assert b"validatorUrl: null" in (await api("GET", "/docs/start.js", key=None)).body
