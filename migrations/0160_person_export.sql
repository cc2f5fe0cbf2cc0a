-- Who was given everything that is known of a person. The audit tells it; whose it was, a hash does.
CREATE TABLE person_export (
  id uuid PRIMARY KEY,
  tenant_id uuid NOT NULL REFERENCES tenant (id),
  -- HMAC-SHA256 of the number under the tenant's data key.
  number_hash bytea NOT NULL CHECK (length(number_hash) = 32),
  reason text NOT NULL CHECK (length(reason) BETWEEN 1 AND 500),
  requested_by text NOT NULL CHECK (length(requested_by) <= 300),
  requested_at timestamptz NOT NULL
);
CREATE INDEX person_export_of_tenant ON person_export (tenant_id, id);
ALTER TABLE person_export ENABLE ROW LEVEL SECURITY;
ALTER TABLE person_export FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON person_export TO ccm_app USING (tenant_id = ANY ((SELECT app_tenants())::uuid[]));
GRANT SELECT, INSERT ON person_export TO ccm_app;
SELECT purge_table('person_export');
SELECT audit_table('person_export', 'person_export', ARRAY['number_hash'], '{}');
