"""The commands about keys."""

import json
from datetime import datetime, timedelta

from tests.unit.cli.conftest import Scheduler


def test_a_key_is_made_shown_once_listed_and_revoked(scheduler: Scheduler) -> None:
    made = json.loads(scheduler("keys", "create", "Phone", "--scope", "read", "--scope", "run", "--json").out)
    listed = scheduler("keys", "list")
    [kept] = json.loads(scheduler("keys", "--json").out)
    revoked = scheduler("keys", "revoke", kept["id"])

    assert made["token"].startswith(f"cf_{kept['id']}_")
    assert ["read", "run"] == kept["scopes"]
    assert "Phone" in listed.out
    assert made["token"] not in listed.out
    assert 0 == revoked.code
    assert "revoked" in scheduler("keys", "list").out


def test_a_key_may_end_after_a_time(scheduler: Scheduler) -> None:
    scheduler("keys", "create", "Guest", "--scope", "read", "--expires", "90 days")

    [kept] = scheduler("keys", "list", "--json").data
    made, end = (datetime.fromisoformat(kept[name]) for name in ("createdAt", "expiresAt"))
    assert timedelta() <= made + timedelta(days=90) - end < timedelta(minutes=1)


def test_what_makes_no_key_says_why(scheduler: Scheduler) -> None:
    no_scope = scheduler("keys", "create", "Phone")
    unknown = scheduler("keys", "revoke", "00000000")
    over = scheduler("keys", "create", "Phone", "--scope", "read", "--expires", "2020-01-01T00:00:00Z")

    assert (2, 1, 2) == (no_scope.code, unknown.code, over.code)
    assert "--scope" in no_scope.err
    assert "there is no key" in unknown.err.lower()
    assert "expiresAt" in over.err


def test_a_key_says_what_its_tasks_may_use(scheduler: Scheduler) -> None:
    scheduler("keys", "create", "All", "--scope", "write")
    scheduler("keys", "create", "Ann", "--scope", "write", "--owner", "ann")
    limits = (
        "--allow-type",
        "http",
        "--allow-secret",
        "SHOP",
        "--allow-secret",
        "MORE",
        "--allow-mcp-server",
        "docs",
        "--allow-operator-token",
    )
    made = scheduler("keys", "create", "Narrow", "--scope", "write", *limits, "--json")

    listed = scheduler("keys", "list").out

    assert {
        "types": ["http"],
        "secrets": ["SHOP", "MORE"],
        "channels": [],
        "mcpServers": ["docs"],
        "operatorToken": True,
    } == json.loads(made.out)["key"]["capabilities"]
    assert "types http; secrets SHOP, MORE; MCP servers docs; GITHUB_TOKEN" in " ".join(listed.split())
    assert "what ann may" in listed


def test_a_type_that_is_none_cannot_be_allowed(scheduler: Scheduler) -> None:
    said = scheduler("keys", "create", "Phone", "--scope", "read", "--allow-type", "htp")

    meant = "--allow-type: there is no task type 'htp'; did you mean http?"
    assert (2, True) == (said.code, meant in said.err)
