"""Functions of a test that deadheat has take turns, with the real program, whose path is in the variable DEADHEAT."""

import re
from pathlib import Path

import pytest

pytest.importorskip("psycopg", reason="psycopg is not installed: the functions of these tests talk to PostgreSQL")

SCENARIO = """
[database]
engine = "postgres"
sql = "create table counter (id integer primary key, v integer not null); insert into counter values (1, 0)"

[[actor]]
name = "ann"
attached = true

[[actor]]
name = "ben"
attached = true
"""
FUNCTIONS = """
import psycopg
import pytest
from pytest_deadheat import CannotRun, Race

def racy(env):
    with psycopg.connect(env["DATABASE_URL"]) as db:
        (v,) = db.execute("select v from counter where id = 1").fetchone()
        db.execute("update counter set v = %s where id = 1", [v + 1])

def cured(env):
    with psycopg.connect(env["DATABASE_URL"]) as db:
        return db.execute("update counter set v = v + 1 where id = 1 returning v").fetchone()[0] > 0
"""


@pytest.fixture
def project(pytester, monkeypatch):
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makeini("[pytest]\naddopts = -p pytest_deadheat")
    pytester.makefile(".toml", counter=SCENARIO)
    return pytester


def test_functions_that_race_are_found_and_cured_ones_are_exhausted(project):
    project.makepyfile(
        FUNCTIONS
        + """
def test_racy(deadheat):
    with pytest.raises(Race) as found:
        deadheat.attach("counter.toml", {"ann": racy, "ben": racy})
    (race,) = found.value.result["races"]
    assert race["kind"] == "lost-update"
    assert "what happened" in str(found.value)

def test_cured(deadheat):
    result = deadheat.attach("counter.toml", {"ann": cured, "ben": cured})
    assert result["verdict"] == "clean" and result["exhausted"]
"""
    )
    project.runpytest("-v").assert_outcomes(passed=2)


def test_a_race_fails_the_test_and_shows_what_happened(project):
    project.makepyfile(
        FUNCTIONS
        + """
def test_it(deadheat):
    deadheat.attach("counter.toml", {"ann": racy, "ben": racy})
"""
    )
    result = project.runpytest()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*RACE lost-update*", "*what happened*"])


def test_a_test_chooses_who_moves(project):
    project.makepyfile(
        FUNCTIONS
        + """
def test_it(deadheat):
    with deadheat.serve("counter.toml", {"ann": racy, "ben": racy}) as lab:
        begun = lab.play(["ann"])
        assert [seat["place"] for seat in begun["seats"]] == ["next", "next"]
        assert begun["seats"][0]["statement"].startswith("update counter")
        assert begun["seats"][1]["starts"]
        lost = lab.play(["ann", "ben", "ann", "ann", "ben", "ben"])
        assert lost["verdict"]["kind"] == "lost-update"
        assert lab.play(["ann"] * 3 + ["ben"] * 3)["verdict"] == {}
        assert lab.search()[0]["verdict"] == "race"
"""
    )
    project.runpytest("-v").assert_outcomes(passed=1)


def test_a_function_that_fails_in_every_order_is_no_race(project):
    project.makepyfile(
        FUNCTIONS
        + """
def refuses(env):
    raise ValueError("not today")

def test_it(deadheat):
    assert deadheat.attach("counter.toml", {"ann": refuses, "ben": cured})["exhausted"]
"""
    )
    project.runpytest("-v").assert_outcomes(passed=1)


def test_a_mutex_of_the_test_is_seen_and_never_called_exhausted(project):
    project.makepyfile(
        FUNCTIONS
        + """
import threading
mutex = threading.Lock()

def guarded(env):
    with mutex:
        racy(env)

def test_it(deadheat):
    result = deadheat.attach("counter.toml", {"ann": guarded, "ben": guarded})
    assert result["verdict"] == "no-race-found" and not result["exhausted"]
"""
    )
    project.runpytest("-v").assert_outcomes(passed=1)


def test_what_cannot_be_run_says_why(project):
    project.makefile(".toml", typo=SCENARIO.replace("attached", "atached"))
    project.makepyfile(
        FUNCTIONS
        + """
def test_it(deadheat):
    with pytest.raises(CannotRun, match="did you mean `attached`"):
        deadheat.attach("typo.toml", {"ann": cured, "ben": cured})
    with pytest.raises(CannotRun, match="is attached, and nobody plays it"):
        deadheat.find("counter.toml")
"""
    )
    project.runpytest("-v").assert_outcomes(passed=1)


def test_what_the_book_shows_fails_as_it_says(project):
    page = (Path(__file__).parents[3] / "docs/api.md").read_text()
    blocks = dict(re.findall(r"```(toml|python)\n(.*?)```", page, re.DOTALL))
    project.makefile(".toml", counter=blocks["toml"])
    project.makepyfile(blocks["python"])
    result = project.runpytest()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*RACE lost-update*"])
