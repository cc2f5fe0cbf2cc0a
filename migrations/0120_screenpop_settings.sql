-- A tenant's decisions about its agents' page: one document, checked by the program (libs/model, screenpop_settings).
CREATE TABLE screenpop_settings (
  tenant_id uuid PRIMARY KEY REFERENCES tenant (id),
  settings jsonb NOT NULL,
  updated_at timestamptz NOT NULL DEFAULT now()
);
ALTER TABLE screenpop_settings ENABLE ROW LEVEL SECURITY;
ALTER TABLE screenpop_settings FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON screenpop_settings TO ccm_app USING (tenant_id = ANY ((SELECT app_tenants())::uuid[]));
GRANT SELECT, INSERT, UPDATE ON screenpop_settings TO ccm_app;
SELECT purge_table('screenpop_settings');
SELECT audit_table('screenpop_settings', 'screenpop_settings', ARRAY[]::text[], ARRAY['updated_at']::text[]);
