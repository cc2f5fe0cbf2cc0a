-- A provider's message id, once per account.
CREATE TABLE inbound_dedup (
  account_id uuid NOT NULL,
  provider_message_id text NOT NULL CHECK (length(provider_message_id) BETWEEN 1 AND 200),
  tenant_id uuid NOT NULL,
  message_id uuid NOT NULL,
  seen_at timestamptz NOT NULL,
  PRIMARY KEY (account_id, provider_message_id)
);

-- Texts on their way to the agent. A row goes when AACC has acknowledged the text, or it became a dead letter.
CREATE TABLE inbox (
  message_id uuid PRIMARY KEY,
  tenant_id uuid NOT NULL,
  conversation_id uuid NOT NULL,
  seq bigint NOT NULL,
  state text NOT NULL DEFAULT 'held' CHECK (state IN ('held', 'sending')),
  -- The connector epoch that last wrote it to a socket. `sending` found by a later attempt means: in doubt.
  epoch bigint,
  UNIQUE (tenant_id, conversation_id, seq)
);

-- Texts on their way to the phone. A row goes when the provider took the text or refused it for good.
CREATE TABLE outbox (
  message_id uuid PRIMARY KEY,
  tenant_id uuid NOT NULL,
  conversation_id uuid NOT NULL,
  seq bigint NOT NULL,
  state text NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'sending')),
  attempts integer NOT NULL DEFAULT 0,
  created_at timestamptz NOT NULL,
  UNIQUE (tenant_id, conversation_id, seq)
);

-- The line of one conversation's outgoing texts: what dispatch claims. A claim sets `claim` and moves `due_at` to
-- its expiry; no transaction stays open while the provider is asked.
CREATE TABLE outbox_line (
  conversation_id uuid PRIMARY KEY,
  tenant_id uuid NOT NULL,
  due_at timestamptz NOT NULL,
  claim uuid
);
CREATE INDEX outbox_line_due ON outbox_line (due_at);

DO $$
DECLARE
  t text;
BEGIN
  FOREACH t IN ARRAY ARRAY['inbound_dedup', 'inbox', 'outbox', 'outbox_line'] LOOP
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
    EXECUTE format('CREATE POLICY own ON %I TO ccm_app USING (tenant_id = ANY ((SELECT app_tenants())::uuid[]))', t);
    EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO ccm_app', t);
  END LOOP;
END $$;

CREATE POLICY claim ON outbox_line TO ccm_system USING (true);
GRANT SELECT, UPDATE (due_at, claim) ON outbox_line TO ccm_system;
