"""What tasks cost that are not due: the same tick over a small store and a large one."""

from tests.harness.bench import seeding
from tests.harness.bench.measures import Figure, Line, ratio
from tests.harness.bench.place import Place
from tests.harness.bench.served import product

DUE = 10
FEW, MANY = 1_000, 100_000
MANY_QUICK = 20_000  # filling a store takes its time
LIMIT = 1.2


def stored(place: Place) -> Line:
    """Tick over both stores in turns. The server answers at once, to hide nothing behind its 50 ms."""
    server_url = f"{place.server_url}/now"
    most = MANY_QUICK if place.quick else MANY
    urls = {FEW: place.sqlite("few"), most: place.sqlite("many")}
    for count, url in urls.items():
        seeding.fill(url, server_url, count=count)
    took: dict[int, list[float]] = {FEW: [], most: []}
    with (
        product(urls[FEW], place.folder) as few,
        product(urls[most], place.folder) as many,
    ):
        for number in range(3 + 4 * place.rounds):
            for count, served in ((FEW, few), (most, many)):
                seeding.make_due(urls[count], server_url, count=DUE)
                answer = served.tick()
                assert answer.body["succeeded"] == DUE, answer.body
                if number >= 3:  # the first ones warm up
                    took[count].append(answer.seconds * 1000)
    small, large = (Figure(f"Cronfire, {count:,} stored", tuple(took[count]), "ms") for count in (FEW, most))
    return Line(
        "stored",
        f"A tick with {DUE} due, {FEW:,} and {most:,} stored, SQLite",
        f"<= {LIMIT} x",
        (large,),
        (small,),
        (ratio("of the small store", large, small, LIMIT),),
    )
