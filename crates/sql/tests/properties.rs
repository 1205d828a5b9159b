//! What must hold for every statement, however it is made.

mod common;

use common::{Lab, column, conflict, primary, refers, unique};
use deadheat_sql::catalog::{Action, Table};
use deadheat_sql::{Catalog, Footprint};
use proptest::prelude::*;

/// Two to four tables with an id, numbers, a name that may be unique, and references to earlier ones.
fn schema() -> impl Strategy<Value = Catalog> {
    let table = (any::<bool>(), proptest::option::of(0..3_usize), 0..4_usize);
    proptest::collection::vec(table, 2..5).prop_map(|tables| {
        let make = |(at, (named, parent, action)): (usize, (bool, Option<usize>, usize))| {
            let mut made = Table {
                oid: at as u32 + 1,
                schema: "public".into(),
                name: format!("t{at}"),
                columns: vec![
                    column("id", "integer"),
                    column("n", "integer"),
                    column("name", "text"),
                ],
                unique: vec![primary(&["id"])],
                ..Table::default()
            };
            if named {
                made.unique.push(unique(&["name"]));
            }
            if let Some(parent) = parent.filter(|parent| *parent <= at) {
                let actions = [
                    Action::NoAction,
                    Action::Cascade,
                    Action::SetNull,
                    Action::SetDefault,
                ];
                made.foreign_keys
                    .push(refers("f", "n", parent as u32 + 1, actions[action]));
            }
            made
        };
        Catalog {
            tables: tables.into_iter().enumerate().map(make).collect(),
            search_path: vec!["public".into()],
            ..Catalog::default()
        }
    })
}

fn condition() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        (0..4).prop_map(|n| format!(" where id = {n}")),
        (0..4).prop_map(|n| format!(" where n = {n} and name = 'a'")),
        (0..4).prop_map(|n| format!(" where id in ({n}, {})", n + 1)),
        (0..4).prop_map(|n| format!(" where id > {n}")),
        (0..4).prop_map(|n| format!(" where exists (select 1 from t1 where t1.id = {n})")),
    ]
}

fn statement() -> impl Strategy<Value = String> {
    (0..2_usize, condition(), 0..4, 0..7).prop_map(|(table, condition, n, form)| match form {
        0 => format!("select * from t{table}{condition}"),
        1 => format!("select count(*) from t{table}{condition}"),
        2 => format!("select * from t{table}{condition} for update"),
        3 => format!("update t{table} set n = {n}{condition}"),
        4 => format!("update t{table} set name = 'b', n = n + 1{condition}"),
        5 => format!("delete from t{table}{condition}"),
        _ => format!("insert into t{table}(id, n, name) values ({n}, {n}, 'c{n}')"),
    })
}

fn steps(lab: &mut Lab, sql: &str, session: u32) -> [Footprint; 2] {
    let work = lab.gap(session, sql, &[]);
    [work, lab.ledger.commit(session)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn conflicts_are_symmetric_and_have_reasons(catalog in schema(), one in statement(), two in statement()) {
        let mut lab = Lab::new(catalog);
        let mine = steps(&mut lab, &one, 1);
        let theirs = steps(&mut lab, &two, 2);
        for mine in &mine {
            for theirs in &theirs {
                conflict(mine, theirs);
            }
        }
    }

    #[test]
    fn a_write_meets_itself_and_what_reads_the_whole_table(catalog in schema(), sql in statement()) {
        let mut lab = Lab::new(catalog);
        let [work, commit] = steps(&mut lab, &sql, 1);
        let [again, _] = steps(&mut lab, &sql, 2);
        if sql.starts_with("select") && !sql.ends_with("update") {
            prop_assert!(!conflict(&work, &again));
        } else {
            prop_assert!(conflict(&work, &again), "{work:?} / {again:?}");
        }
        if !sql.starts_with("select") {
            for table in 0..2 {
                let scan = lab.gap(3, &format!("select * from t{table}"), &[]);
                let writes = commit.accesses().iter().any(|(name, _, write)| *write && *name == format!("t{table}"));
                if writes {
                    prop_assert!(conflict(&commit, &scan), "{commit:?}");
                }
            }
        }
    }

    #[test]
    fn what_is_not_understood_conflicts_with_everything(catalog in schema(), sql in statement(), strange in 0..7_usize) {
        let mut lab = Lab::new(catalog);
        let strange = ["selec 1", "select f(1)", "select * from elsewhere", "drop table t0", "fetch c", "select * from dblink('x')", "do 'x' language plperl"][strange];
        let [unknown, commit] = steps(&mut lab, strange, 1);
        prop_assert!(!lab.analyst.parse(strange).reads_only());
        for step in steps(&mut lab, &sql, 2) {
            prop_assert!(conflict(&unknown, &step));
            prop_assert!(conflict(&commit, &step));
        }
    }

    #[test]
    fn merging_loses_no_conflict(catalog in schema(), one in statement(), two in statement(), other in statement()) {
        let mut lab = Lab::new(catalog);
        let [mut both, commit] = steps(&mut lab, &one, 1);
        let [second, _] = steps(&mut lab, &two, 1);
        let [_, others] = steps(&mut lab, &other, 2);
        let before = [&both, &commit, &second].map(|step| conflict(step, &others));
        both.merge(&commit);
        both.merge(&second);
        prop_assert_eq!(conflict(&both, &others), before.contains(&true));
    }

    #[test]
    fn any_text_is_survived(text in "\\PC*", at in 0..60_usize) {
        let mut lab = Lab::default();
        lab.alone(&text);
        let sql = "insert into players(game, nick) values ($1, 'it''s') on conflict do nothing -- x";
        let broken: String = sql.chars().take(at).chain(text.chars()).chain(sql.chars().skip(at)).collect();
        lab.alone(&broken);
        deadheat_sql::shorten(&broken, at);
    }

    #[test]
    fn tokens_of_sql_in_any_order_are_survived(words in proptest::collection::vec(
        prop_oneof![Just("select"), Just("("), Just(")"), Just("from"), Just("games"), Just("where"), Just("id"), Just("="),
            Just("1"), Just("update"), Just("set"), Just(","), Just("insert"), Just("into"), Just("values"), Just("with"),
            Just("as"), Just("delete"), Just("on"), Just("join"), Just("for"), Just("$1"), Just("'x'"), Just(";"), Just("*"), Just("in"), Just("and")], 0..25)) {
        Lab::default().alone(&words.join(" "));
    }
}
