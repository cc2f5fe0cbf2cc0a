-- For how long a tenant keeps what was written, and that it was.
CREATE TABLE retention_settings (
  tenant_id uuid PRIMARY KEY REFERENCES tenant (id),
  settings jsonb NOT NULL,
  updated_at timestamptz NOT NULL
);
-- How far that is carried out. `due_at` is moved by whoever works on it, and is when it is looked at again.
CREATE TABLE retention_run (
  tenant_id uuid PRIMARY KEY REFERENCES tenant (id),
  due_at timestamptz NOT NULL,
  texts_erased bigint NOT NULL DEFAULT 0,
  texts_gone bigint NOT NULL DEFAULT 0,
  conversations_gone bigint NOT NULL DEFAULT 0,
  -- When nothing was left to do.
  caught_up_at timestamptz,
  last_error text CHECK (length(last_error) <= 500)
);
CREATE INDEX retention_run_due ON retention_run (due_at);
DO $$
DECLARE
  t text;
BEGIN
  FOREACH t IN ARRAY ARRAY['retention_settings', 'retention_run'] LOOP
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
    EXECUTE format('CREATE POLICY own ON %I TO ccm_app USING (tenant_id = ANY ((SELECT app_tenants())::uuid[]))', t);
    EXECUTE format('GRANT SELECT, INSERT, UPDATE ON %I TO ccm_app', t);
    PERFORM purge_table(t::regclass);
  END LOOP;
END $$;
CREATE POLICY claim ON retention_run TO ccm_system USING (true);
GRANT SELECT (tenant_id, due_at), UPDATE (due_at) ON retention_run TO ccm_system;
SELECT audit_table('retention_settings', 'retention', '{}', ARRAY['updated_at']);
