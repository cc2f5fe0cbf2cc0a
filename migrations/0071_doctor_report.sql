-- What the link doctor found: to be read again and passed on. No secret is in it.
CREATE TABLE doctor_report (
  id uuid PRIMARY KEY,
  tenant_id uuid NOT NULL REFERENCES tenant (id),
  -- NULL: a link that was not saved.
  link_id uuid,
  outcome text NOT NULL CHECK (outcome IN ('passed', 'warned', 'failed')),
  report jsonb NOT NULL,
  -- Who asked for it.
  made_by text NOT NULL CHECK (length(made_by) BETWEEN 1 AND 300),
  made_at timestamptz NOT NULL DEFAULT now(),
  -- SHA-256 of what stands in the address that it is shared by, and until when that is good.
  share_hash bytea UNIQUE CHECK (length(share_hash) = 32),
  share_until timestamptz,
  shared_by text CHECK (length(shared_by) BETWEEN 1 AND 300),
  CHECK ((share_hash IS NULL) = (share_until IS NULL)),
  FOREIGN KEY (tenant_id, link_id) REFERENCES ewc_link (tenant_id, id) ON DELETE SET NULL (link_id)
);
CREATE INDEX doctor_report_newest ON doctor_report (tenant_id, id DESC);
CREATE INDEX doctor_report_of_link ON doctor_report (tenant_id, link_id, id DESC);
CREATE INDEX doctor_report_by_age ON doctor_report (made_at);

ALTER TABLE doctor_report ENABLE ROW LEVEL SECURITY;
ALTER TABLE doctor_report FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON doctor_report TO ccm_app USING (tenant_id = ANY ((SELECT app_tenants())::uuid[]));
GRANT SELECT, INSERT, DELETE, UPDATE ON doctor_report TO ccm_app;

-- Whoever opens a shared address has no tenant yet; and old reports go.
CREATE POLICY shared ON doctor_report FOR SELECT TO ccm_system USING (share_until > now());
CREATE POLICY forget ON doctor_report TO ccm_system USING (made_at < now() - interval '90 days');
GRANT SELECT (id, tenant_id, share_hash, share_until, made_at), DELETE ON doctor_report TO ccm_system;
