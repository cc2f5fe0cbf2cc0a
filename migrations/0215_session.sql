-- Who has signed in at the console: of one tenant, or of the platform (a tenant_id of zeros).
CREATE TABLE session (
  id uuid PRIMARY KEY,
  tenant_id uuid NOT NULL,
  -- HMAC-SHA256 under a platform key: the key itself is in the browser alone.
  lookup_hash bytea NOT NULL UNIQUE CHECK (length(lookup_hash) = 32),
  -- By what they have signed in: as a user, whose role counts as it is at each request; by an API key; or by a token that was
  -- issued here, whose words are kept.
  user_id uuid,
  api_key_id uuid,
  subject text NOT NULL CHECK (length(subject) <= 300),
  role text NOT NULL,
  scopes text[],
  created_at timestamptz NOT NULL,
  expires_at timestamptz NOT NULL,
  -- To the minute.
  last_used_at timestamptz NOT NULL,
  ended_at timestamptz,
  CHECK (user_id IS NULL OR api_key_id IS NULL)
);
CREATE INDEX session_tenant_id_expires_at_idx ON session (tenant_id, expires_at);
ALTER TABLE session ENABLE ROW LEVEL SECURITY;
ALTER TABLE session FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON session TO ccm_app USING (tenant_id = ANY ((SELECT app_tenants())::uuid[]));
CREATE POLICY lookup ON session FOR SELECT TO ccm_system USING (true);
CREATE POLICY platform ON session TO ccm_system USING (tenant_id = '00000000-0000-0000-0000-000000000000');
GRANT SELECT, INSERT, UPDATE, DELETE ON session TO ccm_app, ccm_system;
SELECT purge_table('session');
-- As audit_table makes it, but that an old row is cleared away is not told.
CREATE TRIGGER audit
  AFTER INSERT OR UPDATE OF id, tenant_id, lookup_hash, user_id, api_key_id, subject, role, scopes, created_at, expires_at, ended_at
  ON session FOR EACH ROW EXECUTE FUNCTION audit_change('session', '{lookup_hash}', '{last_used_at}');
