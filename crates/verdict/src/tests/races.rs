//! Races and the serial runs they are held against, as the lab would record them.

use deadheat_explore::Actor;
use deadheat_lab::record::Record;

use super::story::Story;

pub const BOTH: [[Actor; 2]; 2] = [[Actor(0), Actor(1)], [Actor(1), Actor(0)]];

const JOIN: &str = "POST /games/1/players";
const COUNT: &str = "select count(*) from players where game = $1";
const INSERT: &str = "insert into players(game, nick) values ($1, $2) returning id";

fn count(story: Story, actor: u16, players: &str) -> Story {
    story
        .sql(actor, COUNT)
        .param("1")
        .reads("players", None)
        .gives("count", players)
}

fn sit(story: Story, actor: u16, nick: &str) -> Story {
    story
        .sql(actor, INSERT)
        .param("1")
        .param(nick)
        .writes("players", None, "INSERT 0 1")
}

/// Three sit; one seat is left. The nick of each later row with its id.
fn seated(story: Story, rows: &[(&str, &str)]) -> Story {
    let mut all = vec![["1", "ann"], ["2", "bob"], ["3", "cat"]];
    all.extend(rows.iter().map(|(id, nick)| [*id, *nick]));
    let rows: Vec<&[&str]> = all.iter().map(|row| &row[..]).collect();
    story
        .table("players", &["id", "nick"], &rows)
        .invariant("at most four", all.len() <= 4)
}

