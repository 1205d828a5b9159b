-- A game has four seats; the service alone sees to that.
create table games (
    id integer primary key,
    name text not null
);

create table players (
    id integer generated always as identity primary key,
    game integer not null references games (id),
    nick text not null
);

insert into games (id, name) values (1, 'Four seats');
