-- A lobby with four seats, one of them free.
create table players (id serial primary key, nick text not null unique, joined timestamptz not null default now());
insert into players (nick) values ('ben'), ('harry'), ('ralph');
create table lobby (seats int not null);
insert into lobby values (4);
