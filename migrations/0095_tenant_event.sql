-- What happened to a tenant as a whole. What happens to its links and accounts stands in tables of their own.
CREATE TABLE tenant_event (
  id uuid PRIMARY KEY,
  tenant_id uuid NOT NULL REFERENCES tenant (id),
  kind text NOT NULL CHECK (length(kind) BETWEEN 1 AND 50),
  at timestamptz NOT NULL,
  -- Never a customer's number, never a text.
  detail jsonb NOT NULL DEFAULT '{}'
);
CREATE INDEX tenant_event_newest ON tenant_event (tenant_id, id DESC);
ALTER TABLE tenant_event ENABLE ROW LEVEL SECURITY;
ALTER TABLE tenant_event FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON tenant_event TO ccm_app USING (tenant_id = ANY ((SELECT app_tenants())::uuid[]));
CREATE POLICY written ON tenant_event FOR INSERT TO ccm_system WITH CHECK (true);
GRANT SELECT, INSERT ON tenant_event TO ccm_app;
GRANT INSERT ON tenant_event TO ccm_system;
