-- A tenant on its way out, step by step, and the proof that nothing of it is left. The row outlives the tenant.
CREATE TABLE tenant_deletion (
  id uuid PRIMARY KEY,
  -- No reference: the tenant goes.
  tenant_id uuid NOT NULL,
  slug text NOT NULL,
  name text NOT NULL,
  -- closing: open chats are being ended. grace: nothing is carried, and it can be taken back. purging: rows are being deleted.
  state text NOT NULL CHECK (state IN ('closing', 'grace', 'purging', 'purged', 'restored')),
  reason text NOT NULL CHECK (length(reason) BETWEEN 1 AND 500),
  requested_by text NOT NULL CHECK (length(requested_by) <= 300),
  requested_at timestamptz NOT NULL,
  grace_days smallint NOT NULL CHECK (grace_days BETWEEN 0 AND 90),
  -- The rows go after this.
  grace_until timestamptz NOT NULL,
  -- The tenant's state, its reason, since when and by whom, to be put back.
  before jsonb NOT NULL,
  closed_at timestamptz,
  -- Chats that nobody could end within the time for closing: AACC ends them when their customers are silent.
  chats_left integer,
  purge_began_at timestamptz,
  purged_at timestamptz,
  restored_at timestamptz,
  restored_by text CHECK (length(restored_by) <= 300),
  -- Rows of each table when the purge began.
  counts_before jsonb,
  rows_gone bigint NOT NULL DEFAULT 0,
  -- JSON, as it is hashed.
  certificate text,
  certificate_sha256 text CHECK (length(certificate_sha256) = 64),
  -- Why the last step failed, for an operator.
  last_error text CHECK (length(last_error) <= 500),
  -- Somebody works on it until then.
  claimed_until timestamptz NOT NULL DEFAULT now(),
  CHECK ((state = 'purged') = (certificate IS NOT NULL)),
  CHECK ((certificate IS NULL) = (certificate_sha256 IS NULL)),
  CHECK ((state = 'restored') = (restored_at IS NOT NULL))
);
CREATE UNIQUE INDEX tenant_deletion_open ON tenant_deletion (tenant_id) WHERE state NOT IN ('purged', 'restored');
CREATE INDEX tenant_deletion_of_tenant ON tenant_deletion (tenant_id, id);
ALTER TABLE tenant_deletion ENABLE ROW LEVEL SECURITY;
ALTER TABLE tenant_deletion FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON tenant_deletion TO ccm_app USING (tenant_id = ANY ((SELECT app_tenants())::uuid[]));
CREATE POLICY operator ON tenant_deletion TO ccm_system USING (true);
GRANT SELECT ON tenant_deletion TO ccm_app;
GRANT SELECT, INSERT, UPDATE ON tenant_deletion TO ccm_system;

-- Those of the current transaction's tenants whose rows are being deleted for good.
CREATE FUNCTION app_purged_tenants() RETURNS uuid[]
  LANGUAGE sql STABLE PARALLEL SAFE
  RETURN (SELECT array_agg(tenant_id) FROM tenant_deletion
          WHERE tenant_id = ANY ((SELECT app_tenants())::uuid[]) AND state = 'purging');

-- Lets a tenant's rows be deleted from a table in which nobody else may delete: of tenants that are being purged, and of no others.
-- To be called for each new table of a tenant.
CREATE FUNCTION purge_table(purged regclass) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF has_table_privilege('ccm_app', purged, 'DELETE') THEN
    RETURN;
  END IF;
  EXECUTE format('CREATE POLICY purge_only ON %s AS RESTRICTIVE FOR DELETE TO ccm_app USING (%I = ANY ((SELECT app_purged_tenants())::uuid[]))',
                 purged, CASE WHEN purged = 'tenant'::regclass THEN 'id' ELSE 'tenant_id' END);
  EXECUTE format('GRANT DELETE ON %s TO ccm_app', purged);
END $$;
REVOKE EXECUTE ON FUNCTION purge_table(regclass) FROM PUBLIC;
