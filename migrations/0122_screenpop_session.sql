-- One opened page: a call's caller, the number that texts leave from, what the agent has written so far. It is known by what stands in
-- the page's own address, of which the hash is kept, and is forgotten soon after it has ended.
CREATE TABLE screenpop_session (
  id uuid PRIMARY KEY,
  tenant_id uuid NOT NULL REFERENCES tenant (id),
  -- SHA-256 of 256 random bits.
  token_hash bytea NOT NULL UNIQUE CHECK (length(token_hash) = 32),
  -- What it was opened with; it ends with that. Of a key no reference: keys are revoked and never deleted.
  auth_key_id uuid,
  signing_key_id uuid,
  -- SHA-256 of the link's own id: it opens one page.
  link_hash bytea UNIQUE CHECK (length(link_hash) = 32),
  -- What the address claimed: agent, contact, skillset, name, order.
  claims jsonb NOT NULL,
  -- What stands in the page's form.
  sender text NOT NULL,
  number text NOT NULL,
  body text NOT NULL DEFAULT '' CHECK (length(body) <= 2000),
  order_number text NOT NULL DEFAULT '' CHECK (length(order_number) <= 100),
  -- What the agent is told about the last thing done.
  notice jsonb,
  -- The id of the text that is sent next: sent again, it is the same text.
  next_message_id uuid NOT NULL,
  -- When the page may send again.
  next_at timestamptz NOT NULL DEFAULT '-infinity',
  created_at timestamptz NOT NULL,
  expires_at timestamptz NOT NULL,
  FOREIGN KEY (tenant_id, signing_key_id) REFERENCES screenpop_signing_key (tenant_id, id) ON DELETE CASCADE,
  CHECK (num_nonnulls(auth_key_id, signing_key_id) = 1),
  CHECK ((link_hash IS NULL) = (signing_key_id IS NULL))
);
CREATE INDEX screenpop_session_by_age ON screenpop_session (expires_at);
CREATE INDEX screenpop_session_of_tenant ON screenpop_session (tenant_id, expires_at);
CREATE INDEX screenpop_session_of_signing_key ON screenpop_session (signing_key_id) WHERE signing_key_id IS NOT NULL;
ALTER TABLE screenpop_session ENABLE ROW LEVEL SECURITY;
ALTER TABLE screenpop_session FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON screenpop_session TO ccm_app USING (tenant_id = ANY ((SELECT app_tenants())::uuid[]));
GRANT SELECT, INSERT, UPDATE ON screenpop_session TO ccm_app;
-- Who opens a page's address has no tenant yet; and old ones go.
CREATE POLICY opened ON screenpop_session FOR SELECT TO ccm_system USING (true);
CREATE POLICY forget ON screenpop_session FOR DELETE TO ccm_system USING (expires_at < now() - interval '1 hour');
GRANT SELECT (id, tenant_id, token_hash, auth_key_id, expires_at), DELETE ON screenpop_session TO ccm_system;
SELECT purge_table('screenpop_session');

-- When a tenant's next text may be sent from a page: one rate over all pods.
CREATE TABLE screenpop_pace (
  tenant_id uuid PRIMARY KEY REFERENCES tenant (id),
  next_at timestamptz NOT NULL
);
ALTER TABLE screenpop_pace ENABLE ROW LEVEL SECURITY;
ALTER TABLE screenpop_pace FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON screenpop_pace TO ccm_app USING (tenant_id = ANY ((SELECT app_tenants())::uuid[]));
GRANT SELECT, INSERT, UPDATE ON screenpop_pace TO ccm_app;
SELECT purge_table('screenpop_pace');
