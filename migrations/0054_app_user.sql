-- People whom an OIDC issuer knows, and what they are here: in one tenant, or on the platform (a tenant_id of zeros).
CREATE TABLE app_user (
  id uuid PRIMARY KEY,
  tenant_id uuid NOT NULL,
  name text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
  issuer text NOT NULL CHECK (length(issuer) BETWEEN 1 AND 500),
  -- What the issuer calls them for ever. NULL until they come for the first time, when they were named by e-mail.
  subject text CHECK (length(subject) BETWEEN 1 AND 300),
  -- In lower case.
  email text CHECK (length(email) BETWEEN 3 AND 320 AND email = lower(email)),
  role text NOT NULL,
  disabled_at timestamptz,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  -- To the minute.
  last_seen_at timestamptz,
  CHECK (subject IS NOT NULL OR email IS NOT NULL),
  UNIQUE (issuer, subject),
  UNIQUE (issuer, email)
);
ALTER TABLE app_user ENABLE ROW LEVEL SECURITY;
ALTER TABLE app_user FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON app_user TO ccm_app USING (tenant_id = ANY ((SELECT app_tenants())::uuid[]));
CREATE POLICY lookup ON app_user FOR SELECT TO ccm_system USING (true);
CREATE POLICY platform ON app_user TO ccm_system USING (tenant_id = '00000000-0000-0000-0000-000000000000');
GRANT SELECT, INSERT, UPDATE, DELETE ON app_user TO ccm_app, ccm_system;
SELECT audit_table('app_user', 'user', ARRAY[]::text[], ARRAY['last_seen_at', 'updated_at']);
