"""`tre completion SHELL`: the lines that make a shell complete nouns, commands, options and choices."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from tre.cli.show import shown

VARIABLE = "_TRE_COMPLETE"


@click.command()
@click.argument("shell", type=click.Choice(("bash", "zsh", "fish")))
@shown()
def completion(shell: str) -> str:
    """Print what SHELL needs for completing `tre`: for bash, put `eval "$(tre completion bash)"` into ~/.bashrc."""
    found = get_completion_class(shell)
    if found is None:
        raise click.BadParameter("not a shell that is known", param_hint="SHELL")
    return found(click.Group(), {}, "tre", VARIABLE).source()
