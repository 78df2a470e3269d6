"""Task type `page_watch`: reports each change of the text in a part of a web page."""

from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints

from functions.domain.run import Outcome, failed, succeeded
from functions.domain.task import Job
from functions.domain.types import Model
from functions.http_client.httpx import httpx
from functions.parsing.errors import ParsingStoppedError, UnreadableError
from functions.parsing.page_parts import (
    MAX_KEPT_CHARS,
    MAX_PAGE_BYTES,
    Difference,
    PagePart,
    compare_texts,
    read_part,
)
from functions.parsing.pool import parsing_time
from functions.task_types.page_watch.memory import PageMemory, subject_of
from functions.task_types.page_watch.selector import MAX_SELECTOR_CHARS, check_selector
from functions.task_types.support.context import Headers, Seconds, Tools, WebUrl, with_own_headers
from functions.task_types.support.responses import (
    elapsed_ms,
    is_truncated,
    response_text,
    unexpected_status,
)
from functions.task_types.support.versions import DocumentVersion

EXAMPLE: dict[str, Any] = {"url": "https://example.com/pricing", "selector": "#plans .price"}
_ACCEPT = "text/html, application/xhtml+xml, */*;q=0.5"
_GONE = "the page is gone for good. Remove the task, or set url to another page"
_SHOWN_CHARS = 120  # of the first line that is new, in the summary
_ITEM_CHARS = 480  # of the difference, in a notice
_SCRIPTS_HINT = "what its scripts would write is not there, as they are not run"


def _as_text(given: Any) -> Any:
    return str(given) if isinstance(given, int | float) and not isinstance(given, bool) else given


Ignored = Annotated[
    str,
    BeforeValidator(_as_text, json_schema_input_type=str | int | float),
    StringConstraints(strip_whitespace=True, min_length=1, max_length=200),
]
Selector = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_SELECTOR_CHARS),
    AfterValidator(check_selector),
]


class Params(Model):
    """The page, and which part of it is watched.

    Attributes:
        url: http or https.
        selector: CSS, as browsers' tools copy it; the texts of all its matches are watched together.
        ignore: Lines with one of these texts are left out.
        ignore_numbers: Whether a text that differs in digits alone has not changed.
        when_missing: What it means when nothing on the page matches: a failure, or nothing.
        report_returns: Whether a text that was there within the last day is reported when it returns.
        headers: Sent with the request, such as a language or who reads it.
    """

    url: WebUrl
    selector: Selector = "body"
    ignore: Annotated[tuple[Ignored, ...], Field(max_length=30)] = ()
    ignore_numbers: bool = False
    when_missing: Literal["fail", "ignore"] = "fail"
    report_returns: bool = False
    headers: Headers = Field(default_factory=dict)
    timeout_seconds: Seconds = 10.0


@dataclass(frozen=True, slots=True)
class _Look:
    """One look at the page: what was asked, what came, and what is known of it."""

    job: Job
    params: Params
    tools: Tools
    response: httpx.Response
    memory: PageMemory
    subject: str

    @property
    def metrics(self) -> dict[str, Any]:
        return {"status": self.response.status_code, "latencyMs": elapsed_ms(self.response)}

    @property
    def parsing_s(self) -> float:
        """For each of the two calls that a change takes."""
        return parsing_time(self.job.timeout_s) / 2


async def perform(job: Job, params: Params, tools: Tools) -> Outcome:
    """Fetch the page if it has changed, and report how. The first run only records its text."""
    subject = subject_of(params.url, params.selector, params.ignore, params.ignore_numbers)
    memory = PageMemory.from_stored(job.memory, subject=subject)
    conditions = memory.version.conditional_headers(job.started_at)
    response = await tools.http.get(
        params.url,
        headers=with_own_headers({"Accept": _ACCEPT} | conditions, params.headers),
        timeout=params.timeout_seconds,
        extensions={"max_body_bytes": MAX_PAGE_BYTES},
    )
    look = _Look(job, params, tools, response, memory, subject)
    if response.status_code == 304 and conditions:
        return succeeded("Nothing new: the page has not changed", metrics=look.metrics)
    if response.status_code != 200:
        return unexpected_status(response, job, gone=_GONE)
    if problem := _unfit_body(response):
        return failed(problem, permanent=True, metrics=look.metrics)
    text = response_text(response)
    try:
        part = await tools.parse(
            partial(
                read_part,
                selector=params.selector,
                ignore=params.ignore,
                ignore_numbers=params.ignore_numbers,
                is_plain=_is_plain(response, text),
                is_xml="xml" in _media_type(response),
            ),
            text.encode("utf-8", "replace"),
            timeout_s=look.parsing_s,
            wait_s=look.parsing_s,
        )
    except UnreadableError as exc:
        return failed(f"The page was not searched: selector is {exc}", permanent=True, metrics=look.metrics)
    except ParsingStoppedError as exc:
        return failed(f"The page could not be read {exc.why}", metrics=look.metrics)
    return await _to_outcome(look, part)


