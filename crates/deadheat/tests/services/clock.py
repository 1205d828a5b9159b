"""Puts the clock and chance into its statements: `/stamp` does only that, `/increment` counts too."""

import random
import time

from service import connect, read, serve, write


def leave_stamp(db):
    db.execute(f"insert into stamp (at, token) values ('{time.time_ns()}', '{random.random()}')")


def stamp(answer):
    with connect() as db:
        leave_stamp(db)
    answer({"at": time.time_ns()})


def increment(answer):
    with connect() as db:
        v = read(db) + 1
        leave_stamp(db)
        write(db, v)
    answer({"v": v, "at": time.time_ns()})


serve({"/stamp": stamp, "/increment": increment})
