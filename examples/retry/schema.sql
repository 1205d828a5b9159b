create table owners (
    id integer generated always as identity primary key,
    name text not null constraint one_owner_a_name unique
);

create table accounts (
    id integer primary key,
    owner text not null,
    balance bigint not null
);

-- What was in the bank at the end of a day.
create table closings (
    id integer generated always as identity primary key,
    total bigint not null
);

insert into accounts (id, owner, balance) values (1, 'ann', 1000), (2, 'bob', 1000), (3, 'ann', 1000);
