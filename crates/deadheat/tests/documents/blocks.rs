//! The code of the book is tried out: scenarios are read, commands are typed, outputs are those of some test.
//!
//! What a block is stands behind its fence. A block that nothing here knows is an error.

use std::path::PathBuf;

use clap::Parser as _;
use deadheat_sandbox::{PrivateOptions, Server};
use pulldown_cmark::{CodeBlockKind, Event, Tag, TagEnd};

use crate::common::{root, words};
use crate::pages::{Page, of_the_book};

/// What stands behind the fence, and the code.
type Block = (String, String);

fn blocks(page: &Page) -> Vec<Block> {
    let mut found = Vec::new();
    let mut open = None::<Block>;
    for event in page.events() {
        match (event, &mut open) {
            (Event::Start(Tag::CodeBlock(kind)), _) => {
                let info = match kind {
                    CodeBlockKind::Fenced(info) => info.into_string(),
                    CodeBlockKind::Indented => "sh".to_owned(),
                };
                open = Some((info, String::new()));
            }
            (Event::Text(text), Some((_, code))) => code.push_str(&text),
            (Event::End(TagEnd::CodeBlock), Some(_)) => found.extend(open.take()),
            _ => {}
        }
    }
    found
}

/// Pages that are documentation of a crate, too: their Rust is compiled and run there.
const DOC_TESTS: [(&str, &str); 2] = [
    ("docs/points.md", "crates/point/src/lib.rs"),
    ("docs/rust-tests.md", "crates/deadheat/src/lib.rs"),
];

/// The page whose snippets the gate's tests run.
const SNIPPETS: (&str, [&str; 6]) = (
    "docs/points-anywhere.md",
    ["python", "javascript", "ruby", "go", "java", "elixir"],
);

/// The page whose Python the tests of the pytest plugin run.
const PLAYED: (&str, &str) = (
    "docs/api.md",
    "plugins/pytest-deadheat/tests/test_attach.py",
);

/// A page whose outputs a test of its own compares, and that test.
const WHOLE: (&str, &str) = ("docs/faults.md", "crates/deadheat/tests/faults.rs");

/// What is wrong with a block.
fn wrong(page: &Page, (info, code): &Block) -> Option<String> {
    let at = page.path.to_str().expect("a path in UTF-8");
    let mut marks = info.split(',');
    let language = marks.next().unwrap_or_default();
    let marks: Vec<&str> = marks.collect();
    match language {
        "toml" if marks == ["manifest"] => code.parse::<toml::Table>().err().map(as_text),
        "toml" => scenario(code),
        "console" if written_here(page, code) => typed(code).err(),
        "console" if commands(code).count() == code.lines().count() => typed(code).err(),
        "console" if at.starts_with("docs/stories/") && code.lines().all(clean) => {
            typed(code).err()
        }
        "console" => Some("shows an output that nothing compares".to_owned()),
        "sh" | "yaml" => typed(code).err(),
        "text" if marks == ["spec"] => deadheat_spec::parse(code).err().map(as_text),
        "text" if marks == ["sketch"] || written_here(page, code) => None,
        "text" if at == WHOLE.0 => {
            (!root().join(WHOLE.1).exists()).then(|| "its test is gone".to_owned())
        }
        "text" => shown_by_a_test(code),
        "rust" if at.starts_with("docs/stories/") => {
            (!is_in_an_example(code)).then(|| "stands like this in no example".to_owned())
        }
        "rust" if marks.contains(&"ignore") => None,
        "rust" => {
            let crates = DOC_TESTS.iter().find(|(page, _)| *page == at);
            let tested = crates.is_some_and(|(_, of)| {
                let text = std::fs::read_to_string(root().join(of)).expect("a crate");
                text.contains(&format!("include_str!(\"../../../{at}\")"))
            });
            (!tested).then(|| "is no doc test of any crate".to_owned())
        }
        "sql" => statements(code),
        "json" => serde_json::from_str::<serde_json::Value>(code)
            .err()
            .map(as_text),
        "python" if at == PLAYED.0 => {
            let tests = std::fs::read_to_string(root().join(PLAYED.1)).expect("tests");
            (!tests.contains(at)).then(|| "the plugin's tests do not run it".to_owned())
        }
        other if at == SNIPPETS.0 && SNIPPETS.1.contains(&other) => None,
        other => Some(format!("`{other}` is tried out by nothing")),
    }
}

