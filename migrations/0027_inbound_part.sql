-- Parts of a long text that have come while others have not.
CREATE TABLE inbound_part (
  account_id uuid NOT NULL,
  our_address text NOT NULL,
  customer_address text NOT NULL,
  reference integer NOT NULL CHECK (reference BETWEEN 0 AND 65535),
  parts smallint NOT NULL CHECK (parts BETWEEN 2 AND 255),
  part smallint NOT NULL CHECK (part BETWEEN 1 AND 255),
  -- References are used again: a part that differs from the one that came belongs to another text.
  generation integer NOT NULL DEFAULT 0,
  tenant_id uuid NOT NULL REFERENCES tenant (id),
  number_id uuid NOT NULL,
  provider_message_id text NOT NULL,
  body text NOT NULL,
  received_at timestamptz NOT NULL,
  written_at timestamptz,
  -- When the text is taken without what is missing.
  due_at timestamptz NOT NULL,
  PRIMARY KEY (account_id, our_address, customer_address, reference, parts, generation, part)
);
CREATE INDEX inbound_part_due ON inbound_part (due_at);
CREATE UNIQUE INDEX inbound_part_once ON inbound_part (account_id, provider_message_id);
ALTER TABLE inbound_part ENABLE ROW LEVEL SECURITY;
ALTER TABLE inbound_part FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON inbound_part TO ccm_app USING (tenant_id = ANY ((SELECT app_tenants())::uuid[]));
CREATE POLICY due ON inbound_part FOR SELECT TO ccm_system USING (true);
GRANT SELECT, INSERT, DELETE ON inbound_part TO ccm_app;
GRANT SELECT (tenant_id, due_at) ON inbound_part TO ccm_system;
