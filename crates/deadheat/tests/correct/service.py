"""Requests that are right when they come alone, each in two forms: /cured/… stays right when they meet, /racy/… does not.

An ordinary threaded service with a pool of connections.
"""

import json
import os
import secrets
import uuid
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import psycopg
from psycopg.errors import SerializationFailure
from psycopg.rows import dict_row
from psycopg_pool import ConnectionPool

pool = ConnectionPool(os.environ["DATABASE_URL"], min_size=3, kwargs={"row_factory": dict_row}, open=False)


def save(db, cured, body):
    """The client says which version it has edited."""
    if cured:
        save = "update page set text = %s, version = version + 1 where id = 1 and version = %s returning version"
        row = db.execute(save, (body["text"], body["version"])).fetchone()
        return (200, row) if row else (409, {"error": "somebody else has saved"})
    if db.execute("select version from page where id = 1").fetchone()["version"] != body["version"]:
        return 409, {"error": "somebody else has saved"}
    save = "update page set text = %s, version = version + 1 where id = 1 returning version"
    return 200, db.execute(save, (body["text"],)).fetchone()


def append(db, cured, body):
    """The service reads the page, and adds to what it has read."""
    page = db.execute("select text, version from page where id = 1").fetchone()
    text = page["text"] + " " + body["text"]
    if not cured:
        db.execute("update page set text = %s, version = version + 1 where id = 1", (text,))
        return 200, {"text": text}
    save = "update page set text = %s, version = version + 1 where id = 1 and version = %s returning text"
    row = db.execute(save, (text, page["version"])).fetchone()
    return (200, row) if row else (409, {"error": "try again"})


def append_until_saved(cured, body):
    for _ in range(5 if cured else 1):
        with pool.connection() as db:
            status, answer = append(db, True, body)
        if status == 200:
            return status, answer
    return 503, answer


def leave(cured, body):
    for attempt in range(5 if cured else 1):
        try:
            with pool.connection() as db:
                db.execute("set transaction isolation level serializable")
                if db.execute("select count(*) as n from shift where on_call").fetchone()["n"] < 2:
                    return 409, {"error": "somebody has to stay"}
                db.execute("update shift set on_call = false where doctor = %s", (body["doctor"],))
            return 200, {"doctor": body["doctor"]}
        except SerializationFailure:
            pass
    return 500, {"error": "could not serialize"}


def charge(db, cured, body):
    """The client may send the same charge twice, with one key."""
    pay = "insert into charge (key, amount) values (%s, %s) returning id"
    if cured:
        first = "insert into answered (key) values (%s) on conflict do nothing returning key"
        if db.execute(first, (body["key"],)).fetchone():
            paid = db.execute(pay, (body["key"], body["amount"])).fetchone()["id"]
            db.execute("update answered set charge = %s where key = %s", (paid, body["key"]))
    elif not db.execute("select charge from answered where key = %s", (body["key"],)).fetchone():
        paid = db.execute(pay, (body["key"], body["amount"])).fetchone()["id"]
        remember = "insert into answered values (%s, %s) on conflict do nothing"
        db.execute(remember, (body["key"], paid))
    return 200, db.execute("select charge from answered where key = %s", (body["key"],)).fetchone()


def login(db, cured, body):
    token = secrets.token_urlsafe(16)
    if cured:
        add = "insert into login values (%s, %s) on conflict (person) do update set person = excluded.person returning token"
        return 200, db.execute(add, (body["person"], token)).fetchone()
    known = db.execute("select token from loose_login where person = %s", (body["person"],)).fetchone()
    if known:
        return 200, known
    return 200, db.execute("insert into loose_login values (%s, %s) returning token", (body["person"], token)).fetchone()


def items(db, cured, body):
    """The second page, and how many there are in all."""
    if cured:
        db.execute("set transaction isolation level repeatable read")
    total = db.execute("select count(*) as n from item").fetchone()["n"]
    rows = db.execute("select id, name from item order by id limit 2 offset 2").fetchall()
    return 200, {"total": total, "items": rows}


def add_item(db, cured, body):
    return 201, db.execute("insert into item (name) values (%s) returning id, name", (body["name"],)).fetchone()


def order(db, cured, body):
    """Ids and times are the service's own. Who has no open order yet gets one."""
    new = str(uuid.uuid4())
    now = datetime.now(timezone.utc)
    if cured:
        db.execute("select pg_advisory_xact_lock(hashtext(%s))", (body["customer"],))
    known = db.execute("select id from orders where customer = %s", (body["customer"],)).fetchone()
    if not known:
        db.execute("insert into orders values (%s, %s, %s)", (new, body["customer"], now))
    of = known["id"] if known else new
    db.execute("insert into line values (%s, %s, %s)", (str(uuid.uuid4()), of, body["item"]))
    return 201, {"order": of, "at": now.isoformat()}


def visit(db, cured, body):
    now = datetime.now(timezone.utc)
    if cured:
        db.execute("update person set visits = visits + 1, seen_at = %s where name = 'ben'", (now,))
    else:
        n = db.execute("select visits from person where name = 'ben'").fetchone()["visits"]
        db.execute("update person set visits = %s, seen_at = %s where name = 'ben'", (n + 1, now))
    return 200, {"at": now.isoformat()}


def notes(db, cured, body):
    """No order is asked for, so that the rows come as they lie."""
    return 200, db.execute("select id, text from note").fetchall()


def add_notes(db, cured, body):
    """Where rows lie depends on who came first to each of them."""
    for number in body["ids"]:
        db.execute("insert into note values (%s, %s)", (number, f"note {number}"))
        db.execute("update person set visits = visits + 1 where name = 'ben'")
        if not cured:
            db.commit()
    return 201, {"added": len(body["ids"])}


kept = []


def forget(cured, body):
    """It has a connection of its own; who comes too late may leave its transaction open."""
    db = psycopg.connect(os.environ["DATABASE_URL"], row_factory=dict_row)
    kept.append(db)
    status, answer = append(db, True, body)
    if status == 200:
        db.commit()
    elif cured:
        db.rollback()
    if status == 200 or cured:
        db.close()
    return status, answer


IN_ONE = {
    "save": save, "append": append, "charge": charge, "login": login, "items": items, "add-item": add_item,
    "order": order, "visit": visit, "notes": notes, "add-notes": add_notes,
}  # fmt: skip
IN_MANY = {"append-until-saved": append_until_saved, "leave": leave, "forget": forget}


class Service(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.answer(200, {"status": "ok"}) if self.path == "/health" else self.work({})

    def do_POST(self):
        self.work(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

    def work(self, body):
        _, variant, what = self.path.split("/")
        cured = variant == "cured"
        if what in IN_MANY:
            return self.answer(*IN_MANY[what](cured, body))
        with pool.connection() as db:
            status, value = IN_ONE[what](db, cured, body)
        self.answer(status, value)

    def answer(self, status, value):
        body = json.dumps(value, default=str).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Keeps standard error for errors."""


if __name__ == "__main__":
    pool.open()
    ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Service).serve_forever()
