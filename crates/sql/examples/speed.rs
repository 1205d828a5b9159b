//! How long footprints take: `cargo run --release -p deadheat-sql --example speed`.

use std::hint::black_box;
use std::time::Instant;

use deadheat_explore::Footprint as _;
use deadheat_sql::catalog::{Column, Table, UniqueKey};
use deadheat_sql::{Analyst, Catalog, Facts, Ledger};

fn column(name: &str, data_type: &str) -> Column {
    Column {
        name: name.into(),
        data_type: data_type.into(),
        ..Column::default()
    }
}

fn main() {
    const TIMES: u32 = 100_000;
    let accounts = Table {
        oid: 1,
        schema: "public".into(),
        name: "accounts".into(),
        columns: vec![column("id", "integer"), column("balance", "integer")],
        unique: vec![UniqueKey {
            name: "pk".into(),
            columns: vec!["id".into()],
            primary: true,
            ..UniqueKey::default()
        }],
        ..Table::default()
    };
    let catalog = Catalog {
        tables: vec![accounts],
        search_path: vec!["public".into()],
        ..Catalog::default()
    };
    let mut analyst = Analyst::new(catalog);
    let sql = "update accounts set balance = balance - $2 where id = $1";
    let start = Instant::now();
    analyst.parse(sql);
    println!(
        "parse, first time   {:>8.2} µs",
        start.elapsed().as_secs_f64() * 1e6
    );

    let start = Instant::now();
    for _ in 0..TIMES {
        black_box(analyst.parse(black_box(sql)));
    }
    println!(
        "parse, remembered   {:>8.2} µs",
        start.elapsed().as_secs_f64() * 1e6 / f64::from(TIMES)
    );

    let batch = [(
        analyst.parse(sql),
        vec![Some("1".to_owned()), Some("5".to_owned())],
    )];
    let facts = Facts {
        open_after: true,
        ..Facts::default()
    };
    let mut ledger = Ledger::new();
    let start = Instant::now();
    for _ in 0..TIMES {
        black_box(ledger.work(&analyst, 1, &batch, &facts));
        black_box(ledger.commit(1));
    }
    println!(
        "work and commit     {:>8.2} µs",
        start.elapsed().as_secs_f64() * 1e6 / f64::from(TIMES)
    );

    let (work, commit) = (ledger.work(&analyst, 1, &batch, &facts), ledger.commit(1));
    let start = Instant::now();
    for _ in 0..TIMES {
        black_box(black_box(&work).conflicts(black_box(&commit)));
    }
    println!(
        "conflict            {:>8.2} µs",
        start.elapsed().as_secs_f64() * 1e6 / f64::from(TIMES)
    );
}
