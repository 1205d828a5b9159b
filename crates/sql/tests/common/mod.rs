//! A small shop, and sessions that talk to it.
#![allow(dead_code)] // each test file uses what it needs

use deadheat_explore::Footprint as _;
use deadheat_sql::catalog::{
    Action, Column, ForeignKey, Function, Generated, Table, TableKind, Trigger, UniqueKey, View,
    Volatility,
};
use deadheat_sql::{Analyst, Bound, Catalog, Facts, Footprint, Ledger, TxEnd};

pub fn column(name: &str, data_type: &str) -> Column {
    Column {
        name: name.into(),
        data_type: data_type.into(),
        ..Column::default()
    }
}

pub fn serial(table: &str) -> Column {
    Column {
        not_null: true,
        default: Some(format!("nextval('{table}_id_seq'::regclass)")),
        ..column("id", "bigint")
    }
}

pub fn primary(columns: &[&str]) -> UniqueKey {
    UniqueKey {
        name: "pk".into(),
        primary: true,
        ..unique(columns)
    }
}

pub fn unique(columns: &[&str]) -> UniqueKey {
    let columns: Vec<String> = columns.iter().map(|column| (*column).to_owned()).collect();
    UniqueKey {
        name: format!("{}_key", columns.join("_")),
        columns,
        ..UniqueKey::default()
    }
}

pub fn refers(name: &str, column: &str, parent: u32, on_delete: Action) -> ForeignKey {
    ForeignKey {
        name: name.into(),
        columns: vec![column.into()],
        parent,
        parent_columns: vec!["id".into()],
        on_delete,
        ..ForeignKey::default()
    }
}

fn table(oid: u32, name: &str, columns: Vec<Column>, unique: Vec<UniqueKey>) -> Table {
    Table {
        oid,
        schema: "public".into(),
        name: name.into(),
        columns,
        unique,
        indexes: vec![oid + 1],
        ..Table::default()
    }
}

fn function(name: &str, language: &str, volatility: Volatility, body: &str) -> Function {
    Function {
        schema: "public".into(),
        name: name.into(),
        language: language.into(),
        volatility,
        body: Some(body.into()),
    }
}

fn games() -> Vec<Table> {
    let mut players = table(
        110,
        "players",
        vec![
            serial("players"),
            column("game", "integer"),
            column("nick", "text"),
        ],
        vec![primary(&["id"]), unique(&["game", "nick"])],
    );
    players.foreign_keys = vec![refers("players_game_fkey", "game", 100, Action::Cascade)];
    let mut moves = table(
        120,
        "moves",
        vec![
            Column {
                generated: Generated::IdentityAlways,
                ..column("id", "integer")
            },
            column("player", "bigint"),
            column("square", "character varying(2)"),
        ],
        vec![primary(&["id"])],
    );
    moves.foreign_keys = vec![ForeignKey {
        deferrable: true,
        initially_deferred: true,
        ..refers("moves_player_fkey", "player", 110, Action::SetNull)
    }];
    vec![
        table(
            100,
            "games",
            vec![
                column("id", "integer"),
                column("status", "text"),
                column("seats", "integer"),
            ],
            vec![primary(&["id"])],
        ),
        players,
        moves,
    ]
}

fn bank() -> Vec<Table> {
    let mut audited = table(
        140,
        "audited",
        vec![column("id", "integer"), column("note", "text")],
        vec![primary(&["id"])],
    );
    audited.triggers = vec![Trigger {
        name: "audit".into(),
        function: "public.audit".into(),
        insert: true,
        update: true,
        ..Trigger::default()
    }];
    let mut pieces = table(
        151,
        "pieces_2026",
        vec![column("id", "integer"), column("year", "integer")],
        vec![primary(&["id", "year"])],
    );
    pieces.parents = vec![150];
    let mut whole = table(
        150,
        "pieces",
        vec![column("id", "integer"), column("year", "integer")],
        vec![primary(&["id", "year"])],
    );
    whole.kind = TableKind::Partitioned;
    whole.indexes = vec![159];
    pieces.indexes = vec![158];
    let mut sequence = table(160, "tickets", vec![], vec![]);
    sequence.kind = TableKind::Sequence;
    let mut players_sequence = table(161, "players_id_seq", vec![], vec![]);
    players_sequence.kind = TableKind::Sequence;
    vec![
        table(
            130,
            "accounts",
            vec![
                column("id", "integer"),
                column("email", "text"),
                column("balance", "integer"),
                column("owner", "uuid"),
            ],
            vec![primary(&["id"]), unique(&["email"])],
        ),
        audited,
        whole,
        pieces,
        sequence,
        players_sequence,
        table(170, "log", vec![column("line", "text")], vec![]),
    ]
}

