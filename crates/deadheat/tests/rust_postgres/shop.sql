-- Orders, the tasks that they leave for a worker, and the mails that it sends.
create table orders (id int primary key);
create table tasks (order_id int not null);
create table mails (order_id int not null);
