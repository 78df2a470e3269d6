"""Which tasks run after which, and whether that goes in a circle."""

from collections.abc import Iterable, Mapping, Sequence


def circle(after: Mapping[str, Iterable[str]]) -> Sequence[str]:
    """A circle in *after*: ids in the order in which they would start one another; empty when there is none.

    Args:
        after: For each task the ids of those that it runs after; ids that are no keys run after nothing.
    """
    done: set[str] = set()
    for first in sorted(after):
        path: list[str] = []
        waiting = [(first, iter(sorted(after[first])))] if first not in done else []
        while waiting:
            here, others = waiting[-1]
            if not path or path[-1] != here:
                path.append(here)
            following = next(others, None)
            if following is None:
                done.add(here)
                path.pop()
                waiting.pop()
            elif following in path:
                return [following, *reversed(path[path.index(following) + 1 :]), following]
            elif following in after and following not in done:
                waiting.append((following, iter(sorted(after[following]))))
    return []
