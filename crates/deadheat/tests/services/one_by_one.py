"""Requests that commit statement by statement, each on one connection of a pool (`/deposit`, `/leave`), on one of its
own that is closed before the answer (`/closed`), or on one that goes back to the pool in between (`/returned`)."""

import os

from psycopg import OperationalError
from psycopg_pool import ConnectionPool

from service import connect, read, serve, write

pool = ConnectionPool(os.environ["DATABASE_URL"], min_size=3, kwargs={"autocommit": True}, open=False)


def deposit(answer):
    try:
        with pool.connection() as db:
            v = read(db) + 1
            write(db, v)
        answer({"v": v})
    except OperationalError as error:
        answer({"error": error.sqlstate}, 500)


def closed(answer):
    with connect() as db:
        v = read(db) + 1
        write(db, v)
    answer({"v": v})


def returned(answer):
    with pool.connection() as db:
        v = read(db) + 1
    with pool.connection() as db:
        write(db, v)
    answer({"v": v})


def leave(doctor):
    def post(answer):
        try:
            with pool.connection() as db:
                on_call = db.execute("select count(*) from shift where on_call").fetchone()[0]
                if on_call > 1:
                    db.execute("update shift set on_call = false where doctor = %s", (doctor,))
            answer({"on_call": on_call})
        except OperationalError as error:
            answer({"error": error.sqlstate}, 500)

    return post


pool.open(wait=True)
serve({
    "/deposit": deposit,
    "/closed": closed,
    "/returned": returned,
    "/leave/1": leave(1),
    "/leave/2": leave(2),
})
