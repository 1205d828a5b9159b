"""A pool of one connection: `/held` keeps it from the read to the write, `/returned` gives it back in between."""

import os

from psycopg_pool import ConnectionPool

from service import read, serve, write

pool = ConnectionPool(os.environ["DATABASE_URL"], min_size=1, max_size=1, open=False)


def held(answer):
    with pool.connection() as db:
        v = read(db) + 1
        write(db, v)
    answer({"v": v})


def returned(answer):
    with pool.connection() as db:
        v = read(db) + 1
    with pool.connection() as db:
        write(db, v)
    answer({"v": v})


pool.open(wait=True)
serve({"/held": held, "/returned": returned})
