CREATE TABLE conversation (
  id uuid PRIMARY KEY,
  tenant_id uuid NOT NULL REFERENCES tenant (id),
  number_id uuid NOT NULL,
  our_address text NOT NULL,
  customer_address text NOT NULL,
  state text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'closed')),
  -- The next text's sequence, given under this row's lock in the transaction that inserts the text.
  next_seq bigint NOT NULL DEFAULT 1,
  opened_at timestamptz NOT NULL,
  last_activity_at timestamptz NOT NULL,
  closed_at timestamptz,
  UNIQUE (tenant_id, id),
  FOREIGN KEY (tenant_id, number_id) REFERENCES number (tenant_id, id),
  CHECK ((state = 'closed') = (closed_at IS NOT NULL))
);
-- At most one open conversation between two addresses. Also the arbiter of the batch insert.
CREATE UNIQUE INDEX conversation_open ON conversation (tenant_id, our_address, customer_address) WHERE state = 'open';
CREATE INDEX conversation_newest ON conversation (tenant_id, id DESC);
CREATE INDEX conversation_customer ON conversation (tenant_id, customer_address, id DESC);

-- One EWC chat: what another pod needs to take it over. A conversation spans several, one after the other.
CREATE TABLE chat (
  id uuid PRIMARY KEY,
  tenant_id uuid NOT NULL REFERENCES tenant (id),
  conversation_id uuid NOT NULL,
  link_id uuid NOT NULL,
  state text NOT NULL CHECK (state IN ('waiting', 'live', 'closed')),
  -- As AACC wrote it in JSON (a number in 7.x), so that it goes back the same.
  guid text NOT NULL,
  key_sealed bytea NOT NULL,
  epoch bigint NOT NULL,
  opened_at timestamptz NOT NULL,
  closed_at timestamptz,
  close_reason text,
  UNIQUE (tenant_id, id),
  FOREIGN KEY (tenant_id, conversation_id) REFERENCES conversation (tenant_id, id),
  FOREIGN KEY (tenant_id, link_id) REFERENCES ewc_link (tenant_id, id),
  CHECK ((state = 'closed') = (closed_at IS NOT NULL))
);
CREATE UNIQUE INDEX chat_open ON chat (conversation_id) WHERE state <> 'closed';
CREATE INDEX chat_open_of_tenant ON chat (tenant_id) WHERE state <> 'closed';
CREATE INDEX chat_of_conversation ON chat (tenant_id, conversation_id, id);

DO $$
DECLARE
  t text;
BEGIN
  FOREACH t IN ARRAY ARRAY['conversation', 'chat'] LOOP
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
    EXECUTE format('CREATE POLICY own ON %I TO ccm_app USING (tenant_id = ANY ((SELECT app_tenants())::uuid[]))', t);
    EXECUTE format('GRANT SELECT, INSERT, UPDATE ON %I TO ccm_app', t);
  END LOOP;
END $$;
