"""A background thread pings the database every 50 ms, whatever the requests do."""

import time
from threading import Thread

from service import connect, read, serve, write


def ping():
    with connect() as db:
        while True:
            db.execute("select 'ping'")
            time.sleep(0.05)


def increment(answer):
    with connect() as db:
        v = read(db) + 1
        write(db, v)
    answer({"v": v})


Thread(target=ping, daemon=True).start()
serve({"/increment": increment})
