"""Two mutexes of the process, held across statements: `/first` takes them in one order, `/second` in the other, and
`/row` takes one while its transaction has the row."""

import os
from threading import Lock

import psycopg

from service import connect, read, serve, write

one, other = Lock(), Lock()


def both(outer, inner):
    def post(answer):
        with connect() as db, outer:
            read(db)
            v = read(db) + 1
            with inner:
                write(db, v)
        answer({"v": v})

    return post


def mutex_then_row(answer):
    with one, connect() as db:
        read(db)
        write(db, 7)
    answer({})


def row_then_mutex(answer):
    with psycopg.connect(os.environ["DATABASE_URL"]) as db:
        write(db, 8)
        with one:
            read(db)
    answer({})


serve({
    "/first": both(one, other),
    "/second": both(other, one),
    "/mutex-row": mutex_then_row,
    "/row-mutex": row_then_mutex,
})
