-- What is neither retained away nor erased, because somebody may have to show it.
CREATE TABLE legal_hold (
  id uuid PRIMARY KEY,
  tenant_id uuid NOT NULL REFERENCES tenant (id),
  scope text NOT NULL CHECK (scope IN ('tenant', 'customer', 'conversation')),
  -- Forgotten with the customer, once the hold is released.
  customer_address text,
  conversation_id uuid,
  reason text NOT NULL CHECK (length(reason) BETWEEN 1 AND 500),
  placed_by text NOT NULL CHECK (length(placed_by) <= 300),
  placed_at timestamptz NOT NULL,
  released_at timestamptz,
  released_by text CHECK (length(released_by) <= 300),
  CHECK (released_at IS NOT NULL OR (scope = 'customer') = (customer_address IS NOT NULL)),
  CHECK ((scope = 'conversation') = (conversation_id IS NOT NULL)),
  CHECK ((released_at IS NULL) = (released_by IS NULL))
);
CREATE INDEX legal_hold_of_tenant ON legal_hold (tenant_id, id);
ALTER TABLE legal_hold ENABLE ROW LEVEL SECURITY;
ALTER TABLE legal_hold FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON legal_hold TO ccm_app USING (tenant_id = ANY ((SELECT app_tenants())::uuid[]));
CREATE POLICY lookup ON legal_hold FOR SELECT TO ccm_system USING (true);
GRANT SELECT, INSERT, UPDATE ON legal_hold TO ccm_app;
GRANT SELECT (id, tenant_id, released_at) ON legal_hold TO ccm_system;
SELECT purge_table('legal_hold');
SELECT audit_table('legal_hold', 'legal_hold', ARRAY['customer_address'], '{}');
