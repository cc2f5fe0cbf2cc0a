-- Who looked last at what of the tenant's texts: a page that refreshes itself is one look in the audit, and not one a second. Ids only.
SET LOCAL lock_timeout = '2s';
CREATE TABLE text_look (
  tenant_id uuid NOT NULL REFERENCES tenant (id),
  -- SHA-256 of how the audit knows them, the same for all of their requests: of any length, and no name.
  actor bytea NOT NULL CHECK (length(actor) = 32),
  what text NOT NULL CHECK (length(what) BETWEEN 1 AND 50),
  -- The conversation, dead letter or webhook; the tenant, where it was a list of all of it.
  id uuid NOT NULL,
  at timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, actor, what, id)
);
CREATE INDEX text_look_by_age ON text_look (at);
ALTER TABLE text_look ENABLE ROW LEVEL SECURITY;
ALTER TABLE text_look FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON text_look TO ccm_app USING (tenant_id = ANY ((SELECT app_tenants())::uuid[]));
CREATE POLICY found ON text_look FOR SELECT TO ccm_system USING (true);
CREATE POLICY forget ON text_look FOR DELETE TO ccm_system USING (at < now() - interval '1 day');
GRANT SELECT, INSERT, UPDATE ON text_look TO ccm_app;
GRANT SELECT (tenant_id, actor, what, id, at), DELETE ON text_look TO ccm_system;
SELECT purge_table('text_look');
