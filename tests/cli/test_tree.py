"""Every command there is, enumerated: help for people, JSON for machines; and what `tre --help` may cost."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from tests.cli.conftest import Run
from tre.cli.main import NOUNS, tre

# A supervisor in the foreground: what it prints is for people, and `tre status --json` is for machines.
NO_JSON = {"up"}
HEAVY = ("sqlalchemy", "fastapi", "httpx", "pandas", "pydantic", "cryptography", "rich", "alembic", "uvicorn")


def commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield (*path, name), command
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))


ALL = list(commands(tre))


@pytest.mark.parametrize(("path", "command"), ALL, ids=[" ".join(path) for path, _ in ALL])
def test_every_command_has_help_and_json(path: tuple[str, ...], command: click.Command, tre: Run):
    assert command.help, "a sentence for people"
    ran = tre(*path, "--help")
    assert ran.code == 0
    assert "Usage: " in ran.out
    if isinstance(command, click.Group) or path[0] in NO_JSON:
        return
    options = {option for parameter in command.params for option in parameter.opts}
    assert "--json" in options
    for parameter in command.params:
        assert isinstance(parameter, click.Argument) or parameter.opts != ["--password"], "never a password in argv"


def test_every_noun_has_a_line_of_help(tre: Run):
    ran = tre("--help")
    assert ran.code == 0
    for noun, (_, words) in NOUNS.items():
        assert noun in ran.out
        assert words.endswith(".")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_gets_what_it_needs_for_completing(shell: str, tre: Run):
    ran = tre("completion", shell)
    assert (ran.code, ran.err) == (0, "")
    assert f"_TRE_COMPLETE={shell}_complete" in ran.out
    assert "\N{REPLACEMENT CHARACTER}" not in ran.out
    assert json.loads(tre("completion", shell, "--json").out).strip() == ran.out.strip()


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("", set(NOUNS)),
        ("pro", {"project"}),
        ("project re", {"refuse", "remove-member"}),
        ("project refuse cost --code no", {"no_public_benefit", "not_minimal"}),
        ("request list --wai", {"--waiting"}),
    ],
)
def test_what_bash_is_offered(typed: str, offered: set[str]):
    """As bash asks: a new process with the words so far, from the script of `tre completion bash`."""
    words = f"tre {typed}".split(" ")
    script = 'eval "$(tre completion bash)"; COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)); _tre_completion tre\n'
    script += 'printf "%s\\n" "${COMPREPLY[@]}"'
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", script, "bash", *words], capture_output=True, text=True, check=True, env={"PATH": path}
    )
    assert set(done.stdout.split()) == offered, done.stderr


@pytest.mark.parametrize("arguments", [("--help",), ("--version",)])
def test_help_imports_nothing_heavy(arguments: tuple[str, ...]):
    program = (
        "import sys, tre.cli.main as m\n"
        f"sys.argv = ['tre', *{arguments!r}]\n"
        "try: m.main()\nexcept SystemExit: pass\n"
        f"print('LOADED', [name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "LOADED []", done.stdout


@pytest.mark.parametrize("noun", ["person", "project", "workspace", "audit", "organisation", "login"])
def test_a_nouns_help_loads_no_server(noun: str):
    program = (
        "import sys, tre.cli.main as m\n"
        f"sys.argv = ['tre', {noun!r}, '--help']\n"
        "try: m.main()\nexcept SystemExit: pass\n"
        "print('LOADED', [n for n in ('sqlalchemy', 'fastapi', 'httpx', 'pandas') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "LOADED []"


@pytest.mark.parametrize(
    "arguments", [("nothing",), ("person", "nothing"), ("person", "role", "bob", "king"), ("person", "add", "bob")]
)
def test_a_wrong_call_is_code_2(tre: Run, arguments: tuple[str, ...]):
    ran = tre(*arguments)
    assert ran.code == 2
    assert "Traceback" not in ran.err
