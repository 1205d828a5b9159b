//! What cannot be run is refused with one clear message: what is wrong, where, and what mends it.
#![allow(missing_docs)]

mod common;

use std::net::TcpListener;

use common::{Bench, Said, example, has, service};

/// A scenario's database.
const DATABASE: &str = "[database]
engine = \"postgres\"
sql = \"create table players (id int primary key, nick text not null)\"
";

/// Two actors who do no harm.
const ACTORS: &str = "
[[actor]]
name = \"ben\"
sql = [\"insert into players values (1, 'ben')\"]

[[actor]]
name = \"ada\"
sql = [\"insert into players values (2, 'ada')\"]
";

/// What the program said about a scenario of this text.
fn find(text: &str) -> String {
    let bench = Bench::new();
    bench.scenario("lobby.toml", text);
    refused(&bench.run(["find", "lobby.toml"]))
}

/// Standard error, after an end with the code of what cannot be run.
#[track_caller]
fn refused(said: &Said) -> String {
    assert_eq!(said.code, 2, "{}\n{}", said.out, said.err);
    assert_eq!(said.out, "", "results only on standard output");
    stable(&said.err)
}

/// Without what differs from run to run: where the repository is, and ports that the system chose.
fn stable(text: &str) -> String {
    let here = format!("{}/", env!("CARGO_MANIFEST_DIR"));
    let mut parts = text
        .replace(&here, "")
        .split("127.0.0.1:")
        .map(str::to_owned)
        .collect::<Vec<_>>();
    for part in parts.iter_mut().skip(1) {
        let digits = part
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(part.len());
        // Ports below are written in the test itself.
        if digits >= 4 {
            part.replace_range(..digits, "PORT");
        }
    }
    parts.join("127.0.0.1:")
}

#[test]
fn a_key_is_misspelt() {
    let text = format!("{DATABASE}setpu = [\"schema.sql\"]\n{ACTORS}");
    insta::assert_snapshot!(find(&text));
}

#[test]
fn a_value_has_the_wrong_type() {
    let text = format!("{DATABASE}{ACTORS}[explore]\nruns = \"many\"\n");
    insta::assert_snapshot!(find(&text));
}

#[test]
fn a_setup_file_is_missing() {
    let text = format!("{DATABASE}setup = [\"schema.sql\"]\n{ACTORS}");
    insta::assert_snapshot!(find(&text));
}

#[test]
fn the_scenario_is_missing() {
    insta::assert_snapshot!(refused(&Bench::new().run(["find", "nowhere.toml"])));
}

#[test]
fn nobody_acts() {
    insta::assert_snapshot!(find(&format!("actor = []\n{DATABASE}")));
}

#[test]
fn two_actors_have_one_name() {
    let text = format!("{DATABASE}{}", ACTORS.replace("\"ada\"", "\"ben\""));
    insta::assert_snapshot!(find(&text));
}

#[test]
fn a_statement_of_a_setup_file_fails() {
    let bench = Bench::new();
    bench.scenario(
        "schema.sql",
        "-- who plays\ncreate table seats (id int);\n\nselect lower(1);\n",
    );
    bench.scenario(
        "lobby.toml",
        &format!("{DATABASE}setup = [\"schema.sql\"]\n{ACTORS}"),
    );
    insta::assert_snapshot!(refused(&bench.run(["find", "lobby.toml"])));
}

#[test]
fn a_statement_of_the_scenario_itself_fails() {
    let sql = "sql = \"\"\"\ncreate table players (id int);\ninsert into players (idd)\n  values (1);\n\"\"\"\n";
    let text = format!("[database]\nengine = \"postgres\"\n{sql}{ACTORS}");
    insta::assert_snapshot!(find(&text));
}

#[test]
fn the_server_points_nowhere_and_the_whole_statement_is_shown() {
    let sql = "sql = \"\"\"\ncreate table games (id int primary key);\ninsert into games\n  values (1), (1);\n\"\"\"\n";
    let text = format!("[database]\nengine = \"postgres\"\n{sql}{ACTORS}");
    insta::assert_snapshot!(find(&text));
}

#[test]
fn a_statement_is_written_with_escapes() {
    let sql = "sql = \"create table \\\"Players\\\" (id int); insert into \\\"Players\\\" values ('x')\"\n";
    let text = format!("[database]\nengine = \"postgres\"\n{sql}{ACTORS}");
    insta::assert_snapshot!(find(&text));
}

#[test]
fn a_statement_before_the_runs_fails() {
    let text = format!(
        "{DATABASE}{ACTORS}[[before]]\nsql = [\"select 1\", \"select seat from players\"]\n"
    );
    insta::assert_snapshot!(find(&text));
}

#[test]
fn the_migration_fails() {
    let prepare = "prepare = \"echo migrating; echo 'column seat is missing' >&2; exit 4\"\n";
    insta::assert_snapshot!(find(&format!("{DATABASE}{prepare}{ACTORS}")));
}

#[test]
fn the_migration_is_no_command() {
    let prepare = "prepare = \"no-such-program migrate\"\n";
    let said = find(&format!("{DATABASE}{prepare}{ACTORS}"));
    let (message, log) = said.split_once("its last lines:").expect("a log");
    assert!(log.contains("no-such-program"), "{log}");
    insta::assert_snapshot!(message);
}

#[test]
fn a_setting_is_the_sandboxs_own() {
    let text = format!("{DATABASE}settings = {{ deadlock_timeout = \"1s\" }}\n{ACTORS}");
    insta::assert_snapshot!(find(&text));
}

#[test]
fn the_port_is_taken() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener
        .local_addr()
        .expect("an address")
        .port()
        .to_string();
    let web = format!("[service.web]\nrun = \"sleep 60\"\nenv = {{ PORT = \"{port}\" }}\n");
    let said = find(&format!("{DATABASE}{web}{ACTORS}"));
    insta::assert_snapshot!(said.replace(&port, "54321"));
}

#[test]
fn the_service_exits_at_once() {
    if has("python3") {
        let path = service("exits_at_once.toml");
        insta::assert_snapshot!(refused(
            &Bench::new().run(["find".as_ref(), path.as_os_str()])
        ));
    }
}

#[test]
fn the_service_is_never_ready() {
    if has("python3") {
        let path = service("never_ready.toml");
        insta::assert_snapshot!(refused(
            &Bench::new().run(["find".as_ref(), path.as_os_str()])
        ));
    }
}

#[test]
fn the_service_listens_nowhere_and_its_last_twenty_lines_are_shown() {
    let web = "[service.web]\nrun = \"seq 1 1000; sleep 60\"\nready_within = \"300ms\"\n";
    insta::assert_snapshot!(find(&format!("{DATABASE}{web}{ACTORS}")));
}

#[test]
fn a_request_before_the_runs_is_refused() {
    if has("python3") {
        let path = service("no_logins.toml");
        insta::assert_snapshot!(refused(
            &Bench::new().run(["find".as_ref(), path.as_os_str()])
        ));
    }
}

#[test]
fn an_actor_is_refused_in_every_order() {
    if has("python3") {
        let path = service("refuses.toml");
        let said = Bench::new().run(["find".as_ref(), path.as_os_str()]);
        assert_eq!(said.code, 0, "{}\n{}", said.out, said.err);
        insta::assert_snapshot!(without_counts(&said.out));
    }
}

#[test]
fn an_actors_statement_names_a_table_that_is_not_there() {
    let actors = ACTORS.replace("players values (2", "player values (2");
    insta::assert_snapshot!(find(&format!("{DATABASE}{actors}")));
}

#[test]
fn an_actors_statement_is_no_sql() {
    let actors = ACTORS.replace("values (2", "valeus (2");
    insta::assert_snapshot!(find(&format!("{DATABASE}{actors}")));
}

#[test]
fn an_actors_statement_with_a_parameter_is_no_sql() {
    let sql = "sql = [\"select 2 as seat\", \"insert into players valeus (:seat, 'ada')\"]";
    let actors = ACTORS.replace("sql = [\"insert into players values (2, 'ada')\"]", sql);
    assert!(actors.contains(sql));
    insta::assert_snapshot!(find(&format!("{DATABASE}{actors}")));
}

#[test]
fn an_actors_statement_needs_a_value_that_nothing_has_saved() {
    let actors = ACTORS.replace("(2, 'ada')", "(2, :nick)");
    insta::assert_snapshot!(find(&format!("{DATABASE}{actors}")));
}

#[test]
fn an_actors_statement_that_is_written_otherwise_is_no_sql() {
    let actors = ACTORS.replace("values (2", "val\\u0065us (2");
    insta::assert_snapshot!(find(&format!("{DATABASE}{actors}")));
}

#[test]
fn an_actors_statement_is_refused_where_that_is_allowed() {
    let actors = ACTORS.replace("players values (2", "player values (2");
    let bench = Bench::new();
    let text = format!("{DATABASE}{actors}[check]\nallow = [\"42P01\"]\n");
    bench.scenario("lobby.toml", &text);
    let said = bench.run(["find", "lobby.toml"]);
    assert_eq!(said.code, 0, "{}\n{}", said.out, said.err);
}

#[test]
fn an_actors_statement_fails_in_every_order() {
    let bench = Bench::new();
    let text = format!("{DATABASE}{}", ACTORS.replace("(2, 'ada')", "(2, null)"));
    bench.scenario("lobby.toml", &text);
    let said = bench.run(["find", "lobby.toml"]);
    assert_eq!(said.code, 0, "{}\n{}", said.out, said.err);
    insta::assert_snapshot!(without_counts(&said.out));
}

#[test]
fn the_invariant_is_broken_without_any_race() {
    let bench = Bench::new();
    let check = "[check.invariants]\n\"at most one\" = \"select count(*) <= 1 from players\"\n";
    bench.scenario("lobby.toml", &format!("{DATABASE}{ACTORS}{check}"));
    let said = bench.run(["find", "lobby.toml"]);
    assert_eq!(said.code, 1, "{}\n{}", said.out, said.err);
    insta::assert_snapshot!(without_counts(&said.out));
    let json = bench.find(&bench.folder.path().join("lobby.toml"), &[]).1;
    assert_eq!(json["verdict"], "bug");
    assert_eq!(json["broken_serially"]["at most one"][1], "ada", "{json:#}");
}

#[test]
fn an_invariant_is_no_sql() {
    let check = "[check.invariants]\n\"at most one\" = \"select count(*) <= 1 form players\"\n";
    insta::assert_snapshot!(find(&format!("{DATABASE}{ACTORS}{check}")));
}

#[test]
fn an_invariant_asks_a_table_that_is_not_there() {
    let check =
        "[check]\ninvariants = { \"at most one\" = \"select count(*) <= 1 from player\" }\n";
    insta::assert_snapshot!(find(&format!("{DATABASE}{ACTORS}{check}")));
}

#[test]
fn an_invariant_says_a_number() {
    let check = "[check.invariants]\n\"at most one\" = \"select count(*) from players\"\n";
    insta::assert_snapshot!(find(&format!("{DATABASE}{ACTORS}{check}")));
}

/// The verdict's line without its numbers, and all the rest.
fn without_counts(text: &str) -> String {
    let text = stable(text);
    let (verdict, rest) = text.split_once('\n').expect("lines");
    let verdict: String = verdict
        .chars()
        .map(|c| if c.is_ascii_digit() { 'N' } else { c })
        .collect();
    format!("{verdict}\n{rest}").replace("N.N s", "T s")
}

#[test]
fn the_server_is_elsewhere() {
    let text = format!("{DATABASE}server = \"postgres://ben@192.0.2.7/\"\n{ACTORS}");
    insta::assert_snapshot!(find(&text));
}

#[test]
fn the_server_cannot_be_reached() {
    let text = format!("{DATABASE}server = \"postgres://ben:secret@127.0.0.1:1/\"\n{ACTORS}");
    let said = find(&text);
    assert!(!said.contains("secret"), "{said}");
    insta::assert_snapshot!(said);
}

#[test]
fn there_is_no_server_program() {
    let bench = Bench::new();
    bench.scenario("lobby.toml", &format!("{DATABASE}{ACTORS}"));
    let mut command = bench.command();
    command
        .args(["find", "lobby.toml"])
        .env("DEADHEAT_POSTGRES", "/nowhere");
    // Which package manager mends it is the machine's.
    let said = refused(&common::said(command.output().expect("runs")));
    let (before, after) = said.split_once("help: ").expect("help");
    let (remedy, rest) = after.split_once('\n').expect("lines");
    assert!(remedy.contains("postgresql"), "{remedy}");
    insta::assert_snapshot!(format!("{before}help: REMEDY\n{rest}"));
}

#[test]
fn the_doctor_says_what_would_be_used() {
    let bench = Bench::new();
    let said = bench.run(["doctor"]);
    assert_eq!(said.code, 0, "{}", said.out);
    let first: Vec<&str> = said
        .out
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .take(5)
        .collect();
    assert_eq!(
        first,
        ["server", "user", "cache", "runs", "searched,"],
        "{}",
        said.out
    );
    assert!(said.out.ends_with("\nnothing is missing\n"), "{}", said.out);

    let mut command = bench.command();
    command.arg("doctor").env("DEADHEAT_POSTGRES", "/nowhere");
    let said = common::said(command.output().expect("runs"));
    assert_eq!(said.code, 2, "{}", said.out);
    assert!(said.out.starts_with("server   none\n"), "{}", said.out);
    assert!(
        said.out
            .contains("  DEADHEAT_POSTGRES=/nowhere: nothing\nto mend it: "),
        "{}",
        said.out
    );
}

/// A bench with a saved race.
fn raced() -> (Bench, String) {
    let bench = Bench::new();
    let text = std::fs::read_to_string(example("sql/lost-update.toml")).expect("an example");
    bench.scenario("lost.toml", &text);
    let said = bench.run(["find", "lost.toml"]);
    assert_eq!(said.code, 1, "{}\n{}", said.out, said.err);
    (bench, ".deadheat/lost-1.json".to_owned())
}

#[test]
fn the_race_is_no_race() {
    let bench = Bench::new();
    bench.scenario("race.json", "{ \"format\": 1, \"scenario\": ");
    insta::assert_snapshot!(refused(&bench.run(["replay", "race.json"])));
    bench.scenario("race.json", "{ \"format\": 9 }");
    insta::assert_snapshot!(refused(&bench.run(["show", "race.json"])));
    insta::assert_snapshot!(refused(&bench.run(["replay", "nowhere.json"])));
}

#[test]
fn no_cure_has_time_to_be_tried() {
    let (bench, race) = raced();
    let said = bench.run(["fix", &race, "--time", "1ms"]);
    assert_eq!(said.code, 1, "{}\n{}", said.out, said.err);
    let last = said.out.lines().last().unwrap_or_default();
    assert_eq!(
        last, "the search had no time to find the race as it is (--time gives it longer)",
        "{}",
        said.out
    );
}

#[test]
fn the_races_scenario_is_gone() {
    let (bench, race) = raced();
    std::fs::remove_file(bench.folder.path().join("lost.toml")).expect("was there");
    insta::assert_snapshot!(refused(&bench.run(["replay", &race])));
}

#[test]
fn the_races_actors_have_other_names() {
    let (bench, race) = raced();
    let path = bench.folder.path().join("lost.toml");
    let text = std::fs::read_to_string(&path).expect("is there");
    std::fs::write(&path, text.replace("name = \"a{n}\"", "name = \"b{n}\"")).expect("is written");
    insta::assert_snapshot!(refused(&bench.run(["replay", &race])));
}
