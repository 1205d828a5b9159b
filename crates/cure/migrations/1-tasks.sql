-- Tasks. One that is completed is deleted; one that is dead stays until somebody looks at it.
create table cure.tasks (
    id bigint generated always as identity primary key,
    queue text not null,
    kind text not null,
    payload jsonb not null,
    -- Of the waiting tasks of a queue, one has this key.
    unique_key text,
    -- How often it was enqueued while it waited, less one.
    merged int not null default 0,
    -- When it may be claimed: while it waits, its time; while it runs, the end of its lease.
    due timestamptz not null,
    running boolean not null default false,
    dead boolean not null default false,
    -- How often it was begun, and how often it may be.
    attempt int not null default 0,
    max_attempts int not null,
    -- How often it was claimed: who has a lower number has lost it.
    fence bigint not null default 0,
    last_error text,
    created_at timestamptz not null default now()
);

create index tasks_due on cure.tasks (queue, due, id) where not dead;
create unique index tasks_unique_key on cure.tasks (queue, unique_key) where not running and not dead;
create index tasks_dead on cure.tasks (queue, id) where dead;
