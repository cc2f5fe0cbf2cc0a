-- A person who is to be forgotten, by number: how far that is, and the proof.
CREATE TABLE erasure (
  id uuid PRIMARY KEY,
  tenant_id uuid NOT NULL REFERENCES tenant (id),
  -- HMAC-SHA256 of the number under the tenant's data key.
  number_hash bytea NOT NULL CHECK (length(number_hash) = 32),
  -- The number, until it is done.
  number_sealed bytea,
  state text NOT NULL CHECK (state IN ('erasing', 'erased')),
  reason text NOT NULL CHECK (length(reason) BETWEEN 1 AND 500),
  requested_by text NOT NULL CHECK (length(requested_by) <= 300),
  requested_at timestamptz NOT NULL,
  due_at timestamptz NOT NULL,
  counts_before jsonb NOT NULL,
  rows_gone bigint NOT NULL DEFAULT 0,
  opt_outs_kept integer NOT NULL DEFAULT 0,
  erased_at timestamptz,
  -- JSON, as it is hashed.
  certificate text,
  certificate_sha256 text CHECK (length(certificate_sha256) = 64),
  last_error text CHECK (length(last_error) <= 500),
  CHECK ((state = 'erased') = (certificate IS NOT NULL)),
  CHECK ((state = 'erased') = (number_sealed IS NULL)),
  CHECK ((state = 'erased') = (erased_at IS NOT NULL)),
  CHECK ((certificate IS NULL) = (certificate_sha256 IS NULL))
);
CREATE UNIQUE INDEX erasure_under_way ON erasure (tenant_id, number_hash) WHERE state = 'erasing';
CREATE INDEX erasure_due ON erasure (due_at) WHERE state = 'erasing';
CREATE INDEX erasure_of_tenant ON erasure (tenant_id, id);

-- Whom nobody knows any more and who must not be texted all the same.
CREATE TABLE erased_opt_out (
  tenant_id uuid NOT NULL REFERENCES tenant (id),
  our_address text NOT NULL,
  number_hash bytea NOT NULL CHECK (length(number_hash) = 32),
  since timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, number_hash, our_address)
);
DO $$
DECLARE
  t text;
BEGIN
  FOREACH t IN ARRAY ARRAY['erasure', 'erased_opt_out'] LOOP
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
    EXECUTE format('CREATE POLICY own ON %I TO ccm_app USING (tenant_id = ANY ((SELECT app_tenants())::uuid[]))', t);
  END LOOP;
END $$;
GRANT SELECT, INSERT, UPDATE ON erasure TO ccm_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON erased_opt_out TO ccm_app;
CREATE POLICY claim ON erasure TO ccm_system USING (true);
GRANT SELECT (id, tenant_id, state, due_at), UPDATE (due_at) ON erasure TO ccm_system;
SELECT purge_table('erasure');
