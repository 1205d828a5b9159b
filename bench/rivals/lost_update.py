"""The lost update of examples/sql, as frontrun is told of it: threads, each with a connection, and what must hold.

lost_update.py CLIENTS SECONDS, run by `frontrun`, with DATABASE_URL; prints one line of figures.
"""

import json
import os
import sys
import time

import frontrun
import psycopg2

URL = os.environ["DATABASE_URL"]
CLIENTS, SECONDS = int(sys.argv[1]), float(sys.argv[2])


def alone(statement):
    connection = psycopg2.connect(URL)
    connection.autocommit = True
    cursor = connection.cursor()
    cursor.execute(statement)
    rows = cursor.fetchall() if cursor.description else []
    connection.close()
    return rows


class Counter:
    def __init__(self):
        alone("update counter set v = 0 where id = 1")


def increment(_):
    connection = psycopg2.connect(URL)
    cursor = connection.cursor()
    cursor.execute("select v from counter where id = 1")
    (n,) = cursor.fetchone()
    cursor.execute("update counter set v = %s + 1 where id = 1", (n,))
    connection.commit()
    connection.close()


def none_is_lost(_):
    return alone("select v from counter where id = 1") == [(CLIENTS,)]


alone("create table counter (id integer primary key, v integer not null)")
alone("insert into counter (id, v) values (1, 0)")
began = time.monotonic()
result = frontrun.explore(
    setup=Counter, workers=increment, count=CLIENTS, invariant=none_is_lost, preemption_bound=None,
    stop_on_first=False, reproduce_on_failure=0, total_timeout=SECONDS,
)
seconds = time.monotonic() - began
first = min((run for run, _ in result.failures), default=None)
print(json.dumps({"who": "frontrun", "clients": CLIENTS, "runs": result.num_explored, "seconds": seconds,
                  "ended": seconds < SECONDS, "first_race": first}))
