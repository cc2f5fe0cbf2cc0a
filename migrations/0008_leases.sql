-- One heartbeat row per connector pod, in database time.
CREATE TABLE pod (
  id uuid PRIMARY KEY,
  name text NOT NULL,
  started_at timestamptz NOT NULL DEFAULT now(),
  heartbeat_at timestamptz NOT NULL DEFAULT now(),
  draining boolean NOT NULL DEFAULT false
);
GRANT SELECT, INSERT, UPDATE, DELETE ON pod TO ccm_system;

-- Who owns a tenant's chats. Each change of owner raises the epoch; every write of a connector carries it.
CREATE TABLE lease (
  tenant_id uuid NOT NULL REFERENCES tenant (id),
  shard smallint NOT NULL DEFAULT 0,
  pod_id uuid,
  epoch bigint NOT NULL DEFAULT 0,
  taken_at timestamptz,
  -- Never read. A share lock on a row asks for the right to update one of its columns: this is that column.
  guard smallint,
  PRIMARY KEY (tenant_id, shard)
);
CREATE INDEX lease_of_pod ON lease (pod_id);
ALTER TABLE lease ENABLE ROW LEVEL SECURITY;
ALTER TABLE lease FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON lease TO ccm_app USING (tenant_id = ANY ((SELECT app_tenants())::uuid[]));
CREATE POLICY ownership ON lease TO ccm_system USING (true);
GRANT SELECT, UPDATE (guard) ON lease TO ccm_app;
GRANT SELECT, INSERT, UPDATE ON lease TO ccm_system;
