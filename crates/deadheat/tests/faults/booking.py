"""Books seats: `/book` takes one for every request that comes, `/book-once` one for every booking. `/book-and-mail` leaves
the mail as a task behind its commit, `/book-with-mail` in front of it."""

import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import psycopg

OPEN = "select count(*) from seats"


def book(db, key):
    with db.transaction():
        taken = db.execute(OPEN).fetchone()[0]
        db.execute("insert into seats (seat, booking) values (%s, %s)", (taken + 1, key))


def book_once(db, key):
    with db.transaction():
        new = db.execute("insert into bookings values (%s) on conflict do nothing", (key,))
        if new.rowcount == 1:
            taken = db.execute(OPEN).fetchone()[0]
            db.execute("insert into seats (seat, booking) values (%s, %s)", (taken + 1, key))


def book_and_mail(db, key):
    book(db, key)
    db.execute("insert into tasks values (%s)", (key,))


def book_with_mail(db, key):
    with db.transaction():
        book(db, key)
        db.execute("insert into tasks values (%s)", (key,))


PATHS = {
    "/book": book,
    "/book-once": book_once,
    "/book-and-mail": book_and_mail,
    "/book-with-mail": book_with_mail,
}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        try:
            with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as db:
                PATHS[self.path](db, asked["booking"])
        except psycopg.OperationalError:
            self.answer(503)
        else:
            self.answer(204)

    def answer(self, status):
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        """Keeps standard error for errors."""


class Server(ThreadingHTTPServer):
    def handle_error(self, request, client):
        """A client that has hung up is none of its business."""


Server(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
