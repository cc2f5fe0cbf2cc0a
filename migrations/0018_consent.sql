-- Who wants no texts from which of our addresses.
CREATE TABLE opt_out (
  tenant_id uuid NOT NULL REFERENCES tenant (id),
  our_address text NOT NULL,
  customer_address text NOT NULL,
  source text NOT NULL CHECK (source IN ('keyword', 'carrier', 'api')),
  since timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, our_address, customer_address)
);

-- The ledger: everything that a customer, a carrier or an operator ever said about it. Nothing in it changes.
CREATE TABLE consent_event (
  id uuid PRIMARY KEY,
  tenant_id uuid NOT NULL REFERENCES tenant (id),
  our_address text NOT NULL,
  customer_address text NOT NULL,
  kind text NOT NULL CHECK (kind IN ('opt_out', 'opt_in')),
  source text NOT NULL CHECK (source IN ('keyword', 'carrier', 'api')),
  -- The customer's text, or ours that the carrier refused.
  message_id uuid,
  -- The keyword, the provider's code, or who did it and why.
  evidence text CHECK (length(evidence) <= 500),
  at timestamptz NOT NULL
);
CREATE INDEX consent_event_of_pair ON consent_event (tenant_id, customer_address, our_address, id);
CREATE INDEX consent_event_newest ON consent_event (tenant_id, id);

DO $$
DECLARE
  t text;
BEGIN
  FOREACH t IN ARRAY ARRAY['opt_out', 'consent_event'] LOOP
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
    EXECUTE format('CREATE POLICY own ON %I TO ccm_app USING (tenant_id = ANY ((SELECT app_tenants())::uuid[]))', t);
  END LOOP;
END $$;
GRANT SELECT, INSERT, UPDATE, DELETE ON opt_out TO ccm_app;
GRANT SELECT, INSERT ON consent_event TO ccm_app;
