"""The words of the forms: labels, help and examples. For what is not here its type's schema has them."""

from typing import NamedTuple


class Words(NamedTuple):
    """How a field is presented: its label, a sentence of help, and an example."""

    label: str
    help: str = ""
    example: str = ""


TYPE_WORDS = {
    "agent": "Ask a language model, and let it read pages and feeds",
    "command": "Run a command on the scheduler's machine",
    "daily_briefing": "Sum up what the tasks did, and what runs next",
    "dns_check": "Check the DNS records of a name",
    "github_dispatch": "Start a workflow on GitHub",
    "health_check_url": "Check that a web address answers",
    "heartbeat": "Watch a program that runs elsewhere and calls in",
    "http": "Send a web request, a webhook for instance",
    "page_watch": "Watch a part of a web page for changes",
    "publish_event": "Publish an event that other tasks start on",
    "python": "Call a Python function",
    "rss_watch": "Watch a feed for new entries",
    "tcp_check": "Check that a port takes connections",
    "tls_check": "Check how long a server's certificate lasts",
}

_SECRET = "Secrets are given by name, as {{secret:NAME}}"  # noqa: S105  # help, no password

# Of a type's params: by `type.name`, or by the name alone where types share it.
PARAM_WORDS = {
    "url": Words("Address", "http or https", "https://shop.example.com/"),
    "method": Words("Method"),
    "headers": Words("Headers", f"Sent with the request. {_SECRET}."),
    "timeoutSeconds": Words("Longest wait for the answer, in seconds", example="20"),
    "expectedStatus": Words("Status codes that mean success", "Codes or ranges", "200-299, 304"),
    "bodyContains": Words("Text that the answer must contain", "Character for character"),
    "followRedirects": Words("Follow redirects", "Up to ten"),
    "certificateDaysLeft": Words("Days that the certificate must last", "Fewer are a failure", "14"),
    "http.auth.bearer": Words("Bearer token", _SECRET, "{{secret:HOOKS_TOKEN}}"),
    "http.auth.basic.user": Words("User name"),
    "http.auth.basic.password": Words("Password", _SECRET, "{{secret:SHOP_PASSWORD}}"),
    "http.query": Words("Query", "Added to the address. A name may be there several times"),
    "http.json": Words("Body as JSON", "At most one of the three bodies", '{"action": "rotate-logs"}'),
    "http.body": Words("Body as text", "Sent exactly as it is"),
    "http.form": Words("Body as a web form"),
    "http.jsonPointer": Words("Where in the JSON answer a value must be", "RFC 6901", "/data/0/state"),
    "http.equals": Words("The value that must be there", "As JSON; empty means any value", "accepted"),
    "feedUrl": Words("Address of the feed", "RSS or Atom", "https://example.com/feed.xml"),
    "keywords": Words("Only entries with one of these words", "One in each line; empty means all"),
    "rss_watch.maxItems": Words("New entries shown at most", "The others are only counted"),
    "rss_watch.lastSeenGuid": Words(
        "Newest entry that was reported before", "Its id or link, from another scheduler; the first run only"
    ),
    "dns_check.name": Words("Name", "Letters of other scripts are fine", "mail.example.com"),
    "dns_check.recordType": Words("Type of the records"),
    "dns_check.expect": Words("Exactly these values", "In any order, one in each line", "192.0.2.1"),
    "dns_check.contains": Words("These values must be among them", "One in each line"),
    "dns_check.count": Words("How many values", "Empty means any; 0 means that there are none"),
    "dns_check.reportChanges": Words("Report changes", "Other values than at the last run are news"),
    "dns_check.server": Words("Name server", "Its address; empty means those of the machine", "1.1.1.1"),
    "page_watch.selector": Words(
        "Part of the page", "A CSS selector, as browsers' tools copy it", "#plans .price"
    ),
    "page_watch.ignore": Words("Lines to leave out", "Those with one of these texts, one in each line"),
    "page_watch.ignoreNumbers": Words(
        "Leave digits out", "A text that differs in them alone has not changed"
    ),
    "page_watch.whenMissing": Words("When nothing on the page matches"),
    "page_watch.reportReturns": Words(
        "Report a text that returns within a day", "Else a page that goes to and fro is reported once"
    ),
    "agent.mcpServers": Words("MCP servers", "Names of AGENT_MCP_SERVERS, with a line for each"),
    "agent.maxItems": Words("Findings at most"),
    "agent.goal": Words("What to find out or decide"),
    "agent.prompt": Words("The goal under its other name", "Give one of the two"),
    "agent.system": Words("Instructions beside the scheduler's own"),
    "agent.model": Words("Model", "Empty means LLM_MODEL"),
    "agent.maxSteps": Words("Rounds of tool calls at most", "0 means an answer without tools"),
    "agent.maxTokens": Words("Tokens of a run at most", "Prompts and answers together"),
    "agent.tools": Words("What the model may use", "All of them only read"),
    "agent.hosts": Words(
        "Hosts that the tools may reach", "One in each line, or *.example.com for all below it"
    ),
    "agent.usePreviousResult": Words("Show the model its last result"),
    "agent.silentWhenNothingNew": Words("Say nothing when nothing is new"),
    "command.command": Words(
        "Command", "As you would type it, or a JSON list of words", "pg_dump --file=/backups/shop.sql shop"
    ),
    "command.shell": Words("Pass it to /bin/sh", "For pipes, variables and several lines"),
    "command.workingDirectory": Words("Folder to run it in", example="/srv/shop"),
    "command.env": Words("Variables", f"{_SECRET}."),
    "command.stdin": Words("Input of the program"),
    "command.successCodes": Words("Exit codes that mean success", example="0"),
    "daily_briefing.title": Words("First line of the briefing"),
    "daily_briefing.maxNext": Words("Next runs to list"),
    "daily_briefing.tags": Words("Only tasks with one of these tags", "One in each line; empty means all"),
    "daily_briefing.includeNext": Words("List the next runs"),
    "github_dispatch.repository": Words("Repository", example="octo-org/website"),
    "github_dispatch.eventType": Words("Event", "What the workflow lists under types", "nightly-build"),
    "github_dispatch.clientPayload": Words("Payload", "A JSON object that the workflow finds in its event"),
    "github_dispatch.token": Words("Token", f"{_SECRET}; empty means GITHUB_TOKEN", "{{secret:SITE_TOKEN}}"),
    "heartbeat.graceSeconds": Words("Seconds late that are still in time", "Then the call is missing", "300"),
    "heartbeat.maxSeconds": Words(
        "Longest run, in seconds", "Between its start and its end; empty means any length", "3600"
    ),
    "host": Words("Host", "A name or an address", "db.example.com"),
    "port": Words("Port", "Others than those of the web are allowed by ALLOW_PORTS", "443"),
    "tcp_check.tls": Words("Shake hands by TLS", "The certificate must be valid for the host"),
    "tcp_check.send": Words("Text to send", "Sent exactly as it is"),
    "tcp_check.expect": Words("Text that the answer must contain", "In its first 4 KB", "220 "),
    "tcp_check.maxLatencyMs": Words("Longest connection, in milliseconds", "Empty means any"),
    "health_check_url.maxLatencyMs": Words("Slowest answer, in milliseconds", "Empty means any"),
    "publish_event.eventType": Words("Event", "Tasks that list it start on it", "stock.counted"),
    "publish_event.data": Words("Data", "A JSON object of at most 4 KB"),
    "publish_event.source": Words("Sender", "Empty means this task"),
    "publish_event.subject": Words("What it is about"),
    "publish_event.to": Words("The one task that receives it", "Empty means all subscribers"),
    "publish_event.reach": Words("Whose tasks may start"),
    "python.callable": Words(
        "Function", "From a module that PYTHON_TASKS allows", "jobs.invoices:send_reminders"
    ),
    "python.args": Words("Arguments", "A JSON list"),
    "python.kwargs": Words("Arguments by name", "A JSON object"),
}

