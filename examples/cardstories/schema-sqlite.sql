-- The tables of schema.sql, for SQLite.
create table if not exists games (
    id integer primary key,
    author integer not null,
    sentence text not null,
    state text not null default 'invitation' check (state in ('invitation', 'vote', 'complete')),
    deck text not null,
    board text,
    modified integer not null default 1
);

create table if not exists seats (
    game integer not null references games (id),
    player integer not null,
    cards text not null,
    picked integer,
    vote integer,
    won integer not null default 0,
    primary key (game, player)
);
