"""The rules of the layout, each as a function from a module's source to what is wrong with it."""

import ast
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

ROOT = Path(__file__).parents[2]
MAX_LINES = 500

# Who may import whom, as data: top to bottom, what a package may reach below itself. A package's own modules
# always, and `errors` everybody.
LAYERS: Mapping[str, set[str]] = {
    "errors": set(),
    "__version__": set(),
    "config": {"domain"},
    "domain": set(),
    "interfaces": {"domain"},
    "http_client": {"domain"},
    "parsing": {"domain"},
    "engine": {"domain", "interfaces"},
    "services": {"domain", "interfaces"},
    "stores": {"domain", "http_client"},
    "task_types": {"domain", "http_client", "parsing"},
    "notifications": {"domain", "http_client"},
    "gcp": {"domain", "http_client"},
    "observability": {"domain", "interfaces", "http_client"},
    "taskfiles": {"domain", "task_types"},
    "transfer": {"domain", "interfaces", "services", "task_types", "taskfiles"},
    "assistants": {"domain", "interfaces", "services", "task_types", "taskfiles", "__version__"},
    "app": {
        "config",
        "domain",
        "interfaces",
        "http_client",
        "parsing",
        "engine",
        "services",
        "stores",
        "task_types",
    }
    | {"notifications", "gcp", "observability", "taskfiles"},
    "scheduler": {"app", "config", "domain", "services", "task_types", "web", "__version__"},
    "testing": {"domain", "http_client", "parsing", "services", "stores", "task_types"},
    "web": {"config", "domain", "interfaces", "http_client", "observability", "services", "task_types"}
    | {"assistants", "taskfiles", "__version__"},
    "cli": {
        "app",
        "assistants",
        "config",
        "domain",
        "interfaces",
        "http_client",
        "notifications",
        "observability",
    }
    | {"services", "stores", "task_types", "taskfiles", "transfer", "__version__"},
    "server": set(),  # it is handed the file with the function, and knows nothing of what that does
    "main": {"app", "config", "domain", "observability", "web"},
}


def neighbours(package: str, *, shared: Sequence[str] = ()) -> tuple[str, ...]:
    """Return the modules and packages in the folder of *package*, but for those that the others share."""
    folder = ROOT / package.replace(".", "/")
    modules = {path.stem for path in folder.glob("[a-z]*.py")}
    packages = {path.parent.name for path in folder.glob("[a-z]*/__init__.py")}
    return tuple(f"{package}.{name}" for name in sorted((modules | packages).difference(shared)))


# Neighbours that are strangers: no module of one may import a module of another.
STRANGERS = (
    (
        "functions.stores.sqlite",
        "functions.stores.firestore",
        "functions.stores.jsonfile",
        "functions.stores.bitable",
    ),
    neighbours("functions.task_types", shared=("registry", "support")),
    neighbours("functions.notifications.channels"),
    ("functions.transfer.archive", "functions.transfer.foreign"),
    ("functions.web.api", "functions.cli"),
)

