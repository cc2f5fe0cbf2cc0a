-- Answers to requests that carried an Idempotency-Key, for a day: the same request again gets the same answer and does nothing.
CREATE TABLE idempotent_request (
  -- Zeros: of no tenant.
  tenant_id uuid NOT NULL,
  -- HMAC-SHA256 of who asked and of the key that came with it.
  key_hash bytea NOT NULL CHECK (length(key_hash) = 32),
  -- SHA-256 of method, path, query and body.
  fingerprint bytea NOT NULL CHECK (length(fingerprint) = 32),
  begun_at timestamptz NOT NULL,
  -- NULL while it is being done. Sealed: an answer can hold a key that is shown once.
  answer_sealed bytea,
  PRIMARY KEY (tenant_id, key_hash)
);
CREATE INDEX idempotent_request_begun_at ON idempotent_request (begun_at);
ALTER TABLE idempotent_request ENABLE ROW LEVEL SECURITY;
ALTER TABLE idempotent_request FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON idempotent_request TO ccm_app USING (tenant_id = ANY ((SELECT app_tenants())::uuid[]));
-- Old rows are taken away over all tenants; the platform's own are read and written.
CREATE POLICY old ON idempotent_request FOR DELETE TO ccm_system USING (true);
CREATE POLICY ages ON idempotent_request FOR SELECT TO ccm_system USING (true);
CREATE POLICY platform ON idempotent_request TO ccm_system USING (tenant_id = '00000000-0000-0000-0000-000000000000');
GRANT SELECT, INSERT, UPDATE, DELETE ON idempotent_request TO ccm_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON idempotent_request TO ccm_system;
