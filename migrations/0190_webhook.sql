-- Where a tenant wants to be told of what happens, and what is told there. Whoever writes an event's row writes its deliveries in the
-- same transaction (0191 to 0198): no event is lost, and a tenant without webhooks costs one look into an index.
CREATE TABLE webhook (
  id uuid PRIMARY KEY,
  tenant_id uuid NOT NULL REFERENCES tenant (id),
  name text NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
  url text NOT NULL CHECK (length(url) BETWEEN 8 AND 2000),
  -- Types, or groups such as `message.*`; NULL: all.
  events text[] CHECK (cardinality(events) BETWEEN 1 AND 50),
  include_numbers boolean NOT NULL,
  include_bodies boolean NOT NULL,
  -- `disabled` by hand; `gone`: the receiver said so (410); `failing`: for days nothing was taken.
  state text NOT NULL DEFAULT 'enabled' CHECK (state IN ('enabled', 'disabled', 'gone', 'failing')),
  state_since timestamptz NOT NULL,
  -- Since when nothing was taken; NULL: the last delivery was, or there was none.
  failing_since timestamptz,
  -- Until when the receiver wants to be left alone (Retry-After).
  paused_until timestamptz,
  secret_sealed bytea NOT NULL,
  -- The one before, with which calls are signed too until everybody has the new one.
  old_secret_sealed bytea,
  old_secret_until timestamptz,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (tenant_id, id),
  UNIQUE (tenant_id, name),
  CHECK ((old_secret_sealed IS NULL) = (old_secret_until IS NULL))
);
ALTER TABLE webhook ENABLE ROW LEVEL SECURITY;
ALTER TABLE webhook FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON webhook TO ccm_app USING (tenant_id = ANY ((SELECT app_tenants())::uuid[]));
CREATE POLICY lookup ON webhook FOR SELECT TO ccm_system USING (true);
GRANT SELECT, INSERT, UPDATE, DELETE ON webhook TO ccm_app;
GRANT SELECT (id, tenant_id, events, state, paused_until) ON webhook TO ccm_system;
SELECT audit_table('webhook', 'webhook', ARRAY['secret_sealed', 'old_secret_sealed']::text[],
                   ARRAY['failing_since', 'paused_until', 'updated_at']::text[]);

-- One event for one webhook. Neither a body nor a number stands in here but an opt-out's (by which it goes when its person is erased): what
-- is sent is read when it is sent.
CREATE TABLE webhook_delivery (
  -- The `webhook-id` of its calls.
  id uuid PRIMARY KEY,
  tenant_id uuid NOT NULL REFERENCES tenant (id),
  -- No reference: a webhook goes at once, its deliveries go with their age.
  webhook_id uuid NOT NULL,
  type text NOT NULL CHECK (length(type) BETWEEN 1 AND 100),
  at timestamptz NOT NULL,
  conversation_id uuid,
  customer_address text,
  -- The message, consent event or deflection.
  subject_id uuid,
  -- What it was when it happened, where that changes: its state. Of links, accounts and the tenant: the event.
  detail jsonb NOT NULL DEFAULT '{}',
  state text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'delivered', 'failed')),
  attempts integer NOT NULL DEFAULT 0,
  -- The last attempts, the oldest first.
  tries jsonb NOT NULL DEFAULT '[]',
  -- When it is tried next, or is free again should the one that tries it die.
  next_at timestamptz,
  claim uuid,
  CHECK ((state = 'pending') = (next_at IS NOT NULL))
);
CREATE INDEX webhook_delivery_due ON webhook_delivery (webhook_id, next_at, id) WHERE next_at IS NOT NULL;
CREATE INDEX webhook_delivery_newest ON webhook_delivery (tenant_id, webhook_id, id DESC);
CREATE INDEX webhook_delivery_by_age ON webhook_delivery (at);
CREATE INDEX webhook_delivery_of_conversation ON webhook_delivery (tenant_id, conversation_id) WHERE conversation_id IS NOT NULL;
CREATE INDEX webhook_delivery_of_customer ON webhook_delivery (tenant_id, customer_address) WHERE customer_address IS NOT NULL;
ALTER TABLE webhook_delivery ENABLE ROW LEVEL SECURITY;
ALTER TABLE webhook_delivery FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON webhook_delivery TO ccm_app USING (tenant_id = ANY ((SELECT app_tenants())::uuid[]));
GRANT SELECT, INSERT, UPDATE ON webhook_delivery TO ccm_app;
-- What is due, of all tenants; what the system's login brings about (a tenant's state); and old ones go.
CREATE POLICY found ON webhook_delivery FOR SELECT TO ccm_system USING (true);
CREATE POLICY claimed ON webhook_delivery FOR UPDATE TO ccm_system USING (next_at IS NOT NULL) WITH CHECK (next_at IS NOT NULL);
CREATE POLICY written ON webhook_delivery FOR INSERT TO ccm_system WITH CHECK (true);
CREATE POLICY forget ON webhook_delivery FOR DELETE TO ccm_system USING (at < now() - interval '30 days');
GRANT SELECT (id, tenant_id, webhook_id, at, next_at), UPDATE (next_at, claim), INSERT, DELETE ON webhook_delivery TO ccm_system;
SELECT purge_table('webhook_delivery');

-- Whether any tenant of the transaction, which the policy knows, has a webhook. That none has is noted for the rest of it: `app.webhooks`.
-- By index also where few webhooks make the planner read all of them: each text of each tenant comes by here.
CREATE FUNCTION webhook_listens() RETURNS boolean LANGUAGE plpgsql SET enable_seqscan = off AS $$
BEGIN
  IF current_setting('app.webhooks', true) = 'none' THEN
    RETURN false;
  ELSIF EXISTS (SELECT FROM webhook) THEN
    RETURN true;
  END IF;
  PERFORM set_config('app.webhooks', 'none', true);
  RETURN false;
END $$;

-- An event, for those of the tenant's webhooks that want it.
CREATE FUNCTION webhook_event(
  kind text, tenant uuid, conversation uuid, customer text, subject uuid, what jsonb
) RETURNS void LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
  moment timestamptz := clock_timestamp();
BEGIN
  INSERT INTO webhook_delivery (id, tenant_id, webhook_id, type, at, conversation_id, customer_address, subject_id, detail, next_at)
  SELECT uuid_v7(moment), tenant, w.id, kind, moment, conversation, customer, subject, what, moment
  FROM webhook w
  WHERE w.tenant_id = tenant
    AND (w.events IS NULL OR kind = ANY (w.events) OR split_part(kind, '.', 1) || '.*' = ANY (w.events));
END $$;
