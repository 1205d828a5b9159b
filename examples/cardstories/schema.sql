-- A game: its author tells a sentence for a card, the others look for the card that was meant. Lists of cards are JSON.
create table games (
    id integer generated always as identity primary key,
    author integer not null,
    sentence text not null,
    state text not null default 'invitation' check (state in ('invitation', 'vote', 'complete')),
    deck text not null,         -- the cards that nobody has yet
    board text,                 -- the cards that were picked, shuffled, once they are shown
    modified bigint not null default 1
);

-- Who plays: the author's card is picked from the start.
create table seats (
    game integer not null references games (id),
    player integer not null,
    cards text not null,
    picked integer,
    vote integer,
    won integer not null default 0,
    primary key (game, player)
);
