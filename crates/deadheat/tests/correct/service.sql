create table page (id integer primary key, text text not null, version integer not null);
insert into page values (1, 'old', 1);

create table shift (doctor text primary key, on_call boolean not null);
insert into shift values ('ann', true), ('bob', true);

create table charge (id serial primary key, key text not null, amount integer not null);
create table answered (key text primary key, charge integer);

create table login (person text primary key, token text not null);
create table loose_login (person text not null, token text not null);

create table item (id serial primary key, name text not null);
insert into item (name) values ('a'), ('b'), ('c');

create table orders (id uuid primary key, customer text not null, created_at timestamptz not null);
create table line (id uuid primary key, orders uuid not null references orders, item text not null);

create table person (name text primary key, visits integer not null, seen_at timestamptz);
insert into person values ('ben', 0, null);

create table note (id integer primary key, text text not null);
insert into note values (1, 'one'), (2, 'two');
