"""A box office that keeps something in its memory: after `/book` what is still to be mailed, after `/hold` who holds which
seat. `/book-and-note` and `/hold-in-table` leave both in the database."""

import json
import os
import queue
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import psycopg

URL = os.environ["DATABASE_URL"]
SEND = "with task as (delete from tasks returning booking) insert into mails select booking from task"

to_mail = queue.Queue()
held = {}


def send_mails():
    """Sends the mail of a booking, or (`None`) those that are noted in the database."""
    with psycopg.connect(URL, autocommit=True) as db:
        while True:
            booking = to_mail.get()
            if booking is None:
                db.execute(SEND)
            else:
                db.execute("insert into mails values (%s)", (booking,))


def book(db, seat, booking):
    db.execute("insert into seats values (%s, %s)", (seat, booking))
    to_mail.put(booking)
    return 201


def book_and_note(db, seat, booking):
    with db.transaction():
        db.execute("insert into seats values (%s, %s)", (seat, booking))
        db.execute("insert into tasks values (%s)", (booking,))
    to_mail.put(None)
    return 201


def hold(db, seat, booking):
    db.execute("select from seats")
    return 201 if held.setdefault(seat, booking) == booking else 409


def hold_in_table(db, seat, booking):
    held = "insert into seats values (%s, %s) on conflict do nothing"
    return 201 if db.execute(held, (seat, booking)).rowcount else 409


def reset(_db, _seat, _booking):
    held.clear()
    return 204


PATHS = {
    "/book": book,
    "/book-and-note": book_and_note,
    "/hold": hold,
    "/hold-in-table": hold_in_table,
    "/reset": reset,
}


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or "{}")
        with psycopg.connect(URL, autocommit=True) as db:
            status = PATHS[self.path](db, asked.get("seat"), asked.get("booking"))
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        """Keeps standard error for errors."""


with psycopg.connect(URL, autocommit=True) as start:
    start.execute(SEND)
threading.Thread(target=send_mails, daemon=True).start()
ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
