-- Rows that nothing tells apart: a plain table, a partitioned one, and one whose unique columns can be NULL.
CREATE TABLE shop.import_rows (line int, raw text, seen_at timestamptz);
CREATE TABLE shop."Bewegungen für €" (variant_id bigint, moved_at timestamptz NOT NULL, quantity int) PARTITION BY RANGE (moved_at);
CREATE TABLE shop.moves_2026 PARTITION OF shop."Bewegungen für €" FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
CREATE TABLE shop.vouchers (code text UNIQUE, amount numeric(14, 2));

-- The old rows were never looked at.
ALTER TABLE shop.invoices ADD CONSTRAINT issued_late CHECK (issued_on > '2020-01-01') NOT VALID;
ALTER TABLE shop.refunds ADD COLUMN order_id bigint;
ALTER TABLE shop.refunds ADD CONSTRAINT refunds_order FOREIGN KEY (order_id) REFERENCES shop.orders ON DELETE CASCADE NOT VALID;
CREATE INDEX idx_refunds_order_id ON shop.refunds (order_id);

-- int against bigint, twice the same, left off after a load, never filled, money, the same index twice.
CREATE TABLE shop.order_flags (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, order_id int NOT NULL REFERENCES shop.orders ON DELETE CASCADE);
CREATE INDEX idx_order_flags_order_id ON shop.order_flags (order_id);
ALTER TABLE shop.shipments ADD CONSTRAINT shipments_order_again FOREIGN KEY (order_id) REFERENCES shop.orders ON DELETE CASCADE;
ALTER TABLE shop.return_lines DISABLE TRIGGER ALL;
CREATE MATERIALIZED VIEW shop.slow_movers AS SELECT variant_id FROM shop.stock_levels WITH NO DATA;
ALTER TABLE shop.gift_card_entries ADD COLUMN fee money;
CREATE UNIQUE INDEX "orders by number" ON shop.orders (number);
CREATE INDEX idx_payments_order_again ON shop.payments (order_id);

-- Many rows that refer, without an index, to a table that loses some.
CREATE TABLE shop.clicks (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tag_id bigint REFERENCES shop.tags ON DELETE SET NULL, agent text);
INSERT INTO shop.clicks (tag_id, agent) SELECT 1 + i % 200, repeat('x', 400) FROM generate_series(1, 30000) AS i;
DELETE FROM shop.tags WHERE id > 295;
