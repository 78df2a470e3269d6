"""What tasks may use: what is allowed to an owner or a key, and what one may hand on to another."""

from types import SimpleNamespace
from typing import Any

import pytest

from functions.domain.lifecycle.permissions import UNRESTRICTED, Capabilities
from functions.domain.task import NotifyRule

CLOSED = Capabilities()


def task(type_: str = "http", params: dict[str, Any] | None = None, *channels: str) -> Any:
    """A task in as far as permissions look at it."""
    return SimpleNamespace(
        type=type_, params=params or {}, notify=(NotifyRule(on=("failure",), channels=channels),)
    )


SECRET = {"headers": {"Authorization": "Bearer {{ secret:SHOP_TOKEN }}"}}
DISPATCH = {"repository": "a/b", "eventType": "x"}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (task(), ""),
        (task("command"), "type: command is not allowed"),
        (task("python"), "type: python is not allowed"),
        (task("http", SECRET), "params: the secret SHOP_TOKEN is not allowed"),
        (task("http", {"a": [{"b": "x{{secret:A}}"}]}), "params: the secret A is not allowed"),
        (task("github_dispatch", DISPATCH), "params.token: is required, because the operator's token"),
        (task("github_dispatch", DISPATCH | {"token": ""}), "params.token: is required"),
        (
            task("github_dispatch", DISPATCH | {"token": "{{secret:A}}"}),
            "params: the secret A is not allowed",
        ),
        (task("http", {}, "pagerduty"), "notify: the channel pagerduty is not allowed"),
        (task("http", {}, "default"), ""),
        (task("http", {}, "nobody"), ""),
    ],
)
def test_an_owner_who_was_given_nothing_may_use_nothing_of_the_operators(given: Any, said: str) -> None:
    assert CLOSED.problem(given).startswith(said)
    assert bool(said) == bool(CLOSED.problem(given))
    assert "" == UNRESTRICTED.problem(given)


@pytest.mark.parametrize(
    ("capabilities", "given"),
    [
        (Capabilities(types=("command",)), task("command")),
        (Capabilities(types=("*",)), task("python")),
        (Capabilities(secrets=("SHOP_TOKEN",)), task("http", SECRET)),
        (Capabilities(channels=("pagerduty",)), task("http", {}, "pagerduty")),
        (Capabilities(mcp_servers=("docs",)), task("agent", {"goal": "x", "mcpServers": ["docs"]})),
        (Capabilities(operator_token=True), task("github_dispatch", DISPATCH)),
    ],
)
def test_what_is_named_is_allowed(capabilities: Capabilities, given: Any) -> None:
    assert "" == capabilities.problem(given)


def test_named_types_are_all_types() -> None:
    assert Capabilities(types=("http",)).problem(task("rss_watch"))
    assert Capabilities(types=()).problem(task("http"))


@pytest.mark.parametrize(
    ("more", "less", "field"),
    [
        (CLOSED, CLOSED, ""),
        (CLOSED, UNRESTRICTED, ""),
        (UNRESTRICTED, UNRESTRICTED, ""),
        (UNRESTRICTED, CLOSED, "types"),
        (Capabilities(types=("*",)), CLOSED, "types"),
        (Capabilities(types=("command",)), CLOSED, "types"),
        (CLOSED, Capabilities(types=("http",)), "types"),
        (Capabilities(types=("http",)), CLOSED, ""),
        (Capabilities(types=("http",)), Capabilities(types=("http", "command")), ""),
        (Capabilities(secrets=("A",)), CLOSED, "secrets"),
        (Capabilities(secrets=("*",)), Capabilities(secrets=("A",)), "secrets"),
        (Capabilities(secrets=("A",)), Capabilities(secrets=("*",)), ""),
        (Capabilities(channels=("x",)), CLOSED, "channels"),
        (Capabilities(mcp_servers=("docs",)), CLOSED, "mcpServers"),
        (Capabilities(operator_token=True), CLOSED, "operatorToken"),
    ],
)
def test_what_one_has_beyond_another(more: Capabilities, less: Capabilities, field: str) -> None:
    assert field == more.excess_over(less)


@pytest.mark.parametrize(
    ("capabilities", "words"),
    [
        (CLOSED, "types but command, python"),
        (Capabilities(types=()), "types none"),
        (
            Capabilities(types=("http", "command"), secrets=("A",), operator_token=True),
            "types http, command; secrets A; GITHUB_TOKEN",
        ),
        (UNRESTRICTED, "types all; secrets all; channels all; MCP servers all; GITHUB_TOKEN"),
    ],
)
def test_it_is_told_in_a_few_words(capabilities: Capabilities, words: str) -> None:
    assert words == capabilities.describe()