fn full(story: Story, actor: usize) -> Story {
    story.told(actor, JOIN, 409, r#"{"error":"full"}"#)
}

fn welcome(story: Story, actor: usize, id: &str) -> Story {
    let body = format!(r#"{{"seat":4,"id":{id}}}"#);
    let place = format!("/players/{id}");
    story
        .told(actor, JOIN, 201, &body)
        .header(actor, "location", &place)
}

pub fn fifth_player() -> Record {
    fifth_player_with("4", "5")
}

/// The same with these ids.
pub fn fifth_player_with(ben: &str, p1: &str) -> Record {
    let story = Story::of(&["ben", "p1"]);
    let story = story
        .sql(0, "select now()")
        .gives("now", "2026-01-01 10:00:00+00");
    let story = sit(count(story, 0, "3"), 0, "ben");
    let story = count(story, 1, "3");
    let story = sit(story.gap(0), 1, "p1").gap(1);
    let story = seated(story, &[(ben, "ben"), (p1, "p1")]);
    welcome(welcome(story, 0, ben), 1, p1).done()
}

/// The serial order that `first` begins; ids begin at 4 + `by`.
pub fn lobby_serially(first: u16, by: i64) -> Record {
    let names = ["ben", "p1"];
    let second = 1 - first;
    let id = (4 + by).to_string();
    let story = count(Story::of(&names), first, "3");
    let story = sit(story, first, names[usize::from(first)]).gap(first);
    let story = count(story, second, "4");
    let story = seated(story, &[(&id, names[usize::from(first)])]);
    full(welcome(story, usize::from(first), &id), usize::from(second)).done()
}

const READ: &str = "select balance from accounts where id = 1";

fn deposit(story: Story, actor: u16, to: &str) -> Story {
    let sql = format!("update accounts set balance = {to} where id = 1");
    story
        .sql(actor, &sql)
        .inside()
        .writes("accounts", Some("id=1"), "UPDATE 1")
}

fn balance(story: Story, actor: u16, is: &str) -> Story {
    story
        .sql(actor, &format!("begin; {READ}"))
        .reads("accounts", Some("id=1"))
        .gives("balance", is)
}

fn paid(story: Story, balance: &str) -> Story {
    let mut story = story.table("accounts", &["id", "balance"], &[&["1", balance]]);
    for actor in 0..2 {
        story = story.answered(actor, "commit", "COMMIT", None);
    }
    story
}

pub fn lost_update() -> Record {
    let story = balance(balance(Story::of(&["amy", "ben"]), 0, "100"), 1, "100");
    let story = deposit(story, 0, "110");
    let story = deposit(story, 1, "120").blocked_by(&[0]);
    paid(story.commit(0).wakes(&[1]).commit(1), "120").done()
}

pub fn deposits_serially(first: u16) -> Record {
    let add = [10, 20];
    let after = (100 + add[usize::from(first)]).to_string();
    let story = deposit(
        balance(Story::of(&["amy", "ben"]), first, "100"),
        first,
        &after,
    );
    let story = balance(story.commit(first), 1 - first, &after);
    paid(deposit(story, 1 - first, "130").commit(1 - first), "130").done()
}

fn on_call(story: Story, actor: u16, n: &str) -> Story {
    story
        .sql(
            actor,
            "begin isolation level repeatable read; select count(*) from doctors where on_call",
        )
        .level("repeatable read")
        .reads("doctors", None)
        .gives("count", n)
}

fn leave(story: Story, actor: u16) -> Story {
    let row = format!("id={}", actor + 1);
    story
        .sql(
            actor,
            &format!("update doctors set on_call = false where {row}"),
        )
        .inside()
        .level("repeatable read")
        .writes("doctors", Some(&row), "UPDATE 1")
}

fn roster(story: Story, first: &str, second: &str) -> Story {
    story
        .table(
            "doctors",
            &["id", "on_call"],
            &[&["1", first], &["2", second]],
        )
        .invariant("somebody is on call", first == "t" || second == "t")
        .answered(0, "commit", "COMMIT", None)
        .answered(1, "commit", "COMMIT", None)
}

pub fn write_skew() -> Record {
    let story = on_call(on_call(Story::of(&["amy", "ben"]), 0, "2"), 1, "2");
    let story = leave(leave(story, 0), 1);
    roster(story.commit(0).commit(1), "f", "f").done()
}

pub fn shifts_serially(first: u16) -> Record {
    let story = leave(on_call(Story::of(&["amy", "ben"]), first, "2"), first);
    let story = on_call(story.commit(first), 1 - first, "1").commit(1 - first);
    if first == 0 {
        roster(story, "f", "t").done()
    } else {
        roster(story, "t", "f").done()
    }
}

fn lock(story: Story, actor: u16, row: u16, inside: bool) -> Story {
    let begin = if inside { "" } else { "begin; " };
    let id = format!("id={row}");
    let story = story.sql(
        actor,
        &format!("{begin}update rows set n = n + 1 where id = {row}"),
    );
    let story = if inside { story.inside() } else { story };
    story.touches("rows", Some(&id), true)
}

pub fn deadlock() -> Record {
    let story = lock(
        lock(Story::of(&["amy", "ben"]), 0, 1, false).tag("UPDATE 1"),
        1,
        2,
        false,
    );
    let story = lock(story.tag("UPDATE 1"), 0, 2, true)
        .tag("UPDATE 1")
        .blocked_by(&[1]);
    let story = lock(story, 1, 1, true)
        .blocked_by(&[0])
        .wakes(&[0])
        .fails("40P01", "deadlock detected");
    story
        .commit(0)
        .table("rows", &["id", "n"], &[&["1", "1"], &["2", "1"]])
        .answered(0, "commit", "COMMIT", None)
        .answered(
            1,
            "update rows set n = n + 1 where id = 1",
            "",
            Some("40P01"),
        )
        .done()
}

/// Serial runs of the actors of [`deadlock`] in this order, which may leave one out.
pub fn locks_serially(order: &[Actor]) -> Record {
    let mut story = Story::of(&["amy", "ben"]);
    for actor in order {
        let rows = if actor.0 == 0 { [1, 2] } else { [2, 1] };
        story = lock(story, actor.0, rows[0], false).tag("UPDATE 1");
        story = lock(story, actor.0, rows[1], true)
            .tag("UPDATE 1")
            .commit(actor.0);
        story = story.answered(usize::from(actor.0), "commit", "COMMIT", None);
    }
    let n = order.len().to_string();
    story
        .table("rows", &["id", "n"], &[&["1", &n], &["2", &n]])
        .done()
}

pub fn stuck() -> Record {
    Story::of(&["amy", "ben"])
        .sql(0, "begin; select * from jobs where id = 1 for update")
        .touches("jobs", Some("id=1"), true)
        .gives("id", "1")
        .sql(1, "update jobs set state = 'done' where id = 1")
        .touches("jobs", Some("id=1"), true)
        .blocked_by(&[0])
        .stuck(&[
            (0, "something that no gate sees (all threads asleep)"),
            (1, "a row lock that amy holds"),
        ])
        .done()
}

const STOCK: &str = "begin; SELECT \"partner_stockrecord\".\"id\", \"partner_stockrecord\".\"product_id\", \
                     \"partner_stockrecord\".\"partner_sku\", \"partner_stockrecord\".\"num_in_stock\", \
                     \"partner_stockrecord\".\"num_allocated\", \"partner_stockrecord\".\"date_created\" FROM \
                     \"partner_stockrecord\" WHERE \"partner_stockrecord\".\"product_id\" = 1 LIMIT 1";
const ORDER: &str = "SAVEPOINT \"s140_x1\"; INSERT INTO \"order_order\" (\"number\", \"site_id\", \"basket_id\", \
                     \"user_id\", \"currency\", \"total_incl_tax\", \"date_placed\") VALUES ($1, 1, 1, 1, 'GBP', 100.00, \
                     '2026-11-22T15:09:30.443620+00:00'::timestamptz) RETURNING \"order_order\".\"id\"";
const ALLOCATE: &str = "UPDATE \"partner_stockrecord\" SET \"num_allocated\" = \
                        (COALESCE(\"partner_stockrecord\".\"num_allocated\", 0) + 1) WHERE \
                        \"partner_stockrecord\".\"id\" = 1";

fn looks(story: Story, actor: u16, allocated: &str) -> Story {
    story
        .sql(actor, STOCK)
        .reads("partner_stockrecord", Some("product_id=1"))
        .gives_row(&[
            ("id", "1"),
            ("product_id", "1"),
            ("partner_sku", "rare"),
            ("num_in_stock", "1"),
            ("num_allocated", allocated),
            ("date_created", "2026-11-22 15:13:32.048662+00"),
        ])
}

fn orders(story: Story, actor: u16) -> Story {
    story
        .sql(actor, ORDER)
        .inside()
        .param(&format!("10000{}", actor + 1))
        .writes("order_order", None, "INSERT 0 1")
        .sql(actor, ALLOCATE)
        .inside()
        .reads("partner_stockrecord", Some("id=1"))
        .writes("partner_stockrecord", Some("id=1"), "UPDATE 1")
}

fn shop(story: Story, allocated: &str, orders: &[&str]) -> Record {
    let columns = ["id", "number", "site", "user", "currency", "total"];
    let all: Vec<[&str; 6]> = orders
        .iter()
        .map(|number| ["1", number, "1", "1", "GBP", "100.00"])
        .collect();
    let rows: Vec<&[&str]> = all.iter().map(|row| &row[..]).collect();
    story
        .table("order_order", &columns, &rows)
        .table(
            "partner_stockrecord",
            &[
                "id",
                "product",
                "sku",
                "price",
                "num_in_stock",
                "num_allocated",
            ],
            &[&["1", "1", "rare", "100.00", "1", allocated]],
        )
        .invariant("one unit, one order", orders.len() == 1)
        .done()
}

/// Both buyers see one unit in stock, and both order it.
pub fn last_unit() -> Record {
    let story = orders(looks(Story::of(&["u1", "u2"]), 0, "null"), 0);
    let story = orders(looks(story, 1, "null"), 1).blocked_by(&[0]);
    let story = story.commit(0).wakes(&[1]).commit(1);
    let story = story
        .told(0, "POST /checkout", 302, "")
        .told(1, "POST /checkout", 302, "");
    shop(story, "2", &["100001", "100002"])
}

/// The second buyer finds nothing left and is sent back to the basket.
pub fn units_serially(first: u16) -> Record {
    let second = 1 - first;
    let story = orders(looks(Story::of(&["u1", "u2"]), first, "null"), first).commit(first);
    let story = looks(story, second, "1").commit(second);
    let story = story
        .told(0, "POST /checkout", 302, "")
        .told(1, "POST /checkout", 302, "");
    shop(story, "1", &[["100001", "100002"][usize::from(first)]])
}