_EITHER = "Or a JSON list of several"
_VALUES = "Exists is true or false, is watched is news or required"
PARAM_WORDS |= {  # of what is expected
    "expect.status": Words("Expected status codes", "In place of the codes that mean success", "2xx, 304"),
    "expect.latencyMs": Words("Slowest answer that is expected, in milliseconds", example="800"),
    "expect.headers": Words("Expected headers", _VALUES),
    "expect.body.equals": Words("The whole body as text", "White space around it does not count"),
    "expect.body.contains": Words("Text that the body must contain", _EITHER),
    "expect.body.notContains": Words("Text that the body must not contain", _EITHER),
    "expect.body.matches": Words("Regular expression that the body must match", "Found anywhere in it"),
    "expect.body.sha256": Words("SHA-256 of the body", "In hexadecimal digits"),
    "expect.body.changed": Words("When the body changes"),
    "expect.json": Words("Expected values in the JSON", _VALUES),
    "expect.schema": Words("JSON Schema that the JSON must fit", "A JSON object; nothing is fetched for it"),
    "expect.exitCode": Words("Expected exit codes", "In place of the codes that mean success", "0, 2"),
    "expect.stdout.equals": Words("The whole output", "White space around it does not count"),
    "expect.stdout.contains": Words("Text that the output must contain", _EITHER),
    "expect.stdout.notContains": Words("Text that the output must not contain", _EITHER),
    "expect.stdout.matches": Words("Regular expression that the output must match", "Found anywhere in it"),
    "expect.stdout.sha256": Words("SHA-256 of the output", "In hexadecimal digits"),
    "expect.stdout.changed": Words("When the output changes"),
    "expect.stderr.equals": Words("The whole error output", "White space around it does not count"),
    "expect.stderr.contains": Words("Text that the error output must contain", _EITHER),
    "expect.stderr.notContains": Words("Text that the error output must not contain", _EITHER),
    "expect.stderr.matches": Words(
        "Regular expression that the error output must match", "Found anywhere in it"
    ),
    "expect.stderr.sha256": Words("SHA-256 of the error output", "In hexadecimal digits"),
    "expect.stderr.changed": Words("When the error output changes"),
}

