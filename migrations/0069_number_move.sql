-- Numbers that go to another account, or to another tenant, from a moment on. The row is the tenant's that has the number before.
CREATE TABLE number_move (
  id uuid PRIMARY KEY,
  tenant_id uuid NOT NULL REFERENCES tenant (id),
  number_id uuid NOT NULL,
  -- NULL: it stays with the tenant. No reference: that one may go before.
  to_tenant_id uuid,
  -- Of the tenant that has it afterwards, as is the skillset. No references: another tenant's row must not keep them from going.
  to_account_id uuid NOT NULL,
  to_skillset_id uuid,
  at timestamptz NOT NULL,
  state text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'done', 'failed', 'cancelled')),
  -- Why it failed.
  problem text,
  -- The number's id in the other tenant.
  to_number_id uuid,
  created_by text NOT NULL,
  created_at timestamptz NOT NULL,
  ended_at timestamptz,
  FOREIGN KEY (tenant_id, number_id) REFERENCES number (tenant_id, id),
  CHECK ((to_tenant_id IS NULL) = (to_skillset_id IS NULL)),
  CHECK ((state = 'pending') = (ended_at IS NULL)),
  CHECK ((state = 'failed') = (problem IS NOT NULL))
);
-- One at a time.
CREATE UNIQUE INDEX number_move_pending ON number_move (number_id) WHERE state = 'pending';
CREATE INDEX number_move_due ON number_move (at) WHERE state = 'pending';
CREATE INDEX number_move_newest ON number_move (tenant_id, number_id, id DESC);
ALTER TABLE number_move ENABLE ROW LEVEL SECURITY;
ALTER TABLE number_move FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON number_move TO ccm_app USING (tenant_id = ANY ((SELECT app_tenants())::uuid[]));
CREATE POLICY due ON number_move FOR SELECT TO ccm_system USING (true);
GRANT SELECT, INSERT, UPDATE ON number_move TO ccm_app;
GRANT SELECT (id, tenant_id, to_tenant_id, at, state) ON number_move TO ccm_system;

-- A UUIDv7 of a moment, as the programs make them, for what a statement makes many of.
CREATE FUNCTION uuid_v7(moment timestamptz) RETURNS uuid LANGUAGE sql VOLATILE
  RETURN encode(set_bit(set_bit(overlay(uuid_send(gen_random_uuid())
    PLACING substring(int8send(floor(extract(epoch FROM moment) * 1000)::bigint) FROM 3) FROM 1 FOR 6),
    52, 1), 53, 1), 'hex')::uuid;
