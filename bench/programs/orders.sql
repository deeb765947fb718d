-- The benchmark's SQL: B-trees, sorting, grouping, joins; all in memory. @rows orders are made first.
CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT, country TEXT);
CREATE TABLE orders (id INTEGER PRIMARY KEY, customer INTEGER, item TEXT, cents INTEGER);

BEGIN;
WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 1 + @rows / 20)
INSERT INTO customers SELECT n, 'customer ' || (n * 7919 % 10007), substr('JPDEFRUSBR', 1 + 2 * (n % 5), 2) FROM numbers;

WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < @rows)
INSERT INTO orders
SELECT n, 1 + (n * 48271 % 2147483647) % (1 + @rows / 20), 'item ' || (n * 16807 % 2147483647) % 500, n * 69621 % 9973
FROM numbers;
CREATE INDEX orders_by_customer ON orders (customer, cents);
UPDATE orders SET cents = cents + 100 WHERE item LIKE 'item 1%';
DELETE FROM orders WHERE id % 13 = 0;
COMMIT;

SELECT country, count(*), sum(cents), max(cents)
FROM customers JOIN orders ON orders.customer = customers.id GROUP BY country ORDER BY country;
SELECT item, count(DISTINCT customer) AS buyers, avg(cents)
FROM orders GROUP BY item ORDER BY buyers DESC, item LIMIT 10;
SELECT name, (SELECT max(cents) FROM orders WHERE customer = customers.id) AS most
FROM customers ORDER BY most DESC, name LIMIT 10;
