-- Group roles that services' login roles are members of. Neither can bypass row-level security.
-- ccm_app: a tenant's rows, one transaction at a time. ccm_system: look-ups before a tenant is known, queues, leases.
DO $$
DECLARE
  r text;
BEGIN
  FOREACH r IN ARRAY ARRAY['ccm_app', 'ccm_system'] LOOP
    BEGIN
      IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = r) THEN
        EXECUTE format('CREATE ROLE %I NOLOGIN NOSUPERUSER NOBYPASSRLS NOINHERIT', r);
      END IF;
    EXCEPTION WHEN duplicate_object OR unique_violation THEN
      NULL; -- another database of the same server is being migrated at this moment
    END;
  END LOOP;
END $$;

GRANT USAGE ON SCHEMA public TO ccm_app, ccm_system;
-- Postgres 14 and older let everybody make tables and functions here.
REVOKE CREATE ON SCHEMA public FROM PUBLIC;

-- The tenants of the current transaction: one for most, several for a batch of incoming texts. NULL outside of one,
-- so that a query without a tenant sees nothing.
CREATE FUNCTION app_tenants() RETURNS uuid[]
  LANGUAGE sql STABLE PARALLEL SAFE
  RETURN string_to_array(nullif(current_setting('app.tenant_ids', true), ''), ',')::uuid[];
