-- A tenant's decisions about call deflection: one document, checked by the program (libs/model, deflection_settings).
CREATE TABLE deflection_settings (
  tenant_id uuid PRIMARY KEY REFERENCES tenant (id),
  settings jsonb NOT NULL,
  updated_at timestamptz NOT NULL DEFAULT now()
);
ALTER TABLE deflection_settings ENABLE ROW LEVEL SECURITY;
ALTER TABLE deflection_settings FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON deflection_settings TO ccm_app USING (tenant_id = ANY ((SELECT app_tenants())::uuid[]));
GRANT SELECT, INSERT, UPDATE ON deflection_settings TO ccm_app;
SELECT audit_table('deflection_settings', 'deflection_settings', ARRAY[]::text[], ARRAY['updated_at']::text[]);
SELECT purge_table('deflection_settings');
