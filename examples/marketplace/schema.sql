-- Demands, and where each is on its way:
--
--     open ──► published ──► confirmed ──► closed
--      │ ▲         │
--      ▼ │         ├──► expired
--     invalid ◄────┘ (edited, and open again until it is validated)
--
-- and from every place that is not the end of a way to cancelled.
create table demands (
    id integer generated always as identity primary key,
    what text not null,
    price bigint not null,
    expires_on date not null default current_date + 30,
    state text not null default 'open' check (state in
        ('open', 'invalid', 'published', 'confirmed', 'closed', 'cancelled', 'expired'))
);
