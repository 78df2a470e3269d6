"""The files of `infra/pingers`, filled in and run as their platforms would."""

import configparser
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.support.serving import ROOT

PINGERS = ROOT / "infra" / "pingers"
SECRET = "a-secret-of-the-tests-with-32-characters"
WITHIN_S = 60
NODE = shutil.which("node")

CLOUDFLARE = """
import worker from "{file}";
await worker.scheduled({{ cron: "* * * * *" }}, {env}, {{ waitUntil() {{}} }});
"""
VERCEL = """
import {{ GET }} from "{file}";
const headers = {headers};
const answer = await GET(new Request("https://pinger.example.com/api/tick", {{ headers }}));
console.log(JSON.stringify({{ status: answer.status, body: await answer.json() }}));
"""


def node(script: str, folder: Path, code: int = 0, /, **env: str) -> str:
    (folder / "run.mjs").write_text(script)
    return ran(str(NODE), "run.mjs", cwd=folder, code=code, env=env)


def module(path: str, folder: Path) -> str:
    """A copy that node takes for a module, as the platform does."""
    shutil.copy(PINGERS / path, folder / "module.mjs")
    return "./module.mjs"


def ran(*words: str | Path, code: int = 0, **how: Any) -> str:
    """Run a program with no variables but those in *env*; return what it said."""
    how["env"] = {"PATH": os.environ["PATH"], "HOME": "/nonexistent"} | how.pop("env", {})
    done = subprocess.run(
        [str(word) for word in words], capture_output=True, text=True, timeout=WITHIN_S, check=False, **how
    )
    assert code == done.returncode, done.stderr + done.stdout
    said: str = done.stdout
    return said


def bash(script: str | Mapping[str, Any], *, code: int = 0, **how: Any) -> str:
    """Run a script or a step as GitHub does: with `-e`; with `pipefail` only where it says `shell: bash`.

    https://docs.github.com/actions/reference/workflow-syntax-for-github-actions, "steps[*].shell"
    """
    if isinstance(script, str):
        return ran("bash", "-e", "-c", script, code=code, **how)
    words = ("--noprofile", "--norc", "-eo", "pipefail") if script.get("shell") == "bash" else ("-e",)
    return ran("bash", *words, "-c", script["run"], code=code, **how)


def curl_config(folder: Path, function: str, *, secret: str = SECRET) -> Path:
    """The file of the crontab and of systemd, filled in."""
    text = (PINGERS / "crontab" / "pinger.curl").read_text()
    filled = text.replace("https://cronfire.example.com", function).replace("PUT-CRON_SECRET-HERE", secret)
    assert filled.count(function) == 1 == filled.count(secret)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pinger.curl").write_text(filled)
    return folder / "pinger.curl"


def unit(name: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    parser.optionxform = str  # type: ignore[assignment, method-assign]  # systemd's names have capitals
    parser.read(PINGERS / "systemd" / name)
    return parser


def workflow(name: str) -> Any:
    return yaml.safe_load((PINGERS / "github" / name).read_text())


def step(name: str, title: str) -> Any:
    whole = workflow(name)
    [job] = whole["jobs"].values()
    defaults = whole.get("defaults", {}).get("run", {})
    return defaults | next(one for one in job["steps"] if one.get("name") == title)


def crontab_line() -> str:
    [line] = [
        one
        for one in (PINGERS / "crontab" / "crontab").read_text().splitlines()
        if one and not one.startswith("#")
    ]
    return line
