"""`tre up --demo` as a person runs it at a terminal: signed in with what it prints, Ctrl-C, again, window closed."""

import contextlib
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import pytest

from tests.demo.test_journey import processes_of
from tre.demo import resident
from tre.demo.browser import Browser
from tre.demo.cast import CAST, Account
from tre.demo.stage import temporary_stage
from tre.errors import InvalidInput
from tre.settings import Settings

PARTS = {part.username: part for part in CAST}
CONTROL_C = b"\x03"


@pytest.fixture
def settings() -> Iterator[Settings]:
    with temporary_stage() as stage:
        yield stage.settings


def environment(settings: Settings) -> dict[str, str]:
    return {**os.environ, **settings.environment(), "TERM": "xterm"}


class Terminal:
    """A program at a terminal of its own."""

    def __init__(self, settings: Settings) -> None:
        self.text, self.ended = "", False
        self.pid, self.screen = pty.fork()
        if self.pid == 0:
            # The tests may run under nohup, and what is ignored is inherited.
            signal.signal(signal.SIGHUP, signal.SIG_DFL)
            command = [sys.executable, "-m", "tre.cli.main", "up", "--demo"]
            os.execve(command[0], command, environment(settings))

    def read_until(self, what: str, seconds: float = 300) -> str:
        end = time.monotonic() + seconds
        while what not in self.text and time.monotonic() < end:
            if select.select([self.screen], [], [], 0.5)[0]:
                with contextlib.suppress(OSError):
                    self.text += os.read(self.screen, 65536).decode(errors="replace")
        assert what in self.text, self.text[-3000:]
        return self.text

    def press_control_c(self) -> None:
        os.write(self.screen, CONTROL_C)
        self.read_until("^C")

    def close(self) -> None:
        """The window is closed."""
        os.close(self.screen)
        self.screen = -1

    def exit_code(self) -> int:
        """Once it has ended."""
        end = time.monotonic() + 120
        while time.monotonic() < end:
            if self.screen >= 0 and select.select([self.screen], [], [], 0.1)[0]:
                with contextlib.suppress(OSError):
                    self.text += os.read(self.screen, 65536).decode(errors="replace")
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.ended = True
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.05)
        raise AssertionError(f"it does not end: {self.text[-2000:]}")


@contextlib.contextmanager
def up(settings: Settings, end: Callable[[Terminal], None]) -> Iterator[Terminal]:
    terminal = Terminal(settings)
    try:
        yield terminal
        end(terminal)
        assert terminal.exit_code() == 0, terminal.text[-2000:]
        assert "Traceback" not in terminal.text
    finally:
        if not terminal.ended:
            os.kill(terminal.pid, signal.SIGTERM)
            terminal.exit_code()
        if terminal.screen >= 0:
            terminal.close()


def sign_in(settings: Settings, screen: str, name: str) -> str:
    """With the password and the command for codes as they stand on the screen, which the demonstration itself may have
    used a moment ago; the words of the first page.
    """
    found = re.search(rf"{name} +(\S+) +researcher", screen)
    assert found, screen
    line = next(line for line in screen.splitlines() if line.rstrip().endswith(" NAME"))
    typed = line.strip().removesuffix("NAME") + name
    return first_page(settings, typed, name, found[1])


def first_page(settings: Settings, typed: str, name: str, password: str) -> str:
    done = subprocess.run(["/bin/sh", "-c", typed], capture_output=True, text=True, check=True, timeout=60)
    browser = Browser(f"http://127.0.0.1:{settings.port}", Told(PARTS[name], password, done.stdout.strip()))
    with contextlib.closing(browser):
        browser.sign_in()
        return browser.page("/tre/").text


class Told(Account):
    """An account with the code that was printed."""

    def next_code(self, under_way: int = 0) -> str:
        return self.totp_secret


@pytest.mark.timeout(900)
def test_a_platform_that_stays(settings: Settings) -> None:
    with up(settings, Terminal.press_control_c) as terminal:
        assert f"http://127.0.0.1:{settings.port}/tre/" in terminal.read_until("Ctrl-C stops the platform")
        for _ in range(2):
            assert "health-costs" in sign_in(settings, terminal.text, "rhea")
    assert list(processes_of(str(settings.state.parent))) == []
    assert (settings.state / resident.ACCOUNTS).stat().st_mode & 0o077 == 0
    with up(settings, Terminal.close) as terminal:
        terminal.read_until("Ctrl-C stops the platform")
        assert "demo 1/" not in terminal.text
        assert "prison-health" in sign_in(settings, terminal.text, "otto")
    assert list(processes_of(str(settings.state.parent))) == []


def test_one_that_was_broken_off_says_what_to_do(settings: Settings) -> None:
    (settings.state / "demo").mkdir(parents=True)
    said: list[str] = []
    resident.settle(settings, said.append)
    assert said == [f"demo: it was broken off when its people and data were made. {remedy(settings)}"]


def remedy(settings: Settings) -> str:
    return f"Stop, remove {settings.state} and start again."


def test_without_a_demonstration_there_are_no_codes(settings: Settings) -> None:
    with pytest.raises(InvalidInput, match="There is no demonstration"):
        resident.read_accounts(settings)
