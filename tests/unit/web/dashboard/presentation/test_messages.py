"""What validation can say of a form has a sentence in Chinese; the messages are found in the code."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from functions.web.dashboard.presentation.phrases import phrasebook
from tests.support.serving import ROOT

FUNCTIONS = ROOT / "functions"
SOURCES = (
    "domain/schedule",
    "domain/task.py",
    "domain/costs/task_budget.py",
    "domain/events.py",
    "domain/types.py",
    "domain/alerts/routing.py",
    "task_types",
    "web/dashboard",
)
ERRORS = frozenset(
    {"ValueError", "SelectorError", "ScheduleError", "FieldError", "InputError", "NotAllowedError", "Problem"}
)
# What no form of a page can meet: files of the operator, what only a tick or the API does.
ELSEWHERE = (
    "task_types/registry.py",
    "task_types/agent/m",
    "task_types/agent/providers.py",
    "support/limits.py",
)
NAMES = re.compile(r"[A-Z_]{3,}|[a-z]+[A-Z]\w*|[\w-]*[/.:@*#_=]\S*|\{\{.*?\}\}")
BLANK = "9"  # stands for what is filled in


def messages() -> Iterator[tuple[str, str]]:
    for source in SOURCES:
        path = FUNCTIONS / source
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            if any(one in str(file) for one in ELSEWHERE):
                continue
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and name_of(node) in ERRORS:
                    for argument in node.args:
                        yield from ((text, file.name) for text in texts(argument))


def name_of(call: ast.Call) -> str:
    return call.func.id if isinstance(call.func, ast.Name) else ""


def texts(node: ast.expr) -> list[str]:
    """The texts an expression may be, with a blank for what is filled in."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return [node.value] if " " in node.value else []
    if isinstance(node, ast.JoinedStr):
        parts = [one.value if isinstance(one, ast.Constant) else BLANK for one in node.values]
        return ["".join(map(str, parts))]
    if isinstance(node, ast.Dict):
        return [text for value in node.values for text in texts(value)]
    return []


@pytest.mark.parametrize(("message", "file"), sorted(set(messages())))
def test_a_message_has_a_sentence_in_chinese(message: str, file: str) -> None:
    said = phrasebook("zh").sentence(message)

    left = re.findall(r"[A-Za-z]{4,}", NAMES.sub("", said))
    assert [] == [word for word in left if word not in KNOWN], said


KNOWN = frozenset({
    *("count", "contains", "main", "even"),
    *("cron", "daily", "every", "auto", "JSON", "HEAD", "goal", "prompt", "tools", "hosts", "shell", "form"),
    *("auth", "bearer", "basic", "equals", "https", "timezone", "admin", "write", "read", "body", "json"),
    *("Authorization", "groups", "name", "shop", "expect", "schema", "exists", "false", "greater", "less"),
})  # fmt: skip


@pytest.mark.slow
def test_messages_are_found() -> None:
    assert len(set(messages())) > 60
    assert Path(FUNCTIONS / SOURCES[0]).is_dir()
