-- A tenant's decisions about its chats: one document, checked by the program (libs/model, chat_settings).
CREATE TABLE chat_settings (
  tenant_id uuid PRIMARY KEY REFERENCES tenant (id),
  settings jsonb NOT NULL,
  updated_at timestamptz NOT NULL DEFAULT now()
);
ALTER TABLE chat_settings ENABLE ROW LEVEL SECURITY;
ALTER TABLE chat_settings FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON chat_settings TO ccm_app USING (tenant_id = ANY ((SELECT app_tenants())::uuid[]));
GRANT SELECT, INSERT, UPDATE ON chat_settings TO ccm_app;
