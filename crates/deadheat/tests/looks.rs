//! Where people look: files and texts that other programs read, and the ways they ask for them.
#![allow(missing_docs)]

mod common;

use std::path::Path;

use common::{Bench, Said, example, has, root, said, words};

fn path(scenario: &str) -> String {
    example(scenario).to_str().expect("UTF-8").to_owned()
}

/// Whether what a test needs was installed by `tools/setup`; says so when it was not.
fn is_installed(path: &Path) -> bool {
    let there = path.exists();
    if !there {
        eprintln!("skipped: {} is not there (tools/setup)", path.display());
    }
    there
}

#[test]
fn jenkins_takes_the_junit_xml() {
    let schema = root().join("target/schemas/junit-10.xsd");
    if !(has("xmllint") && is_installed(&schema)) {
        return;
    }
    let bench = Bench::new();
    // A race, a clean one, one that does not repeat, and two of the same name.
    let bug = bench.scenario(
        "lost-update.toml",
        "[database]\nengine = \"postgres\"\nsql = \"create table t (v integer)\"\n\n[[actor]]\nname = \"a\"\n\
         sql = [\"insert into t values (1)\"]\n\n[check]\ninvariants = { \"<none> & \\\"such\\\"\" = \"select false\" }\n",
    );
    let bug = bug.to_str().expect("UTF-8");
    let dice = common::service("dice.toml");
    let dice = dice.to_str().expect("UTF-8");
    let (race, clean) = (path("sql/lost-update.toml"), path("sql/for-update.toml"));
    let found = bench.run(["find", "--junit", "results.xml", &race, &clean, bug, dice]);
    assert_eq!(found.code, 3, "{}\n{}", found.out, found.err);
    let file = bench.folder.path().join("results.xml");
    let mut lint = bench.command_of("xmllint");
    lint.args(["--noout", "--schema"]).arg(&schema).arg(&file);
    let checked = said(lint.output().expect("xmllint runs"));
    assert_eq!(checked.code, 0, "{}", checked.err);
    let text = std::fs::read_to_string(&file).expect("XML");
    for name in [race.as_str(), bug, "for-update.toml", "dice.toml"] {
        assert!(
            text.contains(&format!("testcase name=\"{name}\"")),
            "{name}\n{text}"
        );
    }
}

#[test]
fn github_shows_the_race_in_the_summary_of_the_step() {
    let bench = Bench::new();
    let summary = bench.folder.path().join("summary.md");
    std::fs::write(&summary, "before\n").expect("written");
    let mut command = bench.command();
    command
        .args([
            "find",
            "--json",
            &path("sql/lost-update.toml"),
            &path("sql/for-update.toml"),
        ])
        .env("GITHUB_ACTIONS", "true")
        .env("GITHUB_STEP_SUMMARY", &summary);
    let found = said(command.output().expect("runs"));
    assert_eq!(found.code, 1, "{}", found.err);
    let text = std::fs::read_to_string(&summary).expect("is there");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "before");
    let race = format!("### race: `{}`", path("sql/lost-update.toml"));
    let clean = format!("### clean: `{}`", path("sql/for-update.toml"));
    assert!(lines.contains(&race.as_str()), "{text}");
    assert!(lines.contains(&clean.as_str()), "{text}");
    assert!(
        text.contains("<details open><summary>lost-update</summary>"),
        "{text}"
    );
    assert!(
        text.contains("again:  deadheat replay .deadheat/lost-update-1.json"),
        "{text}"
    );
}

#[test]
fn a_summary_that_cannot_be_written_is_said() {
    let bench = Bench::new();
    let mut command = bench.command();
    command
        .args(["find", &path("sql/for-update.toml")])
        .env("GITHUB_ACTIONS", "true")
        .env("GITHUB_STEP_SUMMARY", "no/such/folder/summary.md");
    let found = said(command.output().expect("runs"));
    assert_eq!(found.code, 2, "{}", found.out);
    assert!(
        found.err.contains("no/such/folder/summary.md"),
        "{}",
        found.err
    );
}

