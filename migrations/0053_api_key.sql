-- Keys for programs that use the admin API: a role, in one tenant or on the platform (a tenant_id of zeros).
CREATE TABLE api_key (
  id uuid PRIMARY KEY,
  tenant_id uuid NOT NULL,
  name text NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
  -- The first characters, for people to tell keys apart.
  prefix text NOT NULL,
  -- HMAC-SHA256 under a platform key: the key itself is stored nowhere.
  lookup_hash bytea NOT NULL UNIQUE CHECK (length(lookup_hash) = 32),
  role text NOT NULL,
  -- Which of the role's permissions it has; NULL: all.
  scopes text[],
  created_by text NOT NULL CHECK (length(created_by) <= 300),
  created_at timestamptz NOT NULL DEFAULT now(),
  expires_at timestamptz,
  -- To the minute.
  last_used_at timestamptz,
  revoked_at timestamptz,
  -- The key that was made to take its place; it goes on until it expires.
  replaced_by uuid
);
-- A key and its successor have the same name.
CREATE UNIQUE INDEX api_key_tenant_id_name_key ON api_key (tenant_id, name) WHERE revoked_at IS NULL AND replaced_by IS NULL;
ALTER TABLE api_key ENABLE ROW LEVEL SECURITY;
ALTER TABLE api_key FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON api_key TO ccm_app USING (tenant_id = ANY ((SELECT app_tenants())::uuid[]));
CREATE POLICY lookup ON api_key FOR SELECT TO ccm_system USING (true);
CREATE POLICY platform ON api_key TO ccm_system USING (tenant_id = '00000000-0000-0000-0000-000000000000');
GRANT SELECT, INSERT, UPDATE, DELETE ON api_key TO ccm_app;
GRANT SELECT, INSERT, UPDATE ON api_key TO ccm_system;
SELECT audit_table('api_key', 'api_key', ARRAY['lookup_hash'], ARRAY['last_used_at']);
