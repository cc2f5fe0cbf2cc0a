-- Callers in a voice queue who were to be offered a text chat: what their script said, and how far they came.
CREATE TABLE deflection (
  id uuid PRIMARY KEY,
  tenant_id uuid NOT NULL REFERENCES tenant (id),
  state text NOT NULL CHECK (state IN
    ('refused', 'offered', 'sent', 'delivered', 'answered', 'chat', 'abandoned', 'expired', 'failed', 'withdrawn')),
  -- Why it was refused, or ended as it did.
  reason text CHECK (length(reason) BETWEEN 1 AND 50),
  -- Of one that was refused only as far as they are known.
  our_address text,
  customer_address text,
  -- Whose agents answer the chat, and whom the caller waits for.
  skillset text NOT NULL CHECK (length(skillset) BETWEEN 1 AND 100),
  voice_skillset text NOT NULL CHECK (length(voice_skillset) BETWEEN 1 AND 100),
  language text NOT NULL,
  contact_id text CHECK (length(contact_id) BETWEEN 1 AND 100),
  waited_s integer NOT NULL CHECK (waited_s >= 0),
  priority text,
  name text CHECK (length(name) BETWEEN 1 AND 100),
  context jsonb NOT NULL DEFAULT '{}',
  conversation_id uuid,
  message_id uuid,
  -- SHA-256 of what stands in the address that a click on answers the offer.
  token_hash bytea UNIQUE CHECK (length(token_hash) = 32),
  answered_by text CHECK (answered_by IN ('text', 'link')),
  asked_at timestamptz NOT NULL,
  sent_at timestamptz,
  delivered_at timestamptz,
  answered_at timestamptz,
  chat_at timestamptz,
  -- When an agent wrote for the first time.
  agent_at timestamptz,
  ended_at timestamptz,
  expires_at timestamptz,
  -- When it is to be looked at again; NULL: nothing can happen to it any more.
  due_at timestamptz,
  CHECK (state = 'refused' OR (our_address IS NOT NULL AND customer_address IS NOT NULL AND message_id IS NOT NULL
                               AND expires_at IS NOT NULL)),
  CHECK (state <> 'refused' OR due_at IS NULL),
  CHECK ((answered_at IS NULL) = (answered_by IS NULL)),
  FOREIGN KEY (tenant_id, conversation_id) REFERENCES conversation (tenant_id, id) ON DELETE SET NULL (conversation_id)
);
CREATE INDEX deflection_newest ON deflection (tenant_id, id DESC);
CREATE INDEX deflection_due ON deflection (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX deflection_contact ON deflection (tenant_id, contact_id, id DESC) WHERE contact_id IS NOT NULL;
CREATE INDEX deflection_customer ON deflection (tenant_id, customer_address, asked_at) WHERE state <> 'refused';
CREATE INDEX deflection_asked ON deflection (tenant_id, asked_at);
CREATE INDEX deflection_conversation ON deflection (tenant_id, conversation_id) WHERE conversation_id IS NOT NULL;
CREATE INDEX deflection_by_age ON deflection (asked_at);

ALTER TABLE deflection ENABLE ROW LEVEL SECURITY;
ALTER TABLE deflection FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON deflection TO ccm_app USING (tenant_id = ANY ((SELECT app_tenants())::uuid[]));
GRANT SELECT, INSERT, UPDATE ON deflection TO ccm_app;
SELECT purge_table('deflection');

-- What is due, of all tenants; whose a click is; what tenants used; and old ones go.
CREATE POLICY found ON deflection FOR SELECT TO ccm_system USING (true);
CREATE POLICY claimed ON deflection FOR UPDATE TO ccm_system USING (due_at IS NOT NULL) WITH CHECK (due_at IS NOT NULL);
CREATE POLICY forget ON deflection FOR DELETE TO ccm_system USING (asked_at < now() - interval '90 days');
GRANT SELECT (id, tenant_id, token_hash, asked_at, answered_at, due_at), UPDATE (due_at), DELETE ON deflection TO ccm_system;
