-- What could not be brought to an agent (mo) or a phone (mt), or has no number to belong to (unrouted), until somebody
-- replays or discards it. The text itself stands in `message`; of what has no place there it stands here.
CREATE TABLE dead_letter (
  id uuid PRIMARY KEY,
  tenant_id uuid NOT NULL REFERENCES tenant (id),
  kind text NOT NULL CHECK (kind IN ('mo', 'mt', 'unrouted')),
  message_id uuid,
  conversation_id uuid,
  account_id uuid,
  provider_message_id text,
  our_address text,
  customer_address text,
  body text,
  code text NOT NULL CHECK (length(code) BETWEEN 1 AND 100),
  detail text NOT NULL,
  created_at timestamptz NOT NULL,
  resolution text CHECK (resolution IN ('replayed', 'discarded')),
  resolved_at timestamptz,
  resolved_by text,
  -- The text that it became.
  replay_message_id uuid,
  CHECK ((resolution IS NULL) = (resolved_at IS NULL)),
  CHECK ((kind = 'unrouted') = (message_id IS NULL))
);
CREATE INDEX dead_letter_open ON dead_letter (tenant_id, id) WHERE resolution IS NULL;
CREATE INDEX dead_letter_newest ON dead_letter (tenant_id, id);
-- A provider that posts an unrouted text again has not sent another one.
CREATE UNIQUE INDEX dead_letter_unrouted ON dead_letter (account_id, provider_message_id) WHERE kind = 'unrouted';
ALTER TABLE dead_letter ENABLE ROW LEVEL SECURITY;
ALTER TABLE dead_letter FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON dead_letter TO ccm_app USING (tenant_id = ANY ((SELECT app_tenants())::uuid[]));
GRANT SELECT, INSERT, UPDATE ON dead_letter TO ccm_app;
