-- Which text a provider means by its id. By account, so that a number that moves to another account or tenant keeps its
-- history. A receipt may come before the answer to the send that it is about: then the row has no message yet.
CREATE TABLE provider_message (
  account_id uuid NOT NULL,
  provider_message_id text NOT NULL CHECK (length(provider_message_id) BETWEEN 1 AND 200),
  tenant_id uuid NOT NULL,
  message_id uuid,
  conversation_id uuid,
  -- The furthest that receipts have told, and what the provider said with it.
  report text CHECK (report IN ('queued', 'sending', 'sent', 'delivered', 'failed', 'undeliverable', 'expired', 'unknown')),
  report_code text,
  reported_at timestamptz,
  created_at timestamptz NOT NULL,
  PRIMARY KEY (account_id, provider_message_id),
  CHECK ((message_id IS NULL) = (conversation_id IS NULL))
);
ALTER TABLE provider_message ENABLE ROW LEVEL SECURITY;
ALTER TABLE provider_message FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON provider_message TO ccm_app USING (tenant_id = ANY ((SELECT app_tenants())::uuid[]));
GRANT SELECT, INSERT, UPDATE ON provider_message TO ccm_app;