/// Whether these lines stand one below the other in the Rust of an example, however far to the right.
fn is_in_an_example(code: &str) -> bool {
    let lines = |text: &str| -> Vec<String> {
        let lines = text.lines().map(|line| line.trim().to_owned());
        lines.filter(|line| !line.is_empty()).collect()
    };
    let wanted = lines(code);
    let mut folders = vec![root().join("examples")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
            let path = entry.path();
            if path.is_dir() && !path.ends_with("node_modules") {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                let there = lines(&std::fs::read_to_string(path).expect("a text"));
                if there.windows(wanted.len()).any(|some| some == wanted) {
                    return true;
                }
            }
        }
    }
    false
}

#[allow(clippy::needless_pass_by_value)] // it is mapped over
fn as_text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// Reads a scenario, or a part of one, to which is added what every scenario needs.
fn scenario(code: &str) -> Option<String> {
    let folder = root().join("crates/scenario/tests/lobby");
    let mut text = code.to_owned();
    let mut needs = |table: &str, rest: &str| {
        if !code.contains(table) {
            text = format!("{text}\n{rest}");
        }
    };
    needs("[database", "[database]\nengine = \"postgres\"\n");
    needs(
        "[[actor]]",
        "[[actor]]\nname = \"ben\"\nsql = [\"select 1\"]\n",
    );
    if code.contains("request") {
        needs("[service", "[service.web]\nrun = \"python app.py\"\n");
    }
    let read = deadheat_scenario::parse("a block", &text, &folder);
    read.err().map(|errors| format!("{errors:?}"))
}

/// The lines of a block that are commands.
fn commands(code: &str) -> impl Iterator<Item = &str> {
    code.lines()
        .map(str::trim_start)
        .filter_map(|line| line.strip_prefix("$ "))
}

/// Whether the line is a command, or the verdict on a cure, which `tests/stories.rs` compares.
fn clean(line: &str) -> bool {
    let traces = line.strip_suffix(" traces explored");
    let counted = traces.and_then(|line| line.split_once(": clean, all "));
    line.starts_with("$ ") || counted.is_some_and(|(_, count)| count.parse::<u64>().is_ok())
}

