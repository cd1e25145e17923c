-- Children do not have the key of their parent; a parent without a key speaks for its children.
CREATE TABLE forum."Bilder ""neu"" 2" (width int) INHERITS (forum.media);
CREATE TABLE forum.raw_mails (received_at timestamptz, raw text);
CREATE TABLE forum.raw_mails_old () INHERITS (forum.raw_mails);
INSERT INTO forum.raw_mails VALUES (now(), 'x');

-- Policies that do nothing, that are not there, and that let everybody through.
CREATE POLICY own_row ON forum.bookmarks USING (user_id = current_setting('forum.user', true)::bigint);
ALTER TABLE forum.warnings ENABLE ROW LEVEL SECURITY;
ALTER TABLE forum.searches ENABLE ROW LEVEL SECURITY;
CREATE POLICY open_to_all ON forum.searches USING (true);
CREATE POLICY own_row ON forum.searches USING (user_id = current_setting('forum.user', true)::bigint);

-- A function with its owner's rights that finds whatever the caller's search_path holds.
CREATE FUNCTION forum.promote(bigint) RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS 'BEGIN UPDATE users SET trust = 4 WHERE id = $1; END';
GRANT EXECUTE ON FUNCTION forum.promote TO PUBLIC;

ALTER TABLE forum.messages DISABLE TRIGGER counted;
ALTER TABLE forum.polls ADD COLUMN closes_daily timetz;
ALTER DOMAIN forum.handle ADD CONSTRAINT no_dots CHECK (VALUE !~ '[.]') NOT VALID;
CREATE TABLE forum.old_reads (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, user_id int REFERENCES forum.users ON DELETE CASCADE);
CREATE INDEX idx_old_reads_user_id ON forum.old_reads (user_id);
CREATE UNLOGGED TABLE forum.likes_import (id bigint PRIMARY KEY, raw text);
INSERT INTO forum.likes_import SELECT i, repeat('x', 300) FROM generate_series(1, 6000) AS i;
