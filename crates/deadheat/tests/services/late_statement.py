"""Answers first and writes afterwards."""

from service import connect, read, serve, write


def increment(answer):
    with connect() as db:
        v = read(db) + 1
        answer({"v": v})
        write(db, v)


serve({"/increment": increment})
