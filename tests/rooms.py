"""The rules of the layout, each as a function from a module's source to what is wrong with it."""

import ast
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
MOST_LINES = 250

# Who may import whom; a room's own modules always. What is not named here may not be imported.
LEAVES = {"errors", "rules", "deadlines", "__version__"}
ORDER = {"tick", "ports", "attempts", "books", "delivery", "results"}
ORDER |= {"handing", "wishes", "publishing", "spending", "relay"}  # tick.py, with what was split off it
CONTROL = {"control", "applying", "keys", "audit", "desk", "bulk", "repeats", "signing", "single"}
CONTROL |= {"lateness", "channels", "digests", "owners", "following", "announcing", "history"}
ROOMS: Mapping[str, set[str]] = {
    "errors": set(),
    "deadlines": set(),
    "rules": {"errors"},
    "environment": {"errors"},
    "stopping": set(),
    "metrics": LEAVES,
    "tracing": LEAVES | {"ports"},
    "setting_kinds": set(),
    "setting_channels": {"setting_kinds"},
    "setting_tasks": {"setting_kinds"},
    "setting_scale": {"setting_kinds"},
    "setting_agents": {"setting_kinds"},
    "setting_feishu": {"setting_kinds"},
    "settings": {"errors", "setting_kinds", "setting_channels", "setting_tasks", "setting_scale"}
    | {"setting_agents", "setting_feishu"},
    "logs": {"errors"},
    **dict.fromkeys(ORDER, LEAVES | ORDER),
    **dict.fromkeys(CONTROL, LEAVES | CONTROL | {"ports"}),
    "credits": LEAVES | {"owners", "spending"},
    "store": LEAVES,
    "actions": LEAVES,
    "notices": LEAVES,
    "fanout": LEAVES,
    "taskfiles": LEAVES | {"actions"},
    "moving": LEAVES | {"ports", "taskfiles", "actions", "applying", "following", "history"},
    "wiring_scale": LEAVES | {"settings", "notices", "fanout"},
    "wiring_store": LEAVES
    | {"settings", "ports", "store", "history", "applying"}
    | {"taskfiles"},  # cells hold YAML as task files do
    "wiring_agents": LEAVES | {"settings", "actions", "credits", "owners", "spending"},
    "wiring": LEAVES
    | {
        "settings",
        "ports",
        "tick",
        "announcing",
        "following",
        "single",
        "channels",
        "lateness",
        "wiring_scale",
        "stopping",
        "metrics",
        "tracing",
    }
    | {"owners", "wiring_agents", "wiring_store"}
    | {"actions", "notices", "fanout", "logs"},
    "library": LEAVES | CONTROL | {"settings", "wiring", "actions"},
    "web": LEAVES | CONTROL | {"settings", "logs", "ports", "taskfiles", "actions"},
    "commands": LEAVES
    | CONTROL
    | {
        "settings",
        "logs",
        "ports",
        "taskfiles",
        "moving",
        "wiring",
        "wiring_store",
        "actions",
        "store",
        "notices",
    },
    "cli": LEAVES | {"environment", "settings", "logs", "commands"},
    "main": LEAVES | {"environment", "settings", "logs", "wiring", "web"},
}

LIBRARIES: Mapping[str, tuple[str, ...]] = {
    "aiohttp": (
        "functions/commands/api.py",
        "functions/actions/net/",
        "functions/notices/post.py",
        "functions/store/bitable_http.py",  # Feishu has no library fit for a cold start: its own costs 2.9 s
        "functions/web/certificates.py",
    ),
    "apprise": ("functions/notices/apprise.py",),
    "aiosmtplib": ("functions/notices/mail.py",),
    "google": ("functions/store/firestore_credentials.py", "functions/web/oidc.py", "functions/fanout/"),
    "grpc": ("functions/store/firestore", "functions/fanout/"),
    "sqlite3": ("functions/store/sqlite",),
    "starlette": ("main.py", "functions/web/"),
    "fastapi": ("functions/web/",),
    "functions_framework": ("main.py", "functions/web/"),
    "yaml": ("functions/taskfiles/",),
    "croniter": ("functions/rules/cron.py", "functions/rules/schedule"),
    "feedparser": ("functions/actions/",),
    "cron_descriptor": ("functions/rules/schedule_words.py",),
    "jinja2": ("functions/web/",),
    "httpx": (),
    "requests": (),
}
CLOCK = ("functions/wiring.py", "functions/cli.py", "functions/commands/")
ENVIRONMENT = ("main.py", "functions/cli.py")
SCREEN = ("functions/cli.py", "functions/commands/")
VAGUE = frozenset({"utils", "util", "helpers", "helper", "common", "base", "manager", "managers", "misc"})


