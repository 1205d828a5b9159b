"""A pool of one connection that takes it back with its transaction still open: the next request works in it."""

import os
import queue
import select

import psycopg

from service import read, serve, write

pool = queue.Queue()


def connection():
    """The connection, or a new one where the server has closed it."""
    db = pool.get()
    readable, _, _ = select.select([db], [], [], 0)
    if readable:
        db.close()
        db = psycopg.connect(os.environ["DATABASE_URL"])
    return db


def never_committed(answer):
    db = connection()
    v = read(db) + 1
    write(db, v)
    pool.put(db)
    answer({"v": v})


pool.put(psycopg.connect(os.environ["DATABASE_URL"]))
serve({"/never_committed": never_committed})
