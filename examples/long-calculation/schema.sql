-- Users write the input, workers calculate the result, which takes long.
create table objects (
    id integer primary key,
    input bigint not null,
    version integer not null default 1,     -- one more with every edit
    locked boolean not null default false,  -- a worker is at it
    result bigint                           -- null until it is calculated
);

-- What was calculated, to be paid for.
create table bills (
    object integer not null references objects (id),
    version integer not null,
    worker text not null
);

insert into objects (id, input) values (1, 1000);
