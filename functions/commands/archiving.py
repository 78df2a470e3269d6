"""The commands `export` and `import`: all that a store keeps, in a file, and back into any store."""

import os
from dataclasses import asdict
from pathlib import Path

from functions.archive import exported, imported
from functions.commands.session import Session
from functions.errors import InputError


async def export_store(session: Session, *, path: Path) -> int:
    """Write everything into *path*: whole, or not at all."""
    fresh = path.with_name(f"{path.name}.part")
    count = 0
    try:
        with fresh.open("w", encoding="utf-8") as file, session.screen.working(f"{path} is written"):
            async for line in exported(session.store, now=session.now()):
                file.write(f"{line}\n")
                count += 1
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except OSError as exc:
        raise InputError(f"{path}: cannot be written ({exc.strerror})") from None
    finally:
        fresh.unlink(missing_ok=True)
    session.screen.answer(
        {"file": str(path), "lines": count}, [f"{count - 1} tasks, documents and records: {path}"]
    )
    return 0


async def import_file(session: Session, *, path: Path, replace: bool) -> int:
    """Put what an export wrote into the store; 1 when something was left as it is, being different."""
    try:
        with path.open(encoding="utf-8") as file, session.screen.working(f"{path} is read"):
            moved = await imported(session.store, file, replace=replace)
    except (OSError, UnicodeDecodeError) as exc:
        raise InputError(f"{path}: cannot be read ({type(exc).__name__})") from None
    counts = f"{moved.made} made, {moved.same} there already, {moved.replaced} replaced"
    lines = [
        f"{counts}, {moved.runs} records of history",
        *(f"  left as it is, for it differs: {name}" for name in moved.refused),
    ]
    if moved.refused:
        lines.append("--replace takes the file's")
    session.screen.answer(asdict(moved), lines)
    return 1 if moved.refused else 0
