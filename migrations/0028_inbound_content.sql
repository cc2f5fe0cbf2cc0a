-- Words that came lately, for accounts whose provider posts a text again under a new id: a hash of both addresses and the
-- words.
CREATE TABLE inbound_content (
  account_id uuid NOT NULL,
  hash bytea NOT NULL CHECK (length(hash) = 32),
  tenant_id uuid NOT NULL,
  seen_at timestamptz NOT NULL,
  PRIMARY KEY (account_id, hash)
);
ALTER TABLE inbound_content ENABLE ROW LEVEL SECURITY;
ALTER TABLE inbound_content FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON inbound_content TO ccm_app USING (tenant_id = ANY ((SELECT app_tenants())::uuid[]));
GRANT SELECT, INSERT, UPDATE, DELETE ON inbound_content TO ccm_app;