/// Whether every command of this program can be typed as it stands there.
fn typed(code: &str) -> Result<(), String> {
    let lines = code.lines().map(|line| {
        let line = line.trim_start();
        let marks = ["$ ", "- run: ", "- "];
        let bare = marks.iter().find_map(|mark| line.strip_prefix(mark));
        let line = bare.unwrap_or(line);
        line.split(" #").next().unwrap_or(line).trim_end()
    });
    for line in lines.filter(|line| line.starts_with("deadheat ")) {
        deadheat::args::Cli::try_parse_from(words(line)).map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// Whether it stands between two marks, where it is compared with what the program says.
fn written_here(page: &Page, code: &str) -> bool {
    let mut rest = page.text.as_str();
    while let Some(at) = rest.find(": written by UPDATE=1 ") {
        let inside = &rest[at..];
        let end = inside.find("<!-- end of ").expect("the block has an end");
        if inside[..end].contains(code.trim_end()) {
            return true;
        }
        rest = &inside[end..];
    }
    false
}

/// Whether the lines of the text stand in this order in a snapshot of some test, or in what the README shows, which is
/// compared too. Figures and where a file lies may be others.
fn shown_by_a_test(code: &str) -> Option<String> {
    let lines = plain(code);
    let shown = |text: &String| {
        let mut rest = text.lines();
        lines
            .lines()
            .all(|line| line == "…" || rest.any(|other| same(line, other)))
    };
    let there = snapshots()
        .iter()
        .map(|text| plain(text))
        .any(|text| shown(&text));
    (!there).then(|| "no test has this".to_owned())
}

/// A snapshot may begin in the middle of a line, behind what differs from machine to machine.
fn same(line: &str, shown: &str) -> bool {
    line == shown || (shown.starts_with(':') && line.ends_with(shown))
}

/// Lines without what may differ: blanks, figures, the crate in which a file lies.
fn plain(text: &str) -> String {
    let word = |word: &str| -> String {
        let word = match word.strip_prefix("crates/") {
            Some(path) => path.split_once('/').map_or(path, |(_, path)| path),
            None => word,
        };
        let mut letters: Vec<char> = word.chars().collect();
        for letter in &mut letters {
            if letter.is_ascii_digit() {
                *letter = '0';
            }
        }
        letters.dedup_by(|one, other| *one == '0' && *other == '0');
        letters.into_iter().collect()
    };
    let line = |line: &str| {
        line.split_whitespace()
            .map(word)
            .collect::<Vec<_>>()
            .join(" ")
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

fn snapshots() -> Vec<String> {
    let mut open: Vec<PathBuf> = ["crates", "examples"].map(|at| root().join(at)).into();
    let readme = std::fs::read_to_string(root().join("README.md"));
    let mut found = vec![readme.expect("the README")];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().unwrap_or_default();
            if path.is_dir() && name != "node_modules" && name != ".venv" {
                open.push(path);
            } else if path.extension().is_some_and(|ending| ending == "snap") {
                found.push(std::fs::read_to_string(&path).expect("text"));
            }
        }
    }
    found
}

/// Whether PostgreSQL takes it; `objects` is a table that the pages speak of.
fn statements(code: &str) -> Option<String> {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let run = async {
        let text = format!("create table objects (id bigint primary key);\n{code}");
        let server = Server::private(&PrivateOptions::default()).await?;
        let database = server.create().await?;
        Ok::<_, deadheat_sandbox::Error>(database.run_sql("a block", &text).await.err())
    };
    let refused = runtime.block_on(run).expect("a server");
    refused.map(as_text)
}

#[test]
fn the_code_of_the_book_is_tried_out() {
    let mut all = Vec::new();
    let mut count = 0;
    let mut pages = of_the_book();
    let readme = std::fs::read_to_string(root().join("README.md")).expect("the README");
    pages.push(Page {
        path: PathBuf::from("README.md"),
        text: readme,
    });
    for page in &pages {
        for block in blocks(page) {
            count += 1;
            let why = wrong(page, &block);
            let (at, (info, code)) = (page.path.display(), block);
            all.extend(why.map(|why| format!("{at}: a block of {info}: {why}\n{code}")));
        }
    }
    assert!(count > 40, "only {count} blocks");
    assert!(all.is_empty(), "{}", all.join("\n"));
}

#[test]
fn a_block_is_wrong() {
    let told = |info: &str, code: &str| {
        let page = Page {
            path: PathBuf::from("docs/ci.md"),
            text: format!("```{info}\n{code}\n```\n"),
        };
        wrong(&page, &blocks(&page)[0])
    };
    for (info, code, right) in [
        ("toml", "[explore]\nruns = 5", true),
        ("toml", "[explore]\nrun = 5", false),
        ("toml,manifest", "[dependencies]\ndeadheat = \"0.1\"", true),
        ("console", "$ deadheat find x.toml", true),
        ("console", "$ deadheat find --nowhere x.toml", false),
        ("console", "$ deadheat find x.toml\nx.toml: clean", false),
        ("sh", "deadheat spec -j 4 x.spec   # quick", true),
        ("yaml", "  - run: deadheat fnid x.toml", false),
        ("text", "RACE check-then-act (G2) in racy.toml", true),
        ("text", "RACE that nobody ever had", false),
        ("text,sketch", "a ──► b", true),
        ("rust", "fn main() {}", false),
        ("json", "{", false),
        ("python", "pass", false),
    ] {
        let why = told(info, code);
        assert_eq!(why.is_none(), right, "{info}: {code}: {why:?}");
    }
}

#[test]
fn a_story_shows_what_no_example_has() {
    let told = |code: &str| {
        let page = Page {
            path: PathBuf::from("docs/stories/lobby.md"),
            text: format!("```rust,ignore\n{code}\n```\n"),
        };
        wrong(&page, &blocks(&page)[0])
    };
    let line = "for nick in [\"dan\", \"eve\"] {";
    assert_eq!(told(line), None);
    let other = line.replace("eve", "nobody");
    assert!(told(&other).is_some());
}
