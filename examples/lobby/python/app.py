"""A game lobby: five people may ask for a seat, a game has four.

An ordinary threaded service with a pool of connections; it knows nothing of Deadheat.
LOBBY_VARIANT=racy (the default) counts the players and then adds one; LOBBY_VARIANT=cured locks the game first.
"""

import json
import os
import re
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from psycopg.rows import dict_row
from psycopg_pool import ConnectionPool

SEATS = 4
CURED = os.environ.get("LOBBY_VARIANT") == "cured"
LOCK = "for update" if CURED else ""

pool = ConnectionPool(
    os.environ["DATABASE_URL"],
    min_size=5,
    kwargs={"row_factory": dict_row},
    open=False,
)


def join(game, nick):
    """Adds a player; the connection's block is one transaction."""
    with pool.connection() as db:
        if not db.execute(f"select id from games where id = %s {LOCK}", (game,)).fetchone():
            return 404, {"error": "no such game"}
        taken = db.execute("select count(*) as n from players where game = %s", (game,)).fetchone()["n"]
        if taken >= SEATS:
            return 409, {"error": "the game is full"}
        add = "insert into players (game, nick) values (%s, %s) returning id, nick"
        return 201, db.execute(add, (game, nick)).fetchone()


def players(game):
    with pool.connection() as db:
        return 200, db.execute("select id, nick from players where game = %s order by id", (game,)).fetchall()


class Lobby(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.path == "/health":
            self.answer(200, {"status": "ok"})
        elif match := re.fullmatch(r"/games/(\d+)", self.path):
            self.answer(*players(int(match[1])))
        else:
            self.answer(404, {"error": "not found"})

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if match := re.fullmatch(r"/games/(\d+)/players", self.path):
            self.answer(*join(int(match[1]), body["nick"]))
        else:
            self.answer(404, {"error": "not found"})

    def answer(self, status, value):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Keeps standard error for errors."""


if __name__ == "__main__":
    pool.open()
    ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Lobby).serve_forever()
