"""The commands about API keys: `keys create`, `keys list` and `keys revoke`."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from functions.cli.arguments.moments import Moment
from functions.cli.console import Cell
from functions.cli.options import UsageError, format_local
from functions.cli.session import CliContext
from functions.cli.tasks import PRINCIPAL_NAME
from functions.domain.access import (
    ADMINISTRATOR,
    ApiKey,
    ListedKey,
    Scope,
)
from functions.domain.lifecycle.permissions import ANY, Capabilities
from functions.domain.validation import suggest, validation_sentence
from functions.task_types.registry import type_names

PRINCIPAL = replace(ADMINISTRATOR, name=PRINCIPAL_NAME)  # access to the store is access to everything in it


async def create_key(
    context: CliContext,
    *,
    name: str,
    scopes: Sequence[Scope],
    owner: str,
    expires: Moment | None,
    allowed: Mapping[str, Any],
) -> int:
    """Create a key and show its token once."""
    context.make_signing_secret()
    key, token = await context.app.keys.create(
        name=name,
        scopes=tuple(scopes),
        owner=owner,
        expires_at=expires.resolve(context.now(), context.settings.default_timezone) if expires else None,
        capabilities=allow(Capabilities(), allowed) if allowed else None,
        by=PRINCIPAL,
    )
    return show_new_key(context, {"key": key.model_dump(mode="json", by_alias=True), "token": token})


def show_new_key(context: CliContext, made: Mapping[str, Any]) -> int:
    """Show the token of a key once; return the exit code."""
    context.screen.show(made, [made["token"], "Save it now: it is shown only once and is not stored."])
    return 0


async def list_keys(context: CliContext) -> int:
    """Show all keys, newest first."""
    found = await context.app.keys.list_keys(by=PRINCIPAL)
    return show_keys(context, found.keys, found.unreadable)


def show_keys(context: CliContext, keys: Sequence[ListedKey], unreadable: Sequence[str]) -> int:
    """Show *keys*; return the exit code."""
    rows = [
        (
            key.id,
            key.name,
            ", ".join(key.scopes),
            key.owner or "all",
            _describe_capabilities(key),
            format_local(key.created_at.replace(microsecond=0), "UTC"),
            _key_state(key, context.now()),
        )
        for key in keys
    ]
    for key_id in unreadable:
        context.screen.warn(
            f"The key {key_id} cannot be read and is refused: scheduler keys revoke {key_id} removes it"
        )
    head = ("KEY", "NAME", "SCOPES", "OWNER", "ITS TASKS MAY USE", "CREATED", "STATE")
    table = context.screen.format_table(head, rows)
    none = ["There are no keys yet: scheduler keys create NAME creates one"]
    data = [key.model_dump(mode="json", by_alias=True) for key in keys]
    context.screen.show(data, table if rows else none)
    context.show_store()
    return 0


def _describe_capabilities(key: ApiKey) -> str:
    if key.capabilities is not None:
        return key.capabilities.describe()
    return f"what {key.owner} may" if key.owner else "all"


def allow(before: Capabilities, allowed: Mapping[str, Any]) -> Capabilities:
    """Return *before* with what is *allowed* in place of its fields."""
    known = (*type_names(), ANY)
    for name in allowed.get("types") or ():
        if name not in known:
            hint = suggest(name, known) or f"known are {', '.join(known)}"
            raise UsageError(f"--allow-type: there is no task type {name!r}; {hint}")
    try:
        return Capabilities.model_validate(before.model_dump() | dict(allowed))
    except ValidationError as exc:
        raise UsageError(validation_sentence(exc, allowed, model=Capabilities)) from None


async def revoke_key(context: CliContext, *, key_id: str) -> int:
    """Revoke a key permanently."""
    key = await context.app.keys.revoke(key_id, by=PRINCIPAL)
    return show_revoked_key(context, key.model_dump(mode="json", by_alias=True))


def show_revoked_key(context: CliContext, key: Mapping[str, Any]) -> int:
    """Show that *key* is revoked; return the exit code."""
    context.screen.show(key, [f"{key['name']} is revoked"])
    return 0


def _key_state(key: ListedKey, now: datetime) -> Cell:
    if key.revoked_at is not None:
        return Cell("revoked", "red")
    if key.signature == "invalid":
        return Cell("refused: not signed", "red")
    if key.signature == "previous" and key.is_active(now):
        return Cell("active, signed by the secret being retired", "yellow")
    return Cell("active", "green") if key.is_active(now) else Cell("expired", "dim")
