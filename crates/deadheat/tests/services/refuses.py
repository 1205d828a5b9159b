"""Counts, and then closes the connection without an answer."""

from service import connect, serve


def increment(_):
    with connect() as db:
        db.execute("update counter set v = v + 1 where id = 1")


serve({"/increment": increment})
