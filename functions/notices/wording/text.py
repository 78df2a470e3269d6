"""A digest as plain text, for channels without a layout and for layouts a vendor refuses."""

from functions.notices.wording.digest import Digest, Row


def text(digest: Digest) -> str:
    """All there is to say without any markup, one line for each thing.

    Plain, but not harmless everywhere: a channel whose vendor finds mentions in it must still break them.
    """
    lines = [] if len(digest.rows) == 1 else [digest.headline]
    for row in digest.rows:
        lines += _lines(row)
    lines += [digest.more] if digest.more else []
    return "\n".join(lines)


def _lines(row: Row) -> list[str]:
    lines = [f"{row.icon} {row.sentence}" + (f": {row.summary}" if row.summary else "")]
    lines += [row.details] if row.details else []
    lines += [f"{item.mark} {item.title} {item.url}".rstrip() for item in row.items]
    lines += [row.more] if row.more else []
    lines += [row.page] if row.page else []
    return lines