/// Games with players and moves, accounts, an audited table, a partitioned one, a sequence, a view.
pub fn catalog() -> Catalog {
    let open = View {
        oid: 200,
        schema: "public".into(),
        name: "open_games".into(),
        definition: " SELECT g.id, count(p.id) AS taken\n   FROM (games g\n     LEFT JOIN players p ON ((p.game = g.id)))\n  WHERE (g.status = 'open'::text)\n  GROUP BY g.id;".into(),
        ..View::default()
    };
    Catalog {
        tables: games().into_iter().chain(bank()).collect(),
        views: vec![open],
        functions: vec![
            function(
                "audit",
                "plpgsql",
                Volatility::Volatile,
                "begin insert into log values (new.note); return new; end",
            ),
            function(
                "total",
                "sql",
                Volatility::Stable,
                "select sum(balance) from accounts",
            ),
            function(
                "pay",
                "plpgsql",
                Volatility::Volatile,
                "begin update accounts set balance = balance - 1; end",
            ),
            function(
                "hush",
                "plpgsql",
                Volatility::Volatile,
                "begin perform pg_advisory_xact_lock(7); end",
            ),
            function(
                "away",
                "plpython3u",
                Volatility::Volatile,
                "plpy.execute('…')",
            ),
        ],
        search_path: vec!["public".into()],
        isolation: String::new(),
    }
}

/// Sessions that talk to one database, one statement a step.
pub struct Lab {
    pub analyst: Analyst,
    pub ledger: Ledger,
    open: Vec<u32>,
}

impl Default for Lab {
    fn default() -> Self {
        Self::new(catalog())
    }
}

impl Lab {
    pub fn new(catalog: Catalog) -> Self {
        Self {
            analyst: Analyst::new(catalog),
            ledger: Ledger::new(),
            open: Vec::new(),
        }
    }

    pub fn bound(&mut self, sql: &str, params: &[&str]) -> Bound {
        (
            self.analyst.parse(sql),
            params
                .iter()
                .map(|param| Some((*param).to_owned()))
                .collect(),
        )
    }

    /// Runs a statement as the server would: BEGIN opens, COMMIT and ROLLBACK close.
    pub fn run(&mut self, session: u32, sql: &str, params: &[&str]) -> Footprint {
        self.with(session, sql, params, |facts| facts)
    }

    /// Runs a statement outside a transaction up to its commit gap.
    pub fn gap(&mut self, session: u32, sql: &str, params: &[&str]) -> Footprint {
        self.with(session, sql, params, |facts| Facts {
            open_after: true,
            ..facts
        })
    }

    pub fn with<'a>(
        &mut self,
        session: u32,
        sql: &str,
        params: &[&str],
        edit: impl Fn(Facts<'a>) -> Facts<'a>,
    ) -> Footprint {
        let bound = self.bound(sql, params);
        let open_before = self.open.contains(&session);
        let ends = match bound.0.ends() {
            Some(TxEnd::Commit { chain } | TxEnd::Rollback { chain }) => !chain,
            Some(TxEnd::Prepare) => true,
            None => false,
        };
        let open_after = (open_before || bound.0.begins()) && !ends;
        let facts = edit(Facts {
            open_before,
            open_after,
            ..Facts::default()
        });
        self.open.retain(|open| *open != session);
        if facts.open_after {
            self.open.push(session);
        }
        self.ledger.work(&self.analyst, session, &[bound], &facts)
    }

    /// What a statement outside a transaction does, in a new session.
    pub fn alone(&mut self, sql: &str) -> Footprint {
        self.run(1_000, sql, &[])
    }
}

pub fn conflict(one: &Footprint, two: &Footprint) -> bool {
    assert_eq!(
        one.conflicts(two),
        two.conflicts(one),
        "conflicts are symmetric: {one:?} / {two:?}"
    );
    assert_eq!(
        one.conflicts(two),
        one.why(two).is_some(),
        "a conflict has a reason"
    );
    one.conflicts(two)
}
