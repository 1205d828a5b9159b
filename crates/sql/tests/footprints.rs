//! What statements read, write and lock, for people to check: work before the arrow, commit after it.

mod common;

use common::Lab;

fn describe(sql: &str, params: &[&str]) -> String {
    let mut lab = Lab::default();
    let work = lab.gap(1, sql, params);
    let commit = lab.ledger.commit(1);
    let parsed = lab.analyst.parse(sql);
    let flags = [
        (parsed.shared(), "shared"),
        (parsed.gap(), "gap"),
        (parsed.reads_only(), "reads-only"),
        (parsed.explained(), "explained"),
        (parsed.copies(), "copies"),
        (parsed.changes_schema(), "schema"),
        (parsed.begins(), "begins"),
        (parsed.ends().is_some(), "ends"),
    ];
    let flags: Vec<&str> = flags
        .iter()
        .filter(|(set, _)| *set)
        .map(|(_, name)| *name)
        .collect();
    format!(
        "{sql}\n  [{}]\n  {work:?}\n  -> {commit:?}\n",
        flags.join(" ")
    )
}

fn all(statements: &[&str]) -> String {
    statements
        .iter()
        .map(|sql| describe(sql, &["1", "x"]))
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn queries() {
    insta::assert_snapshot!(all(&[
        "select * from games where id = 1",
        "select * from games where id = $1 and status = $2",
        "select * from games where id in (1, 2, '3')",
        "select * from games where id = any(array[1, 2]) and seats > 3",
        "select * from games where id = any('{4,5}'::int[])",
        "select * from players where (game, nick) in ((1, 'a'), (2, 'b'))",
        "select * from accounts where owner = 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'::uuid",
        "select count(*) from players p join games g on g.id = p.game where g.id = 7",
        "select * from games where id = 1 or id = 2",
        "select * from games where id = 1 union all select * from games where id = 2",
        "select g.*, (select count(*) from players p where p.game = g.id) from games g where g.id = 1",
        "with t as (select * from players where game = 3) select * from t where nick = 'x'",
        "table log",
        "select * from open_games where id = 4",
        "select * from games where id = 1 for update",
        "select * from games g, players p where g.id = 1 and p.game = g.id for share of p nowait",
        "select * from games order by id limit 1 for no key update skip locked",
        "select now(), version(), current_setting('x')",
        "select relname from pg_class join pg_catalog.pg_namespace n on n.oid = relnamespace",
        "select * from pg_locks",
        "select * from nowhere",
        "select total()",
        "select unheard_of(1)",
        "values (1), (2)",
        "explain select * from games",
        "select id from games where status = 'it''s' and seats = -1",
    ]));
}

#[test]
fn changes() {
    insta::assert_snapshot!(all(&[
        "insert into games values (1, 'open', 4)",
        "insert into games(id, status) values ($1, $2), (2, default)",
        "insert into players(game, nick) values (1, 'ann') returning id",
        "insert into players(game, nick) select id, 'bot' from games where status = 'open'",
        "insert into accounts(id, email) values (1, 'a') on conflict (email) do update set balance = accounts.balance + 1",
        "insert into accounts(id, email) values (1, 'a') on conflict do nothing",
        "update games set status = 'done' where id = 1 and status = 'open'",
        "update games set seats = seats - 1 where id = $1",
        "update accounts set email = 'b' where id = 1",
        "update accounts a set balance = 0 from games g where a.id = g.seats and g.id = 3",
        "update players set game = 2 where id = 5",
        "delete from players where id = 1",
        "delete from games using players p where games.id = p.game and p.nick = 'x'",
        "delete from games where id = 1",
        "with gone as (delete from players where game = 1 returning nick) insert into log select nick from gone",
        "merge into accounts a using players p on a.id = p.id when matched then update set balance = 1 when not matched then insert (id) values (p.id)",
        "insert into moves(player, square) values (null, 'a1')",
        "insert into audited values (1, 'x')",
        "insert into open_games values (1)",
        "update pieces set year = 2026 where id = 1",
        "copy players(nick) from stdin",
        "copy (select * from games) to stdout",
    ]));
}

#[test]
fn everything_else() {
    insta::assert_snapshot!(all(&[
        "begin",
        "start transaction isolation level serializable, read only",
        "commit and chain",
        "rollback",
        "savepoint a",
        "rollback to a",
        "set statement_timeout = '1s'",
        "show search_path",
        "discard all",
        "",
        "; -- nothing",
        "select pg_advisory_lock(42)",
        "select pg_try_advisory_xact_lock_shared($1)",
        "select pg_advisory_lock(1, 2)",
        "select pg_advisory_unlock_all()",
        "select nextval('tickets')",
        "select set_config('search_path', '', false)",
        "notify news, 'x'",
        "select pg_notify('news', 'x')",
        "listen news",
        "lock table games in exclusive mode",
        "truncate log",
        "alter table games add column x int",
        "create temp table t as select 1",
        "vacuum games",
        "do $$ begin delete from games; end $$",
        "call pay()",
        "select pay()",
        "select hush()",
        "select away()",
        "declare c cursor for select * from games",
        "fetch c",
        "prepare transaction 'x'",
        "execute p",
        "update games set seats = 0 where id = 1; select * from log",
        "begin; update games set seats = 0 where id = 1",
        "select from where",
    ]));
}