def _unfit_body(response: httpx.Response) -> str:
    """Return why the body is no page that is read; empty when it may be one."""
    kind = _media_type(response)
    if kind and not any(word in kind for word in ("text", "html", "xml", "json")):
        return f"The address answered with {kind[:60]}, which is no page"
    if is_truncated(response):
        return f"The page is larger than {MAX_PAGE_BYTES // 1_048_576} MB, the most that is read"
    return ""


def _is_plain(response: httpx.Response, text: str) -> bool:
    """Whether the body is a text without markup, such as CSV or JSON; some servers call a page plain."""
    kind = _media_type(response)
    return bool(kind) and "html" not in kind and "xml" not in kind and not text.lstrip().startswith("<")


def _media_type(response: httpx.Response) -> str:
    first = response.headers.get("content-type", "").lower().partition(",")[0]  # of two headers
    return first.partition(";")[0].strip()


async def _to_outcome(look: _Look, part: PagePart) -> Outcome:
    if part.asks_password and _leads_elsewhere(look):
        return failed(
            f"The address leads to a page that asks for a password: {_name(look, part)}", metrics=look.metrics
        )
    metrics = look.metrics | {"matches": part.matches, "characters": part.chars}
    if not part.chars:
        return _missing(look, part, metrics)
    memory = look.memory
    version = DocumentVersion.of(look.response.headers, now=look.job.started_at)
    text = look.tools.redact(part.text)
    is_whole = part.chars <= MAX_KEPT_CHARS
    new_memory = memory.with_text(part.digest, text, version, is_whole=is_whole, now=look.job.started_at)
    stored = None if new_memory == memory else new_memory.to_stored(subject=look.subject)
    if memory.digest is None:
        summary = (
            f"Recorded {part.chars:,} characters of {_name(look, part)}; changes are reported from now on"
        )
        return succeeded(summary, metrics=metrics, memory=stored)
    if part.digest == memory.digest:
        return succeeded(f"Nothing new on {_name(look, part)}", metrics=metrics, memory=stored)
    if not look.params.report_returns and memory.is_recent(part.digest, now=look.job.started_at):
        summary = (
            f"{_name(look, part)} has a text again that it had within the last day; that is not reported"
        )
        return succeeded(_capitalised(summary), metrics=metrics, memory=stored)
    return await _changed(look, part, text, metrics, stored)


def _missing(look: _Look, part: PagePart, metrics: dict[str, Any]) -> Outcome:
    """Return the outcome of a page on which nothing matches, or only what has no text."""
    selector = look.tools.redact(look.params.selector)[:80]
    what = (
        f"What matches {selector} has no text" if part.matches else f"Nothing on the page matches {selector}"
    )
    where = f"the page is {_name(look, part)}" if part.title else "the page has no title"
    summary = f"{what}: {where}" + (f"; {_SCRIPTS_HINT}" if part.has_scripts else "")
    if look.params.when_missing == "ignore":
        return succeeded(f"{summary}. That is ignored", metrics=metrics)
    return failed(summary, metrics=metrics)


async def _changed(
    look: _Look, part: PagePart, text: str, metrics: dict[str, Any], stored: dict[str, Any] | None
) -> Outcome:
    difference = await _difference(look, text)
    summary = f"{_capitalised(_name(look, part))} has changed{_in_words(difference, look.memory)}"
    lines = "" if difference is None else difference.lines
    changed = "\n".join(line for line in lines.splitlines() if line.startswith(("+", "-")))
    item = {"title": summary, "url": look.params.url, "text": changed[:_ITEM_CHARS]}
    return succeeded(
        summary,
        metrics=metrics | ({"diff": lines} if lines else {}),
        items=(item,),
        memory=stored,
        has_news=True,
    )


async def _difference(look: _Look, text: str) -> Difference | None:
    """Return how the text that is kept differs; None when that could not be found out in time."""
    before = look.memory.text
    try:
        return await look.tools.parse(
            partial(compare_texts, before=before, ignore_numbers=look.params.ignore_numbers),
            (text if look.memory.is_whole else text[: len(before)]).encode("utf-8", "replace"),
            timeout_s=look.parsing_s,
            wait_s=look.parsing_s,
        )
    except ParsingStoppedError:
        return None


def _in_words(difference: Difference | None, memory: PageMemory) -> str:
    """Return how much is different and the first of it, to follow `has changed`."""
    if difference is None:
        return "; what is different could not be found out in time"
    counts = [(difference.added, "added"), (difference.removed, "removed")]
    parts = [f"{count} line{'s' * (count != 1)} {what}" for count, what in counts if count]
    if not parts:
        return f" beyond its first {len(memory.text):,} characters, which are all that is compared by line"
    return f": {', '.join(parts)}; {'+' if difference.added else '-'} {difference.first[:_SHOWN_CHARS]}"


def _leads_elsewhere(look: _Look) -> bool:
    """Whether redirects led to another page, not to another spelling of the address."""
    return _path(str(look.response.url)) != _path(look.params.url)


def _path(url: str) -> str:
    return urlsplit(url).path.rstrip("/").lower()


def _name(look: _Look, part: PagePart) -> str:
    """Return what to call the page: its title as it stands there."""
    title = look.tools.redact(part.title)
    return f"\u201c{title}\u201d" if title else "a page without a title"


def _capitalised(text: str) -> str:
    return text[:1].upper() + text[1:]
