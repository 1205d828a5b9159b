-- Actors whose state is kept here; what they send is in cure.tasks.
create table cure.actors (
    kind text not null,
    id text not null,
    state jsonb not null,
    -- How often the state was changed.
    version bigint not null default 0,
    primary key (kind, id)
);
