"""Task type `dns_check`: checks the records of a name, as a name server answers them."""

import re
from collections.abc import Sequence
from functools import partial
from ipaddress import ip_address
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from functions.domain.run import Outcome, failed, succeeded
from functions.domain.task import Job
from functions.domain.types import Model
from functions.parsing.dns_answers import DnsAnswer, read_answer
from functions.parsing.errors import ParsingStoppedError, UnreadableError
from functions.parsing.pool import parsing_time
from functions.task_types.support.context import Seconds, Tools

EXAMPLE: dict[str, Any] = {"name": "example.com", "recordType": "MX", "contains": ["10 mail.example.com"]}
RecordType = Literal["A", "AAAA", "CAA", "CNAME", "MX", "NS", "SOA", "TXT"]
FINISH_MARGIN_S = 1.0  # of the attempt, for the outcome
SHOWN_VALUES = 5
SHOWN_CHARS = 100
MAX_KEPT = 100  # values that are remembered, to report what changes
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')  # a string of a zone file, with what is escaped in it
_ESCAPED = re.compile(rb"\\([01]\d\d|2[0-4]\d|25[0-5]|.)")
_SOA_FIELDS = 7
_CODES = {
    "NXDOMAIN": "does not exist (NXDOMAIN)",
    "SERVFAIL": (
        "could not be looked up (SERVFAIL): its own name servers do not answer, or its signatures (DNSSEC) "
        "are wrong"
    ),
    "REFUSED": "is not looked up by this name server (REFUSED): it answers for other names, or other clients",
}


def to_ascii_name(text: str) -> str:
    """Return a name as servers have it, in lower case and without the dot at its end.

    Raises:
        ValueError: It is none.
    """
    name = text.strip().removesuffix(".").lower()
    if not name.isascii():
        import idna  # for names of other scripts alone

        try:  # by its parts: IDNA has no underscores, and _dmarc stands before names of every script
            parts = idna.uts46_remap(name, std3_rules=False).split(".")
            name = ".".join(one if one.isascii() else idna.alabel(one).decode("ascii") for one in parts)
        except idna.IDNAError:
            raise ValueError("is no name: a part of it cannot be written as a domain") from None
    labels = name.split(".")
    if len(name) > 253 or not all(1 <= len(label) <= 63 for label in labels):
        raise ValueError("must be a name of parts with 1 to 63 characters, such as mail.example.com")
    if not all(sign.isalnum() or sign in "-_" for label in labels for sign in label):
        raise ValueError("may have letters, digits, -, _ and dots alone, such as _dmarc.example.com")
    return name


def _check_server(text: str) -> str:
    try:
        return str(ip_address(text.strip()))
    except ValueError:
        raise ValueError("must be the address of a name server in numbers, such as 1.1.1.1") from None


Name = Annotated[str, StringConstraints(min_length=1, max_length=300), AfterValidator(to_ascii_name)]
Value = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=4096)]
Values = Annotated[tuple[Value, ...], Field(max_length=50)]


class Params(Model):
    """What to check.

    Attributes:
        name: Letters of other scripts are fine.
        record_type: Which records.
        expect: Exactly these values, in any order.
        contains: Each of these values is among them.
        count: How many values there are; 0 means that there are none.
        report_changes: Whether other values than at the last run are news.
        server: The address of the name server; empty means those of the machine.
        timeout_seconds: Time for all of it.
    """

    name: Name
    record_type: RecordType = "A"
    expect: Values = ()
    contains: Values = ()
    count: Annotated[int, Field(ge=0, le=100)] | None = None
    report_changes: bool = False
    server: Annotated[str, StringConstraints(max_length=45), AfterValidator(_check_server)] | Literal[""] = ""
    timeout_seconds: Seconds = 5.0

    @model_validator(mode="after")
    def _check_values(self) -> Self:
        if self.count == 0 and (self.expect or self.contains):
            raise ValueError("count: 0 means that there are no values; leave out expect and contains")
        for value in (*self.expect, *self.contains):
            _normalised(value, self.record_type)
        return self


