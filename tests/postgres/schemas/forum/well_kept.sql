CREATE TYPE forum.post_kind AS ENUM ('normal', 'small', 'whisper');
CREATE DOMAIN forum.handle AS text CHECK (VALUE ~ '^[[:alnum:]_]{2,30}$');
ALTER TABLE forum.messages ADD COLUMN kind forum.post_kind NOT NULL DEFAULT 'normal', ADD COLUMN lexemes tsvector;
CREATE INDEX idx_messages_lexemes ON forum.messages USING gin (lexemes);
CREATE INDEX idx_messages_live ON forum.messages (user_id, id) WHERE deleted_at IS NULL;
CREATE UNIQUE INDEX uq_users_lower_name ON forum.users (lower(name));
CREATE INDEX idx_notifications_unread ON forum.notifications (user_id, id DESC) WHERE read_at IS NULL;
CREATE INDEX idx_user_sessions_address ON forum.user_sessions USING gist (address inet_ops);
ALTER TABLE forum.bookmarks ADD CONSTRAINT one_thing CHECK (num_nonnulls(message_id, thread_id) = 1);

-- Inherited: a mould that holds nothing and tables with keys of their own; and a table that others extend.
CREATE TABLE forum.log_mould (id bigint NOT NULL, note text NOT NULL, logged_at timestamptz NOT NULL DEFAULT now());
CREATE TABLE forum.staff_logs (PRIMARY KEY (id)) INHERITS (forum.log_mould);
CREATE TABLE forum.mail_logs (address text, PRIMARY KEY (id)) INHERITS (forum.log_mould);
CREATE TABLE forum.media (id bigint PRIMARY KEY, name text NOT NULL);
CREATE TABLE forum.videos (seconds int NOT NULL, PRIMARY KEY (id)) INHERITS (forum.media);

-- Hash partitions, each with the index of the foreign key made by hand.
CREATE TABLE forum.reads (
  user_id bigint NOT NULL REFERENCES forum.users ON DELETE CASCADE, message_id bigint NOT NULL, read_at timestamptz NOT NULL,
  PRIMARY KEY (user_id, message_id)
) PARTITION BY HASH (user_id);
CREATE TABLE forum.reads_0 PARTITION OF forum.reads FOR VALUES WITH (MODULUS 3, REMAINDER 0);
CREATE TABLE forum.reads_1 PARTITION OF forum.reads FOR VALUES WITH (MODULUS 3, REMAINDER 1);
CREATE TABLE forum.reads_2 PARTITION OF forum.reads FOR VALUES WITH (MODULUS 3, REMAINDER 2);

-- Rows of one's own: everybody reads, the owner writes; the staff may do anything; drafts are shut to all but their owner.
ALTER TABLE forum.user_profiles ENABLE ROW LEVEL SECURITY;
CREATE POLICY everybody_reads ON forum.user_profiles FOR SELECT USING (true);
CREATE POLICY own_row ON forum.user_profiles USING (user_id = current_setting('forum.user', true)::bigint);
CREATE POLICY staff ON forum.user_profiles TO lint_staff USING (true) WITH CHECK (true);
ALTER TABLE forum.drafts ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_row ON forum.drafts USING (user_id = current_setting('forum.user', true)::bigint);
CREATE POLICY staff ON forum.drafts TO lint_staff USING (true);
ALTER TABLE forum.user_passwords ENABLE ROW LEVEL SECURITY;

CREATE FUNCTION forum.count_up() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
  AS 'BEGIN UPDATE forum.threads SET views = views + 1 WHERE id = NEW.thread_id; RETURN NULL; END';
CREATE TRIGGER counted AFTER INSERT ON forum.messages FOR EACH ROW EXECUTE FUNCTION forum.count_up();
CREATE FUNCTION forum.whisper(int) RETURNS text LANGUAGE sql AS 'SELECT $1::text';
CREATE PROCEDURE forum.purge() LANGUAGE sql AS 'DELETE FROM forum.searches WHERE created_at < now() - interval ''1 year''';
CREATE RULE keep AS ON DELETE TO forum.warnings DO INSTEAD NOTHING;

CREATE VIEW forum.live_messages AS SELECT * FROM forum.messages WHERE deleted_at IS NULL;
CREATE VIEW forum."Themen & Beiträge" AS SELECT t.title AS "Titel", count(*) AS "Anzahl" FROM forum.threads AS t JOIN forum.messages AS m ON m.thread_id = t.id GROUP BY 1;
CREATE MATERIALIZED VIEW forum.leaders AS SELECT user_id, count(*) AS messages FROM forum.messages GROUP BY user_id;
CREATE MATERIALIZED VIEW forum.nothing_yet AS SELECT id FROM forum.polls WHERE closes_at < '2000-01-01';
CREATE UNIQUE INDEX uq_leaders_user_id ON forum.leaders (user_id);
CREATE TABLE forum."Straße & Co" ("Nr." int PRIMARY KEY, "Straße" text NOT NULL, "order" int REFERENCES forum."Straße & Co" ON DELETE SET NULL);
CREATE INDEX "idx Straße order" ON forum."Straße & Co" ("order");
GRANT USAGE ON SCHEMA forum TO lint_web, lint_staff;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA forum TO lint_staff;
GRANT SELECT, INSERT, UPDATE, DELETE ON forum.user_profiles, forum.drafts, forum.threads, forum.messages TO lint_web;
REVOKE ALL ON forum.user_passwords FROM lint_staff;

INSERT INTO forum.users (name, email) SELECT 'user_' || i, 'user' || i || '@forum.test' FROM generate_series(1, 1000) AS i;
INSERT INTO forum.categories (name, slug, color) SELECT 'Category ' || i, 'c-' || i, 'abcdef' FROM generate_series(1, 20) AS i;
INSERT INTO forum.threads (category_id, user_id, title, slug, bumped_at) SELECT 1 + i % 20, 1 + i % 1000, 'Thread ' || i, 't-' || i, now() FROM generate_series(1, 500) AS i;
INSERT INTO forum.messages (thread_id, user_id, number, raw, cooked) SELECT 1 + i % 500, 1 + i % 1000, i, 'text', 'text' FROM generate_series(1, 3000) AS i;
REFRESH MATERIALIZED VIEW forum.leaders;