@dataclass(frozen=True)
class Module:
    """A source file; *path* is relative to the root, with slashes."""

    path: str
    source: str

    @property
    def tree(self) -> ast.Module:
        return ast.parse(self.source)

    @property
    def room(self) -> str:
        parts = self.path.removesuffix(".py").split("/")
        return parts[1] if parts[0] == "functions" and len(parts) > 1 else parts[0]


def product() -> list[Module]:
    """All modules that are deployed, save what scripts/protos makes."""
    files = [ROOT / "main.py", *sorted((ROOT / "functions").rglob("*.py"))]
    files = [file for file in files if not file.name.endswith("_pb2.py")]
    return [Module(file.relative_to(ROOT).as_posix(), file.read_text(encoding="utf-8")) for file in files]


def imports_only_downwards(module: Module) -> Iterator[str]:
    """Rooms import what is below them, and never a neighbour."""
    if module.path == "functions/__init__.py":
        return
    if module.room not in ROOMS:
        yield f"{module.room} is a room nobody knows: say in tests/rooms.py what it may import"
        return
    for name in _imports(module):
        parts = name.split(".")
        if parts[0] == "main":
            yield "imports main"
        elif parts[0] == "functions" and len(parts) > 1:
            room = parts[1]
            if room != module.room and room not in ROOMS[module.room]:
                yield f"imports {name}, which is not below {module.room}"


def imports_libraries_of_its_own(module: Module) -> Iterator[str]:
    """A library is known to the one room that owns it."""
    for name in _imports(module):
        owners = LIBRARIES.get(name.split(".")[0])
        if owners is not None and not module.path.startswith(owners):
            yield f"imports {name}, which only {', '.join(owners) or 'nobody'} may"


def reads_no_clock(module: Module) -> Iterator[str]:
    """The time is an argument everywhere but in the wiring and the command line."""
    if not module.path.startswith(CLOCK):
        yield from _called(module, {"datetime": {"now", "utcnow", "today"}, "date": {"today"}})
        yield from _called(module, {"time": {"time", "time_ns"}})


def reads_no_environment(module: Module) -> Iterator[str]:
    """Variables are read once, at the entries, and handed on."""
    if module.path in ENVIRONMENT:
        return
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Attribute) and node.attr in ("environ", "environb", "getenv", "putenv"):
            yield f"line {node.lineno}: {node.attr}"
        elif isinstance(node, ast.ImportFrom) and node.module == "os":
            names = {alias.name for alias in node.names} & {"environ", "environb", "getenv", "putenv"}
            yield from (f"line {node.lineno}: {name}" for name in sorted(names))


def sleeps_never(module: Module) -> Iterator[str]:
    """`time.sleep` stops everything else in the process."""
    yield from _called(module, {"time": {"sleep"}})


def prints_nothing(module: Module) -> Iterator[str]:
    """Only the command line speaks to a screen; the rest has logs."""
    if module.path.startswith(SCREEN):
        return
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print":
            yield f"line {node.lineno}: print"


def is_small(module: Module) -> Iterator[str]:
    """A module can be seen whole."""
    lines = module.source.count("\n")
    if lines > MOST_LINES:
        yield f"{lines} lines, more than {MOST_LINES}: split it by meaning"


def says_what_it_owns(module: Module) -> Iterator[str]:
    """The first sentence of a module is what a newcomer reads."""
    if not (ast.get_docstring(module.tree) or "").strip():
        yield "has no docstring"


def has_a_name_that_says_something(module: Module) -> Iterator[str]:
    """A room named for nothing fills with everything."""
    for part in module.path.removesuffix(".py").split("/"):
        if part in VAGUE or VAGUE & set(part.split("_")):
            yield f"{part} says nothing of what it holds"


RULES: tuple[Callable[[Module], Iterator[str]], ...] = (
    imports_only_downwards,
    imports_libraries_of_its_own,
    reads_no_clock,
    reads_no_environment,
    sleeps_never,
    prints_nothing,
    is_small,
    says_what_it_owns,
    has_a_name_that_says_something,
)


def _imports(module: Module) -> Iterator[str]:
    """Full names of what is imported, also inside functions, and for types alone."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level:
            yield "functions.relative imports are not ours"
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _called(module: Module, names: Mapping[str, set[str]]) -> Iterator[str]:
    """Uses of `owner.name`, however the owner was reached, and `from owner import name`."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Attribute) and node.attr in names.get(_last_name(node.value), ()):
            yield f"line {node.lineno}: {_last_name(node.value)}.{node.attr}"
        elif isinstance(node, ast.ImportFrom):
            taken = {alias.name for alias in node.names} & names.get(str(node.module), set())
            yield from (f"line {node.lineno}: {node.module}.{name}" for name in sorted(taken))


def _last_name(node: ast.expr) -> str:
    if isinstance(node, ast.Name):
        return node.id
    return node.attr if isinstance(node, ast.Attribute) else ""
