-- Users write the input, workers calculate the result, which takes long.
create table objects (
    id integer primary key,
    input bigint not null,
    version bigint not null default 1,      -- one more with every change of input or result
    locked boolean not null default false,  -- the racy worker is at it
    leased_until timestamptz,               -- the cured worker is at it, if it is heard of again until then
    fence bigint not null default 0,        -- how often it was claimed
    result bigint                           -- null until it is calculated
);

-- What was calculated, to be paid for.
create table bills (
    object integer not null references objects (id),
    version bigint not null,
    worker text not null
);

insert into objects (id, input) values (1, 1000);
