"""Puts the clock into the shape of a statement: no two requests send the same."""

import time

from service import connect, serve


def increment(answer):
    with connect() as db:
        v = db.execute(f"select v as v_{time.time_ns()} from counter where id = 1").fetchone()[0]
        db.execute("update counter set v = %s where id = 1", (v + 1,))
        answer({"v": v + 1})


serve({"/increment": increment})
