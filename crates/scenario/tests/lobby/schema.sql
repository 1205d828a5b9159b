create table games (id int primary key, seats int not null default 4);
create table players (id serial primary key, game int references games, nick text, joined_at timestamptz default now());