LIBRARIES: Mapping[str, tuple[str, ...]] = {
    "aiohttp": ("functions/http_client/",),
    "httpx2": ("functions/http_client/httpx.py",),
    "multidict": ("functions/http_client/",),
    "yarl": ("functions/http_client/",),
    "apprise": ("functions/notifications/channels/apprise.py",),
    "aiosmtplib": ("functions/notifications/channels/email.py",),
    "google": ("functions/stores/firestore/", "functions/gcp/"),
    "grpc": ("functions/stores/firestore/", "functions/gcp/"),
    "sqlite3": ("functions/stores/sqlite/",),
    "starlette": ("main.py", "functions/web/", "functions/server/"),
    "fastapi": ("functions/web/",),
    "functions_framework": ("main.py", "functions/web/", "functions/server/"),
    "uvicorn": ("functions/server/",),
    "uvicorn_worker": ("functions/server/",),
    "gunicorn": ("functions/server/",),
    "yaml": ("functions/taskfiles/",),
    "jwt": ("functions/web/auth.py", "functions/web/google_keys.py"),
    "dotenv": ("functions/config/dotenv.py",),
    "prometheus_client": ("functions/observability/exposition.py",),
    "rich": ("functions/cli/",),
    "typer": ("functions/cli/",),
    "croniter": ("functions/domain/schedule/",),
    "holidays": ("functions/domain/schedule/days/public_holidays.py",),
    "feedparser": ("functions/parsing/feed_documents.py",),
    "lxml": ("functions/parsing/markup.py",),
    "selectolax": ("functions/parsing/page_parts.py",),
    "dns": ("functions/parsing/dns_answers.py",),
    "jsonpath": ("functions/parsing/json_queries.py",),
    "jsonschema": ("functions/parsing/json_queries.py",),
    "referencing": ("functions/parsing/json_queries.py",),
    "jinja2": ("functions/web/", "functions/notifications/channels/email.py"),
    "mcp": (
        "functions/assistants/server.py",
        "functions/cli/assistant.py",
        "functions/task_types/agent/mcp.py",
        "functions/web/assistants.py",
    ),
    "pydantic_ai": ("functions/task_types/agent/",),
    "openai": (),  # by pydantic-ai alone
    "anthropic": (),
    "genai_prices": (),
    "httpx": (),
    "requests": (),
}
CLOCK = ("functions/app/", "functions/cli/")
ENVIRONMENT = ("main.py", "functions/cli/main.py")
ZONES = "functions/domain/types.py"
ZONE_READERS = {"available_timezones", "reset_tzpath", "TZPATH"}
LOCAL_WITHOUT_ZONE = {
    "astimezone": 1,
    "fromtimestamp": 2,
}  # with fewer arguments they take the machine's zone
SCREEN = ("functions/cli/",)
VAGUE = frozenset({"utils", "util", "helpers", "helper", "common", "manager", "managers", "misc"})


@dataclass(frozen=True)
class Module:
    """A source file, parsed once; *path* is relative to the root, with slashes."""

    path: str
    source: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.source)

    @cached_property
    def nodes(self) -> Sequence[ast.AST]:
        """All nodes of the tree, parents before children."""
        return tuple(ast.walk(self.tree))

    @cached_property
    def imports(self) -> Sequence[str]:
        """Full names of what is imported, also inside functions, and for types alone."""
        return tuple(_imports(self.nodes))

    @property
    def package(self) -> str:
        parts = self.path.removesuffix(".py").split("/")
        return parts[1] if parts[0] == "functions" and len(parts) > 1 else parts[0]


@cache
def product() -> Sequence[Module]:
    """All modules that are deployed."""
    files = [ROOT / "main.py", *sorted((ROOT / "functions").rglob("*.py"))]
    return [Module(file.relative_to(ROOT).as_posix(), file.read_text(encoding="utf-8")) for file in files]


def imports_only_downwards(module: Module) -> Iterator[str]:
    """A package imports what is below it, and never a neighbour."""
    if module.path == "functions/__init__.py":
        return
    if module.package not in LAYERS:
        yield f"{module.package} is no known package: say in tests/unit/architecture.py what it may import"
        return
    allowed = LAYERS[module.package] | {module.package, "errors"}
    for name in module.imports:
        parts = name.split(".")
        if parts[0] == "main":
            yield "imports main"
        elif parts[0] == "functions" and len(parts) > 1 and parts[1] not in allowed:
            yield f"imports {name}, which is not below {module.package}"


def imports_no_stranger(module: Module) -> Iterator[str]:
    """Modules of one kind (stores, task types, channels) do not know each other."""
    own_name = module.path.removesuffix(".py").replace("/", ".").removesuffix(".__init__")
    for names in STRANGERS:
        own = [name for name in names if f"{own_name}.".startswith(f"{name}.")]
        if own:
            others = tuple(f"{name}." for name in names if name not in own)
            yield from (
                f"imports {name}, a stranger" for name in module.imports if f"{name}.".startswith(others)
            )


