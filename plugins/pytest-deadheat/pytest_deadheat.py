"""Runs Deadheat's scenarios as tests: a race is a failure that shows what happened.

Scenarios are collected by their files' names (`*.deadheat.toml`, or as `deadheat_files` says), one test each. The
fixture `deadheat` searches one from within a test. The program does all the work; this calls it and reads its JSON.
"""

import json
import os
import shlex
import subprocess
from fnmatch import fnmatch
from pathlib import Path

import pytest

from deadheat_attach import Lab, Refused

PATTERN = "*.deadheat.toml"
NOT_THERE = "cannot run `{program}`: {error} (deadheat_program or the variable DEADHEAT says where it is)"


class Race(AssertionError):
    """A scenario that races, breaks an invariant even without a race, or does not repeat. `result` is the JSON."""

    def __init__(self, text, result):
        super().__init__(text)
        self.result = result


class CannotRun(Exception):
    """Nothing could be searched: a bad file, no database, no program."""


class Deadheat:
    """The program, with the flags and in the folder of this test run."""

    def __init__(self, config):
        self.program = os.environ.get("DEADHEAT") or config.getini("deadheat_program")
        self.flags = shlex.split(config.getini("deadheat_flags"))
        self.folder = config.rootpath

    def find(self, scenario, *flags):
        """Searches a scenario and returns the result as `deadheat find --json` prints it; raises Race if it races."""
        ran = self._run("find", "--json", *self.flags, *flags, "--", str(scenario))
        if ran.returncode not in (0, 1, 3):
            raise CannotRun(ran.stderr.strip() or f"`deadheat find` ended with {ran.returncode}")
        result = json.loads(ran.stdout)
        if ran.returncode != 0:
            raise Race(self._in_words(result), result)
        return result

    def attach(self, scenario, actors, *flags):
        """Searches what the functions of a test can do to each other: `actors` names the one that plays each attached
        actor of the scenario. Returns the result as `find` does; raises Race if they race."""
        with self.serve(scenario, actors, *flags) as lab:
            try:
                result, text = lab.search()
            except Refused as error:
                raise CannotRun(str(error)) from None
        if result["verdict"] in ("clean", "no-race-found"):
            return result
        raise Race(text.strip(), result)

    def serve(self, scenario, actors, *flags):
        """The scenario with `deadheat serve`, up until the `with` block ends: `lab.search()`, `lab.play(schedule)`."""
        try:
            words = [self.program, "serve", *self.flags, *flags, "--", str(scenario)]
            return Lab(words, actors, cwd=self.folder, env=self._quiet())
        except Refused as error:
            raise CannotRun(str(error)) from None
        except OSError as error:
            raise CannotRun(NOT_THERE.format(program=self.program, error=error.strerror)) from error

    def _in_words(self, result):
        """The races as `deadheat show` draws them; what else it is where there is none."""
        shown = [self._run("show", "--", race["file"]) for race in result["races"]]
        if shown:
            return "\n\n".join((ran.stdout or ran.stderr).strip() for ran in shown)
        if result["verdict"] == "bug":
            orders = [f'"{name}" does not hold after {", then ".join(order)}'
                      for name, order in result["broken_serially"].items()]
            return f"{result['scenario']}: a bug, not a race: " + "; ".join(orders)
        differs = result["unrepeatable"]
        return (f"{result['scenario']}: the same schedule gave different runs; {differs['actor']} did\n"
                f"  {differs['first']}\nand the second time\n  {differs['second']}")

    def _run(self, *words):
        try:
            return subprocess.run(
                [self.program, *words], cwd=self.folder, env=self._quiet(), capture_output=True, text=True, check=False
            )
        except OSError as error:
            raise CannotRun(NOT_THERE.format(program=self.program, error=error.strerror)) from error

    @staticmethod
    def _quiet():
        # Annotations and summaries are for whoever calls the program by hand: the failed test says it all.
        return {name: value for name, value in os.environ.items() if name != "GITHUB_ACTIONS"}


class ScenarioFile(pytest.File):
    """A scenario's file; it holds one test."""

    def collect(self):
        yield Scenario.from_parent(self, name="find")


class Scenario(pytest.Item):
    """The search of a scenario."""

    def runtest(self):
        Deadheat(self.config).find(self.path)

    def repr_failure(self, excinfo, style=None):
        if isinstance(excinfo.value, (Race, CannotRun)):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self):
        return self.path, None, f"deadheat find {self.path.name}"


def pytest_addoption(parser):
    parser.addini("deadheat_program", "the program (the variable DEADHEAT goes before it)", default="deadheat")
    parser.addini("deadheat_flags", "flags for every search, as in: --time 30s", default="")
    parser.addini("deadheat_files", "patterns of scenarios' file names", type="args", default=[PATTERN])


def pytest_collect_file(file_path: Path, parent):
    patterns = parent.config.getini("deadheat_files")
    if any(fnmatch(file_path.name, pattern) for pattern in patterns):
        return ScenarioFile.from_parent(parent, path=file_path)
    return None


@pytest.fixture
def deadheat(request):
    """Searches scenarios: `deadheat.find("lobby.toml")` fails the test if it races."""
    return Deadheat(request.config)
