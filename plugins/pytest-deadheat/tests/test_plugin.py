"""The plugin with the real program, whose path is in the variable DEADHEAT."""

import pytest

ACTORS = """
[database]
engine = "postgres"
sql = "create table counter (id integer primary key, v integer not null); insert into counter values (1, 0)"

[[actor]]
name = "a{n}"
copies = 2
"""
RACY = ACTORS + """
sql = ["begin", "select v as n from counter where id = 1", "update counter set v = :n + 1 where id = 1", "commit"]
"""
CLEAN = ACTORS + """
sql = ["update counter set v = v + 1 where id = 1"]
"""
BUG = CLEAN + """
[check]
invariants = { "is nought" = "select v = 0 from counter" }
"""


@pytest.fixture
def project(pytester, monkeypatch):
    """A project whose tests load the plugin, once, whether it is installed or not."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makeini("[pytest]\naddopts = -p pytest_deadheat")
    return pytester


def test_a_scenario_that_races_fails_and_shows_what_happened(project):
    project.makefile(".deadheat.toml", racy=RACY, clean=CLEAN)
    result = project.runpytest()
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*deadheat find racy.deadheat.toml*", "RACE lost-update*", "what happened", "again:*"])
    assert (project.path / ".deadheat").is_dir()


def test_a_bug_is_no_race_and_fails_too(project):
    project.makefile(".deadheat.toml", bug=BUG)
    result = project.runpytest()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(['*a bug, not a race: "is nought" does not hold after *'])


def test_a_test_searches_a_scenario_itself(project):
    project.makefile(".toml", racy=RACY, clean=CLEAN)
    project.makepyfile(
        """
        import pytest
        from pytest_deadheat import Race

        def test_it(deadheat):
            assert deadheat.find("clean.toml")["exhausted"]
            with pytest.raises(Race) as found:
                deadheat.find("racy.toml", "--keep-going")
            assert found.value.result["races"][0]["kind"] == "lost-update"
        """
    )
    project.runpytest().assert_outcomes(passed=1)


def test_a_scenario_that_cannot_be_read_says_why(project):
    project.makefile(".deadheat.toml", typo=RACY.replace("copies", "copeis"))
    result = project.runpytest()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*did you mean `copies`?*"])


def test_a_program_that_is_not_there_says_so(project, monkeypatch):
    monkeypatch.setenv("DEADHEAT", "no-such-program")
    project.makefile(".deadheat.toml", clean=CLEAN)
    result = project.runpytest()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["cannot run `no-such-program`:*"])


def test_names_and_flags_are_set_in_the_ini_file(project):
    project.makeini(
        "[pytest]\naddopts = -p pytest_deadheat\ndeadheat_files = *.race.toml\ndeadheat_flags = --strategy bogus"
    )
    project.makefile(".race.toml", clean=CLEAN)
    project.makefile(".deadheat.toml", racy=RACY)
    result = project.runpytest()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*invalid value 'bogus'*"])
