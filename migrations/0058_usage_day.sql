-- What each tenant used on each day (UTC), counted from texts and chats again and again until nothing changes any more.
CREATE TABLE usage_day (
  tenant_id uuid NOT NULL REFERENCES tenant (id),
  day date NOT NULL,
  mo_texts bigint NOT NULL,
  mo_segments bigint NOT NULL,
  -- Those that a provider took.
  mt_texts bigint NOT NULL,
  mt_segments bigint NOT NULL,
  -- Those that none took.
  mt_failed bigint NOT NULL,
  chats_opened bigint NOT NULL,
  peak_chats bigint NOT NULL,
  -- Callers who took a chat instead of waiting: counted from the day on that there are any.
  deflections bigint NOT NULL DEFAULT 0,
  PRIMARY KEY (tenant_id, day)
);
CREATE INDEX usage_day_all ON usage_day (day, tenant_id);
ALTER TABLE usage_day ENABLE ROW LEVEL SECURITY;
ALTER TABLE usage_day FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON usage_day TO ccm_app USING (tenant_id = ANY ((SELECT app_tenants())::uuid[]));
CREATE POLICY counted ON usage_day TO ccm_system USING (true);
GRANT SELECT ON usage_day TO ccm_app;
GRANT SELECT, INSERT, UPDATE ON usage_day TO ccm_system;

-- When each day was counted last, for all tenants at once.
CREATE TABLE usage_count (
  day date PRIMARY KEY,
  counted_at timestamptz NOT NULL
);
GRANT SELECT ON usage_count TO ccm_app;
GRANT SELECT, INSERT, UPDATE ON usage_count TO ccm_system;