/// The tests of a plugin, with this program.
fn plugin(folder: &str, program: &str, words: &[&str]) -> Said {
    let bench = Bench::new();
    let mut command = bench.command_of(program);
    command
        .current_dir(root().join("plugins").join(folder))
        .env("DEADHEAT", env!("CARGO_BIN_EXE_deadheat"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .args(words);
    said(command.output().expect("runs"))
}

#[test]
fn pytest_runs_scenarios() {
    let python = root().join("plugins/pytest-deadheat/.venv/bin/python");
    if !is_installed(&python) {
        return;
    }
    // It runs in the plugin's folder; links are left as they are, they tell Python where its packages are.
    let python = std::path::absolute(python).expect("a path");
    let words = ["-m", "pytest", "-p", "no:cacheprovider"];
    let ran = plugin("pytest-deadheat", python.to_str().expect("UTF-8"), &words);
    assert_eq!(ran.code, 0, "{}\n{}", ran.out, ran.err);
    assert!(ran.out.contains("13 passed"), "{}", ran.out);
}

#[test]
fn node_runs_scenarios() {
    if !has("node") {
        return;
    }
    let ran = plugin("node-deadheat", "node", &["--test", "test/"]);
    assert_eq!(ran.code, 0, "{}\n{}", ran.out, ran.err);
    assert!(ran.out.contains("# pass 9"), "{}", ran.out);
}

#[test]
fn every_command_has_a_manual_page() {
    let bench = Bench::new();
    let whole = bench.run(["man"]);
    assert_eq!(whole.code, 0, "{}", whole.err);
    assert!(whole.out.contains(".TH deadheat 1"), "{}", whole.out);
    let commands: Vec<&str> = whole
        .out
        .lines()
        .filter_map(|line| line.strip_prefix("deadheat\\-")?.strip_suffix("(1)"))
        .collect();
    for known in ["find", "replay", "step", "init", "man"] {
        assert!(commands.contains(&known), "{known} is not in {commands:?}");
    }
    for command in commands {
        let page = bench.run(["man", command]);
        assert_eq!(page.code, 0, "{command}\n{}", page.err);
        let title = format!(".TH deadheat-{command} 1");
        assert!(page.out.contains(&title), "{command}\n{}", page.out);
    }
    let find = bench.run(["man", "find"]).out;
    for flag in ["preemptions", "junit", "allow\\-remote\\-server"] {
        assert!(find.contains(flag), "{flag}\n{find}");
    }
    assert!(find.contains("\\fBdeadheat find\\fR"), "{find}");
}

#[test]
fn a_manual_page_of_nothing_names_what_there_is() {
    let said = Bench::new().run(["man", "fnd"]);
    assert_eq!(said.code, 2, "{}", said.out);
    assert!(
        said.err.contains("there is no command `fnd`"),
        "{}",
        said.err
    );
    assert!(said.err.contains("replay"), "{}", said.err);
}

#[test]
fn man_shows_the_page_without_a_warning() {
    if !has("groff") {
        return;
    }
    let bench = Bench::new();
    for words in [&["man"][..], &["man", "find"], &["man", "init"]] {
        let page = bench.scenario("page.1", &bench.run(words).out);
        let mut groff = bench.command_of("groff");
        let shown = groff.args(["-man", "-Tutf8", "-ww"]).arg(page).output();
        let shown = said(shown.expect("groff runs"));
        assert_eq!((shown.code, shown.err.as_str()), (0, ""), "{words:?}");
        assert!(shown.out.contains("Print help"), "{}", shown.out);
    }
}

/// What a command prints on a terminal of so many columns.
fn on_a_terminal(bench: &Bench, columns: u16, environment: &str, words: &str) -> String {
    let program = env!("CARGO_BIN_EXE_deadheat");
    let shell = format!("stty cols {columns} rows 24; {environment} {program} {words} 2>/dev/null");
    let mut script = bench.command_of("script");
    script
        .env_remove("NO_COLOR")
        .env("TERM", "xterm-256color")
        .args(["-qec", &shell, "/dev/null"]);
    said(script.output().expect("script runs")).out
}

#[test]
fn colours_are_for_terminals_that_want_them() {
    if !has("script") {
        return;
    }
    let bench = Bench::new();
    let words = format!("find {}", path("sql/lost-update.toml"));
    let painted = on_a_terminal(&bench, 100, "", &words);
    assert!(
        painted.contains("\u{1b}[1m") && painted.contains("\u{1b}[31m"),
        "{painted:?}"
    );
    let plain = on_a_terminal(&bench, 100, "NO_COLOR=1", &words);
    assert!(
        plain.contains("RACE") && !plain.contains("\u{1b}[3"),
        "{plain:?}"
    );
    let mut piped = bench.command();
    piped
        .env_remove("NO_COLOR")
        .arg("show")
        .arg(".deadheat/lost-update-1.json");
    let piped = said(piped.output().expect("runs"));
    assert_eq!(piped.code, 0, "{}", piped.err);
    assert!(!piped.out.contains('\u{1b}'), "{}", piped.out);
}

#[test]
fn a_race_fits_a_narrow_terminal() {
    if !has("script") {
        return;
    }
    let bench = Bench::new();
    bench.run(["find", &path("sql/lost-update.toml")]);
    for columns in [60, 80] {
        let shown = on_a_terminal(
            &bench,
            columns,
            "NO_COLOR=1",
            "show .deadheat/lost-update-1.json",
        );
        assert!(shown.contains("RACE lost-update"), "{shown}");
        for line in shown.lines() {
            let width = line.trim_end().chars().count();
            assert!(
                width <= usize::from(columns),
                "{columns} columns, {width}: {line}"
            );
        }
    }
    let help = on_a_terminal(&bench, 60, "NO_COLOR=1", "find --help");
    let widest = help
        .lines()
        .map(|line| line.trim_end().chars().count())
        .max();
    assert!(widest.is_some_and(|widest| widest <= 60), "{help}");
}

/// The commands of the program in a document.
fn commands_in(document: &str) -> Vec<Vec<String>> {
    let text = std::fs::read_to_string(root().join(document)).expect("is there");
    let lines = text.lines().map(str::trim_start);
    lines
        .filter_map(|line| {
            ["$ ", "- run: ", "- "]
                .iter()
                .find_map(|mark| line.strip_prefix(mark))
        })
        .filter(|line| line.starts_with("deadheat "))
        .map(words)
        .collect()
}

#[test]
fn the_first_race_is_found_as_the_book_says() {
    if !has("python3") {
        return;
    }
    let bench = Bench::new();
    let lobby = root().join("examples/lobby");
    for (from, to) in [("python/app.py", "app.py"), ("schema.sql", "schema.sql")] {
        std::fs::copy(lobby.join(from), bench.folder.path().join(to)).expect("copied");
    }
    let commands = commands_in("docs/first-race.md");
    let run = |name: &str| {
        let command = commands.iter().find(|command| command[1] == name);
        bench.run(&command.expect("is in the book")[1..])
    };
    let codes = ["init", "find", "show", "replay"].map(|name| (name, run(name).code));
    assert_eq!(
        codes,
        [("init", 0), ("find", 1), ("show", 0), ("replay", 1)]
    );
}
