-- How far each chain of the audit has come: it is held against the chain's end, so that an end that was cut off is found.
CREATE TABLE audit_head (
  -- No reference: a chain outlives its tenant.
  tenant_id uuid PRIMARY KEY,
  seq bigint NOT NULL CHECK (seq > 0),
  hash bytea NOT NULL CHECK (length(hash) = 32),
  at timestamptz NOT NULL
);
ALTER TABLE audit_head ENABLE ROW LEVEL SECURITY;
ALTER TABLE audit_head FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON audit_head TO ccm_app USING (tenant_id = ANY ((SELECT app_tenants())::uuid[]));
CREATE POLICY operator ON audit_head TO ccm_system USING (true);
-- The owner's trigger writes it; the owner by himself sees no rows, as everywhere.
CREATE POLICY writer ON audit_head TO CURRENT_USER USING (pg_trigger_depth() > 0);
GRANT SELECT ON audit_head TO ccm_app, ccm_system;
