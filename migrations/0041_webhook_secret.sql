-- What a tenant's own programs know our calls by. Two may be valid at a time, so that one can take the other's place.
CREATE TABLE webhook_secret (
  id uuid PRIMARY KEY,
  tenant_id uuid NOT NULL REFERENCES tenant (id),
  name text NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
  slot smallint NOT NULL CHECK (slot IN (1, 2)),
  secret_sealed bytea NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (tenant_id, name),
  UNIQUE (tenant_id, slot)
);
ALTER TABLE webhook_secret ENABLE ROW LEVEL SECURITY;
ALTER TABLE webhook_secret FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON webhook_secret TO ccm_app USING (tenant_id = ANY ((SELECT app_tenants())::uuid[]));
GRANT SELECT, INSERT, DELETE ON webhook_secret TO ccm_app;