def imports_libraries_of_its_own(module: Module) -> Iterator[str]:
    """A library is known to the one package that owns it."""
    for name in module.imports:
        owners = LIBRARIES.get(name.split(".")[0])
        if owners is not None and not module.path.startswith(owners):
            yield f"imports {name}, which only {', '.join(owners) or 'nobody'} may"


def reads_no_clock(module: Module) -> Iterator[str]:
    """The time is an argument everywhere but in the wiring and the command line."""
    if not module.path.startswith(CLOCK):
        yield from _called(module, {"datetime": {"now", "utcnow", "today"}, "date": {"today"}})
        yield from _called(module, {"time": {"time", "time_ns"}})


def opens_no_zone(module: Module) -> Iterator[str]:
    """Zones have one source: the machine's own may be older, and show other times than a schedule has."""
    if module.path == ZONES:
        return
    yield from _called(module, {"time": {"localtime", "ctime", "mktime", "tzset", "tzname"}})
    yield from _called(module, {"ZoneInfo": {"from_file", "no_cache"}, "zoneinfo": ZONE_READERS})
    for name in module.imports:
        if name.split(".")[0] in ("dateutil", "pytz", "tzdata", "tzlocal"):
            yield f"imports {name}"
    for node in module.nodes:
        if isinstance(node, ast.alias) and node.name == "ZoneInfo" and node.asname:
            yield f"line {node.lineno}: ZoneInfo under another name"
        if not isinstance(node, ast.Call):
            continue
        name, given = _last_name(node.func), [*node.args, *(one.value for one in node.keywords)]
        known = [one for one in given if not (isinstance(one, ast.Constant) and one.value is None)]
        if name == "ZoneInfo" or len(known) < LOCAL_WITHOUT_ZONE.get(name, 0):
            yield f"line {node.lineno}: {name}"


def reads_no_environment(module: Module) -> Iterator[str]:
    """Variables are read once, at the entries, and handed on."""
    if module.path in ENVIRONMENT:
        return
    for node in module.nodes:
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
    for node in module.nodes:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print":
            yield f"line {node.lineno}: print"


def is_small(module: Module) -> Iterator[str]:
    """A module can be seen whole."""
    lines = module.source.count("\n")
    if lines > MAX_LINES:
        yield f"{lines} lines, more than {MAX_LINES}: split it by meaning"


def says_what_it_owns(module: Module) -> Iterator[str]:
    """The first sentence of a module is what a newcomer reads."""
    if not (ast.get_docstring(module.tree) or "").strip():
        yield "has no docstring"


def has_a_name_that_says_something(module: Module) -> Iterator[str]:
    """A package named for nothing fills with everything."""
    for part in module.path.removesuffix(".py").split("/"):
        if part in VAGUE or VAGUE & set(part.split("_")):
            yield f"{part} says nothing of what it holds"


RULES: tuple[Callable[[Module], Iterator[str]], ...] = (
    imports_only_downwards,
    imports_no_stranger,
    imports_libraries_of_its_own,
    reads_no_clock,
    opens_no_zone,
    reads_no_environment,
    sleeps_never,
    prints_nothing,
    is_small,
    says_what_it_owns,
    has_a_name_that_says_something,
)


def _imports(nodes: Iterable[ast.AST]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level:
            yield "functions.relative imports are not ours"
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _called(module: Module, names: Mapping[str, set[str]]) -> Iterator[str]:
    """Uses of `owner.name`, however the owner was reached, and `from owner import name`."""
    for node in module.nodes:
        if isinstance(node, ast.Attribute) and node.attr in names.get(_last_name(node.value), ()):
            yield f"line {node.lineno}: {_last_name(node.value)}.{node.attr}"
        elif isinstance(node, ast.ImportFrom):
            taken = {alias.name for alias in node.names} & names.get(str(node.module), set())
            yield from (f"line {node.lineno}: {node.module}.{name}" for name in sorted(taken))


def _last_name(node: ast.expr) -> str:
    if isinstance(node, ast.Name):
        return node.id
    return node.attr if isinstance(node, ast.Attribute) else ""