# Shown without unfolding anything, beside what is required: what most tasks of the type set.
MAIN_PARAMS = frozenset(
    {
        "http.method",
        "http.headers",
        "http.json",
        "health_check_url.expectedStatus",
        "health_check_url.bodyContains",
        "rss_watch.keywords",
        "dns_check.recordType",
        "dns_check.expect",
        "page_watch.selector",
        "page_watch.ignore",
        "agent.goal",
        "agent.tools",
        "agent.hosts",
        "command.shell",
        "daily_briefing.tags",
        "github_dispatch.clientPayload",
        "heartbeat.graceSeconds",
        "publish_event.data",
        "tcp_check.expect",
        "tls_check.certificateDaysLeft",
        "python.args",
        "python.kwargs",
    }
)

# Texts of one line, however long they may be.
ONE_LINE = frozenset({"http.auth.bearer", "http.auth.basic.password", "github_dispatch.token"})

TASK_WORDS = {
    "title": Words("Title", example="Shop front answers"),
    "id": Words("Id", "Part of addresses; it never changes. Empty means made from the title"),
    "description": Words("Description", "For people"),
    "owner": Words("Owner", "Whose task it is; empty means the operator's"),
    "tags": Words("Tags", "With commas between them", "shop, nightly"),
    "schedule": Words(
        "Schedule",
        "Five cron fields, an interval, one moment, or business days; several with semicolons",
        "30 9 * * MON-FRI; 0 12 * * SAT",
    ),
    "timezone": Words("Time zone", "The clock that the schedule is read on", "Europe/Riga"),
    "except": Words(
        "Days without a run",
        "With commas: dates, ranges, weekdays, weekends, holidays by country, calendars",
        "12-24..01-02, weekends, holidays:LV, calendar:company",
    ),
    "onExcluded": Words("What would run on such a day", "Moved runs avoid weekends as well"),
    "startAt": Words("Not before", "On the clock of the time zone; intervals begin here"),
    "endAt": Words("Not after", "On the clock of the time zone"),
    "maxRuns": Words("Runs at most", "Then the task has ended; empty means no limit"),
    "jitterSeconds": Words("Spread, in seconds", "Each run starts up to this much later"),
    "after": Words("After other tasks", "It starts when one of these has ended"),
    "after.task": Words("Task", example="backup"),
    "after.on": Words("When it"),
    "onEvent": Words("On events", "It starts when one of these is published"),
    "onEvent.type": Words("Event", example="order.paid"),
    "onEvent.source": Words("Only from"),
    "misfire.policy": Words("Runs that were missed", "While nothing called the scheduler"),
    "misfire.graceSeconds": Words(
        "Seconds late that are still on time", "auto is half the period, from 2 minutes to 2 hours"
    ),
    "overlap": Words("When the last run is not over"),
    "priority": Words("Priority", "Who comes first when not everything can start"),
    "timeoutSeconds": Words("Longest run, in seconds", "All that one attempt may take"),
    "retry.maxAttempts": Words("Attempts in all", "1 means never again"),
    "retry.minBackoffSeconds": Words("Shortest wait between attempts, in seconds"),
    "retry.maxBackoffSeconds": Words("Longest wait between attempts, in seconds"),
    "delivery": Words("Repetition", "What a second run of the same occurrence would do"),
    "group.name": Words("Group", "Tasks of one group share its limits, in all processes", "shop-api"),
    "group.maxConcurrent": Words("Attempts of the group at once, at most"),
    "group.perMinute": Words("Attempts of the group that start in a minute, at most"),
    "pauseAfterFailures": Words("Pause after failures in a row", "Empty means never; for agent, 5"),
    "expectSeconds": Words(
        "Notify after seconds without a success", "Even if nothing ever ran; empty means never", "90000"
    ),
    "budget.creditsPerRun": Words("Credits of one run at most"),
    "budget.creditsPerMonth": Words("Credits of a month at most"),
    "notify": Words("Who is notified"),
    "notify.on": Words("On", "None means failures and recoveries"),
    "notify.channels": Words(
        "Channels", "With commas between them; empty means the default ones", "feishu, slack"
    ),
    "notify.after": Words("After failures in a row", example="1"),
    "notify.remind": Words("Seconds between reminders", "auto, never, or a number", "auto"),
    "enabled": Words("Switched on"),
    "type": Words("Type"),
    "params": Words("Settings of the type", "A JSON object"),
}

