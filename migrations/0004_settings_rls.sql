DO $$
DECLARE
  t text;
BEGIN
  FOREACH t IN ARRAY ARRAY['provider_account', 'ewc_link', 'skillset', 'number', 'auth_key'] LOOP
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
    EXECUTE format('CREATE POLICY own ON %I TO ccm_app USING (tenant_id = ANY ((SELECT app_tenants())::uuid[]))', t);
    EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO ccm_app', t);
  END LOOP;
END $$;

-- Look-ups before a tenant is known, on named columns: never a secret, never a body.
CREATE POLICY lookup ON provider_account FOR SELECT TO ccm_system USING (true);
GRANT SELECT (id, tenant_id, kind) ON provider_account TO ccm_system;
CREATE POLICY lookup ON number FOR SELECT TO ccm_system USING (true);
GRANT SELECT (id, tenant_id, account_id, address) ON number TO ccm_system;
CREATE POLICY lookup ON auth_key FOR SELECT TO ccm_system USING (true);
GRANT SELECT (id, tenant_id, lookup_hash, expires_at, revoked_at) ON auth_key TO ccm_system;
