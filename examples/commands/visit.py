"""Counts a visit, in a table that it makes if it is missing, and prints how many there were.

VISITS_VARIANT=racy (the default) works statement by statement; VISITS_VARIANT=cured does all of it in one transaction,
behind a lock.
"""

import os

from psycopg_pool import ConnectionPool

CURED = os.environ.get("VISITS_VARIANT") == "cured"


def make_table(db):
    db.execute("create table if not exists visits (page text primary key, n integer not null)")
    db.execute("insert into visits (page, n) values ('home', 0) on conflict (page) do nothing")


def count(db):
    (n,) = db.execute("select n from visits where page = 'home'").fetchone()
    db.execute("update visits set n = %s where page = 'home'", (n + 1,))
    return n + 1


def visit(db):
    if not CURED:
        make_table(db)
    with db.transaction():
        if CURED:
            db.execute("select pg_advisory_xact_lock(1)")
            make_table(db)
        return count(db)


with ConnectionPool(os.environ["DATABASE_URL"], min_size=1, kwargs={"autocommit": True}) as pool:
    with pool.connection() as connection:
        print(f"visit {visit(connection)}")