CHOICES = {
    "onExcluded": (
        ("skip", "is left out"),
        ("next", "moves to the next business day"),
        ("previous", "moves to the business day before"),
    ),
    "overlap": (
        ("skip", "skip the new one"),
        ("queue_one", "let one wait"),
        ("queue_all", "let all wait"),
    ),
    "misfire.policy": (
        ("run_once", "run the newest, skip the others"),
        ("run_all", "run each"),
        ("skip", "skip what is later than the grace"),
    ),
    "delivery": (
        ("at_least_once", "may be repeated: try again after a failure"),
        ("at_most_once", "must not be repeated: one attempt, whatever became of it"),
    ),
    "priority": (("urgent", "urgent"), ("high", "high"), ("medium", "medium"), ("low", "low")),
    "after.on": (("success", "succeeds"), ("failure", "fails"), ("finished", "ends, either way")),
    "notify.on": (
        ("failure", "failure"),
        ("recovery", "recovery"),
        ("success", "success"),
        ("paused", "pause"),
        ("news", "news"),
        ("flapping", "flapping"),
        ("late", "late"),
        ("silent", "silence"),
    ),
    "page_watch.whenMissing": (("fail", "it is a failure"), ("ignore", "ignore it")),
    "publish_event.reach": (("owner", "those of its owner"), ("all", "those of all owners")),
    "agent.tools": (("http_get", "read pages"), ("rss_read", "read feeds")),
}


_WATCHED = (("news", "it is news"), ("required", "as it must: the same is a failure"))
CHOICES |= {
    f"{name}.changed": _WATCHED
    for name in (
        "http.expect.body",
        "health_check_url.expect.body",
        "command.expect.stdout",
        "command.expect.stderr",
    )
}


def param_words(type_name: str, name: str) -> Words | None:
    """Return the words of a type's param; None when there are none."""
    return PARAM_WORDS.get(f"{type_name}.{name}") or PARAM_WORDS.get(name)
