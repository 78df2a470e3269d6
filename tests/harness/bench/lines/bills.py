"""What a tick does that is paid for: operations counted by the product's meter, which a test checks."""

from tests.harness.bench import seeding
from tests.harness.bench.measures import Check, Figure, Line
from tests.harness.bench.place import Place
from tests.harness.bench.served import product

DUE = 1000
ENTRY = 100


def operations(place: Place) -> Line:
    """Count the operations of a tick with 1,000 due, and of an idle one."""
    where = "SQLite" if isinstance(place.emulator, Exception) else "Firestore emulator"
    url = place.sqlite("bills") if where == "SQLite" else place.firestore()
    server_url = f"{place.server_url}/now"
    seeding.make_due(url, server_url, count=DUE)
    with product(url, place.folder) as served:
        served.tick()  # a cold one loads libraries for longer than results wait for company
        seeding.make_due(url, server_url, count=DUE)
        busy, idle = served.tick().body, served.tick().body
    writes = 2 * DUE + DUE // ENTRY
    return Line(
        "operations",
        "Billed operations",
        "a run: 1 read + 2 writes; + 1 ledger write per 100 runs; idle tick: 1 read",
        (
            Figure(f"{DUE:,} runs, {where}: reads", (busy["reads"],), ""),
            Figure("writes", (busy["writes"],), ""),
            Figure("idle tick: reads", (idle["reads"],), ""),
            Figure("writes", (idle["writes"],), ""),
        ),
        (),
        (
            # The last one is the idle look after a full window: the price of knowing that nothing is left.
            Check("reads", busy["reads"], DUE + 1),
            Check("writes", busy["writes"], writes),
            Check("idle reads", idle["reads"], 1),
            Check("idle writes", idle["writes"], 0),
        ),
    )
