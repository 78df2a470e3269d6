"""Reading what a name server answers: its code, its flags, and the records of one type as texts."""

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

from functions.parsing.errors import UnreadableError

MAX_VALUE_CHARS = 4096


@dataclass(frozen=True, slots=True)
class DnsAnswer:
    """An answer.

    Attributes:
        code: `NOERROR`, `NXDOMAIN`, `SERVFAIL`, ...
        values: The records of the type that was asked for, sorted: addresses in their shortest form, names in
            lower case without the dot at their end, the strings of a TXT record joined.
        others: The types of what else was answered, such as `CNAME`.
        ttl: The shortest time, in seconds, for which the values hold; None without any.
        is_truncated: Whether the answer did not fit, so that it must be asked for over TCP.
        is_referral: Whether the server only names others: it neither answers for the name nor looks it up.
    """

    code: str
    values: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    ttl: int | None = None
    is_truncated: bool = False
    is_referral: bool = False


def read_answer(message: bytes, *, name: str, record_type: str) -> DnsAnswer:
    """Read *message*, the answer to a question.

    Args:
        name: What was asked for, in ASCII, without the dot at its end.

    Raises:
        UnreadableError: It is no answer, or one to another question.
    """
    import dns.exception
    import dns.flags
    import dns.message
    import dns.name
    import dns.rcode
    import dns.rdatatype

    try:
        found = dns.message.from_wire(message, ignore_trailing=True, raise_on_truncation=False)
        asked = dns.name.from_text(f"{name}.")
        kind = dns.rdatatype.from_text(record_type)
    except (dns.exception.DNSException, ValueError) as exc:
        raise UnreadableError(f"a message that is none of DNS ({type(exc).__name__})") from None
    if not found.flags & dns.flags.QR:
        raise UnreadableError("a question in the place of an answer")
    code = dns.rcode.to_text(found.rcode())
    if found.question and (found.question[0].name, found.question[0].rdtype) != (asked, kind):
        raise UnreadableError("an answer to another question")
    sets = [one for one in found.answer if one.rdtype == kind]
    values = sorted({_to_text(record, record_type) for one in sets for record in one})
    refers = any(one.rdtype == dns.rdatatype.NS for one in found.authority)
    answers_or_looks_up = found.flags & (dns.flags.AA | dns.flags.RA)
    return DnsAnswer(
        code=code,
        values=tuple(values),
        others=tuple(sorted({dns.rdatatype.to_text(one.rdtype) for one in found.answer} - {record_type})),
        ttl=min((one.ttl for one in sets), default=None),
        is_truncated=bool(found.flags & dns.flags.TC),
        is_referral=code == "NOERROR" and not found.answer and refers and not answers_or_looks_up,
    )


def _to_text(record: Any, record_type: str) -> str:
    match record_type:
        case "TXT":
            text = b"".join(record.strings).decode("utf-8", "backslashreplace")
        case "MX":
            text = f"{record.preference} {_name(record.exchange)}"
        case "CNAME" | "NS":
            text = _name(record.target)
        case "SOA":
            text = " ".join(map(str, _start_of_authority(record)))
        case "CAA":
            tag, value = (part.decode("utf-8", "backslashreplace") for part in (record.tag, record.value))
            text = f'{record.flags} {tag.lower()} "{value}"'
        case _:
            text = str(ip_address(record.address))
    return text[:MAX_VALUE_CHARS]


def _start_of_authority(record: Any) -> Iterator[object]:
    yield from (_name(record.mname), _name(record.rname), record.serial, record.refresh, record.retry)
    yield from (record.expire, record.minimum)


def _name(name: Any) -> str:
    return str(name).rstrip(".").lower() or "."
