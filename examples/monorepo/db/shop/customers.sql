INSERT INTO customers (email) VALUES ('ada@example.org'), ('grace@example.org');