async def perform(job: Job, params: Params, tools: Tools) -> Outcome:
    """Ask once, and compare."""
    timeout_s = min(params.timeout_seconds, max(job.timeout_s - FINISH_MARGIN_S, 0.1))
    message = await tools.name_servers.ask(
        params.name, params.record_type, server=params.server, timeout_s=timeout_s
    )
    read = partial(read_answer, name=params.name, record_type=params.record_type)
    try:
        answer = await tools.parse(read, message, timeout_s=parsing_time(job.timeout_s))
    except UnreadableError as exc:
        return failed(f"The name server answered with {exc}")
    except ParsingStoppedError as exc:
        return failed(f"The answer of the name server could not be read {exc.why}")
    return _to_outcome(job, params, answer)


def _to_outcome(job: Job, params: Params, answer: DnsAnswer) -> Outcome:
    metrics: dict[str, Any] = {"code": answer.code, "count": len(answer.values)}
    if answer.ttl is not None:
        metrics["ttl"] = answer.ttl
    if answer.values:
        metrics["values"] = _listed(answer.values)
    if problem := _problem(params, answer):
        return failed(problem, metrics=metrics)
    found = f"{params.name} has {_counted(len(answer.values), params.record_type)}"
    if answer.values:
        found += f": {_listed(answer.values)}"
    return _with_changes(job, params, answer, found, metrics)


def _problem(params: Params, answer: DnsAnswer) -> str:
    """Return why the answer is not what is expected; empty when it is."""
    kind = params.record_type
    is_absent = answer.code == "NXDOMAIN" or (answer.code == "NOERROR" and not answer.values)
    if answer.is_truncated:
        return "The answer of the name server does not fit, and is cut off over TCP as well"
    if answer.is_referral:
        return f"The name server does not answer for {params.name}: it names others (a lame delegation)"
    if is_absent and params.count == 0:
        return ""
    if answer.code == "NXDOMAIN" and kind != "CNAME" and "CNAME" in answer.others:
        return (
            f"{params.name} is a CNAME of a name that does not exist (NXDOMAIN); others could take that name"
        )
    if answer.code != "NOERROR":
        return f"{params.name} {_CODES.get(answer.code, f'could not be looked up ({answer.code})')}"
    if not answer.values:
        others = f"; it has {', '.join(answer.others)}" if answer.others else ""
        return f"{params.name} has no {kind} records{others}"
    return _values_problem(params, answer)


def _values_problem(params: Params, answer: DnsAnswer) -> str:
    """Return which records are missing, or too many; empty when they are as expected."""
    kind = params.record_type
    missing = [one for one in (*params.expect, *params.contains) if not _is_among(one, answer.values, kind)]
    if missing:
        return f"{params.name} lacks {_listed(missing)}; its {kind} records are {_listed(answer.values)}"
    if params.expect:
        wanted = {_normalised(one, kind) for one in params.expect}
        extra = [one for one in answer.values if one not in wanted and _host(one, kind) not in wanted]
        if extra:
            return f"{params.name} has {kind} records that are not expected: {_listed(extra)}"
    if params.count is not None and len(answer.values) != params.count:
        found = _counted(len(answer.values), kind)
        return f"{params.name} has {found}, not {params.count}: {_listed(answer.values)}"
    return ""


