"""Addresses that are nearly right, and pages that stayed open while something changed."""

import pytest

from tests.unit.web.dashboard.conftest import Browser


@pytest.mark.parametrize("path", ["/dashboard/", "/dashboard/runs/", "/dashboard/tasks/ping//"])
async def test_an_address_that_ends_with_a_slash_leads_to_its_page(browser: Browser, path: str) -> None:
    answer = await browser.get(path)

    assert (303, path.rstrip("/")) == (answer.status, answer.headers["location"])


async def test_nothing_is_posted_to_an_address_that_ends_with_a_slash(browser: Browser) -> None:
    assert 404 == (await browser.post("/dashboard/tasks/new/")).status
