"""What the test services share: HTTP, and a counter in the database that requests read and write back one higher."""

import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import psycopg


def connect():
    """A connection that commits statement by statement."""
    return psycopg.connect(os.environ["DATABASE_URL"], autocommit=True)


def read(db):
    return db.execute("select v from counter where id = 1").fetchone()[0]


def write(db, v):
    db.execute("update counter set v = %s where id = 1", (v,))


def serve(posts):
    """Answers POST by calling the function of that path, which is given a function that sends the answer."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            self.answer({"status": "ok"})

        def do_POST(self):
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.answered = False
            posts[self.path](self.answer)
            self.close_connection = not self.answered

        def answer(self, value, status=200):
            body = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            self.answered = True

        def log_message(self, *_):
            """Keeps standard error for errors."""

    ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