def _with_changes(
    job: Job, params: Params, answer: DnsAnswer, found: str, metrics: dict[str, Any]
) -> Outcome:
    """Return the success; it is news when the values are others than before, where that is asked for."""
    if not params.report_changes:
        return succeeded(found, metrics=metrics)
    subject = f"{params.record_type} {params.name} {params.server}"
    before = job.memory.get("values") if job.memory.get("subject") == subject else None
    now = list(answer.values)
    if len(now) > MAX_KEPT:
        return failed(f"{found}; changes are reported of at most {MAX_KEPT}", metrics=metrics)
    memory = {"subject": subject, "values": now}
    if not isinstance(before, list):
        return succeeded(
            f"Recorded: {found}; changes are reported from now on", metrics=metrics, memory=memory
        )
    come, gone = [one for one in now if one not in before], [str(one) for one in before if one not in now]
    if not come and not gone:
        return succeeded(f"Nothing new: {found}", metrics=metrics)
    parts = [f"new {_listed(come)}" if come else "", f"gone {_listed(gone)}" if gone else ""]
    summary = (
        f"The {params.record_type} records of {params.name} have changed: {', '.join(filter(None, parts))}"
    )
    items = tuple({"title": f"{sign} {one}"} for sign, values in (("+", come), ("-", gone)) for one in values)
    return succeeded(summary, metrics=metrics, items=items[:20], memory=memory, has_news=True)


def _is_among(wanted: str, values: Sequence[str], kind: str) -> bool:
    normal = _normalised(wanted, kind)
    return any(normal in (value, _host(value, kind)) for value in values)


def _host(value: str, kind: str) -> str:
    """Return the host of an MX record, which may be expected whatever its preference; else *value*."""
    return value.partition(" ")[2] if kind == "MX" else value


def _normalised(value: str, kind: str) -> str:
    """Return an expected value as an answer has it; raises ValueError when no answer can have it."""
    match kind:
        case "A" | "AAAA":
            return _normalised_address(value, kind)
        case "TXT" if not _QUOTED.sub("", value).strip():  # as `dig` and zone files write it
            return _joined(_QUOTED.findall(value))
        case "SOA":
            return _normalised_soa(value)
        case "CAA":
            flags, tag, text = (*value.split(maxsplit=2), "", "", "")[:3]
            return f'{flags} {tag.lower()} "{text.strip(chr(34))}"'
        case "CNAME" | "NS" | "MX":
            return _normalised_host(value)
        case _:
            return value


def _normalised_address(value: str, kind: str) -> str:
    try:
        address = ip_address(value)
    except ValueError:
        raise ValueError(f"expect, contains: an {kind} record is an address in numbers") from None
    if address.version != (4 if kind == "A" else 6):
        raise ValueError(f"expect, contains: an {kind} record is no address of IPv{address.version}")
    return str(address)


def _normalised_soa(value: str) -> str:
    fields = value.split()
    if len(fields) != _SOA_FIELDS:
        raise ValueError("expect, contains: an SOA record has seven fields")
    return " ".join([*(one.rstrip(".").lower() or "." for one in fields[:2]), *fields[2:]])


def _normalised_host(value: str) -> str:
    """Return a host, behind its preference if it is that of an MX record."""
    preference, _, host = value.rpartition(" ")
    if host == ".":  # of a name that takes no mail
        return value
    try:
        return f"{preference} {to_ascii_name(host)}".strip()
    except ValueError as exc:
        raise ValueError(f"expect, contains: a name in it {exc}") from None


def _joined(strings: Sequence[str]) -> str:
    r"""Return the text of a TXT record: `"caf\195\169 " "\"bar\""` is `café "bar"`."""

    def unescape(found: re.Match[bytes]) -> bytes:
        sign = found[1]
        return bytes([int(sign)]) if len(sign) > 1 else sign

    whole = b"".join(_ESCAPED.sub(unescape, one[1:-1].encode("utf-8", "replace")) for one in strings)
    return whole.decode("utf-8", "backslashreplace")


def _counted(count: int, kind: str) -> str:
    if not count:
        return f"no {kind} records"
    return f"1 {kind} record" if count == 1 else f"{count} {kind} records"


def _listed(values: Sequence[str]) -> str:
    shown = [one if len(one) <= SHOWN_CHARS else f"{one[:SHOWN_CHARS]}…" for one in values[:SHOWN_VALUES]]
    hidden = len(values) - SHOWN_VALUES
    return ", ".join(shown) + (f" and {hidden} more" if hidden > 0 else "")
