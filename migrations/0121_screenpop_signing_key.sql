-- What tenants sign links to their agents' page with. Two may be valid at a time, so that one can take the other's place.
CREATE TABLE screenpop_signing_key (
  id uuid PRIMARY KEY,
  tenant_id uuid NOT NULL REFERENCES tenant (id),
  name text NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
  slot smallint NOT NULL CHECK (slot IN (1, 2)),
  secret_sealed bytea NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (tenant_id, id),
  UNIQUE (tenant_id, name),
  UNIQUE (tenant_id, slot)
);
ALTER TABLE screenpop_signing_key ENABLE ROW LEVEL SECURITY;
ALTER TABLE screenpop_signing_key FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON screenpop_signing_key TO ccm_app USING (tenant_id = ANY ((SELECT app_tenants())::uuid[]));
GRANT SELECT, INSERT, DELETE ON screenpop_signing_key TO ccm_app;
-- Who opens a signed link has no tenant yet: the key that it names has one.
CREATE POLICY named ON screenpop_signing_key FOR SELECT TO ccm_system USING (true);
GRANT SELECT (id, tenant_id) ON screenpop_signing_key TO ccm_system;
SELECT audit_table('screenpop_signing_key', 'screenpop_signing_key', ARRAY['secret_sealed']::text[], ARRAY[]::text[]);
