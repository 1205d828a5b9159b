-- A schema with a mistake.
create table games (
    id int, kind nonsense
);
