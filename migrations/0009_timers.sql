-- What must happen later (hours, idle chats, deflections, missing parts). No timer lives only in memory.
CREATE TABLE timer (
  id uuid PRIMARY KEY,
  tenant_id uuid NOT NULL REFERENCES tenant (id),
  conversation_id uuid,
  kind text NOT NULL CHECK (length(kind) BETWEEN 1 AND 50),
  due_at timestamptz NOT NULL,
  payload jsonb NOT NULL DEFAULT '{}',
  created_at timestamptz NOT NULL DEFAULT now(),
  FOREIGN KEY (tenant_id, conversation_id) REFERENCES conversation (tenant_id, id)
);
CREATE INDEX timer_due ON timer (due_at);
ALTER TABLE timer ENABLE ROW LEVEL SECURITY;
ALTER TABLE timer FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON timer TO ccm_app USING (tenant_id = ANY ((SELECT app_tenants())::uuid[]));
CREATE POLICY claim ON timer TO ccm_system USING (true);
GRANT SELECT, INSERT, UPDATE, DELETE ON timer TO ccm_app;
GRANT SELECT (id, tenant_id, kind, due_at), UPDATE (due_at) ON timer TO ccm_system;
