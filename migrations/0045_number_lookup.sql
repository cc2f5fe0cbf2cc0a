-- What providers said about customers' numbers: each question costs the tenant money. The number itself is not in here, only its
-- hash under the tenant's data key.
CREATE TABLE number_lookup (
  tenant_id uuid NOT NULL REFERENCES tenant (id),
  number_hash bytea NOT NULL CHECK (length(number_hash) = 32),
  valid boolean NOT NULL,
  country text CHECK (length(country) = 2),
  -- NULL: the provider cannot tell.
  line_type text CHECK (line_type IN ('mobile', 'fixed_line', 'fixed_voip', 'non_fixed_voip', 'toll_free', 'premium_rate',
                                      'shared_cost', 'personal', 'company', 'voicemail', 'pager')),
  carrier_name text CHECK (length(carrier_name) BETWEEN 1 AND 100),
  mobile_country_code text CHECK (length(mobile_country_code) BETWEEN 2 AND 3),
  mobile_network_code text CHECK (length(mobile_network_code) BETWEEN 2 AND 3),
  looked_up_at timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, number_hash)
);
CREATE INDEX number_lookup_oldest ON number_lookup (tenant_id, looked_up_at);

-- When a tenant's next question is due: one rate over all pods.
CREATE TABLE number_lookup_pace (
  tenant_id uuid PRIMARY KEY REFERENCES tenant (id),
  next_at timestamptz NOT NULL
);

DO $$
DECLARE
  t text;
BEGIN
  FOREACH t IN ARRAY ARRAY['number_lookup', 'number_lookup_pace'] LOOP
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
    EXECUTE format('CREATE POLICY own ON %I TO ccm_app USING (tenant_id = ANY ((SELECT app_tenants())::uuid[]))', t);
  END LOOP;
END $$;
GRANT SELECT, INSERT, UPDATE, DELETE ON number_lookup TO ccm_app;
GRANT SELECT, INSERT, UPDATE ON number_lookup_pace TO ccm_app;
