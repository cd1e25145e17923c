-- Tables that came later, without what separates the others; one of them is partitioned.
CREATE TABLE "Träcker"."Notizen ""Ü"" 2" (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, organization_id uuid NOT NULL REFERENCES "Träcker".organizations ON DELETE CASCADE, body text);
CREATE INDEX idx_notizen_organization_id ON "Träcker"."Notizen ""Ü"" 2" (organization_id);
CREATE TABLE "Träcker".meters (organization_id uuid NOT NULL, at timestamptz NOT NULL, amount bigint, PRIMARY KEY (organization_id, at)) PARTITION BY RANGE (at);
CREATE TABLE "Träcker".meters_2026 PARTITION OF "Träcker".meters FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
GRANT SELECT, INSERT ON "Träcker"."Notizen ""Ü"" 2", "Träcker".meters TO lint_web;
-- Nobody but the owner gets at this one, so it is none.
CREATE TABLE "Träcker".billing_runs (id bigint PRIMARY KEY, organization_id uuid NOT NULL);

CREATE POLICY for_all ON "Träcker".goals USING (true);
CREATE TABLE "Träcker".imported (data jsonb);
ALTER TABLE "Träcker".activities ADD CONSTRAINT not_empty CHECK (data <> '{}') NOT VALID;
ALTER TABLE "Träcker".builds ADD COLUMN costs money[];
CREATE MATERIALIZED VIEW "Träcker"."Leer" AS SELECT 1 AS a WITH NO DATA;
CREATE UNIQUE INDEX uq_projects_again ON "Träcker".projects (organization_id, code);
ALTER TABLE "Träcker".risks ADD CONSTRAINT "risks level again" FOREIGN KEY (level_id) REFERENCES "Träcker".risk_levels ON DELETE RESTRICT;
CREATE TABLE "Träcker".risk_scores (id bigint PRIMARY KEY, risk_id int NOT NULL, score numeric, FOREIGN KEY (risk_id) REFERENCES "Träcker".risks ON DELETE CASCADE);
CREATE INDEX idx_risk_scores_risk_id ON "Träcker".risk_scores (risk_id);
ALTER TABLE "Träcker".activities DISABLE TRIGGER USER;
CREATE TRIGGER old BEFORE INSERT ON "Träcker".boards FOR EACH ROW EXECUTE FUNCTION "Träcker".renumber();
ALTER TABLE "Träcker".boards DISABLE TRIGGER USER;
CREATE FUNCTION "Träcker"."who ""am"" i"(text, int) RETURNS text LANGUAGE plpgsql SECURITY DEFINER AS 'BEGIN RETURN current_user; END';
