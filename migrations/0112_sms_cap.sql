-- How many segments a tenant may send, and how many it has sent: counted here only while there is a cap.
CREATE TABLE sms_cap (
  tenant_id uuid PRIMARY KEY REFERENCES tenant (id),
  daily_segments bigint CHECK (daily_segments BETWEEN 0 AND 1000000000),
  monthly_segments bigint CHECK (monthly_segments BETWEEN 0 AND 1000000000),
  -- The day (UTC) and the first day of the month that the counts are of, and the percentage that was warned of in each.
  day date NOT NULL,
  day_segments bigint NOT NULL,
  day_told smallint NOT NULL DEFAULT 0,
  month date NOT NULL,
  month_segments bigint NOT NULL,
  month_told smallint NOT NULL DEFAULT 0,
  updated_at timestamptz NOT NULL
);
ALTER TABLE sms_cap ENABLE ROW LEVEL SECURITY;
ALTER TABLE sms_cap FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON sms_cap TO ccm_app USING (tenant_id = ANY ((SELECT app_tenants())::uuid[]));
GRANT SELECT, INSERT, UPDATE ON sms_cap TO ccm_app;
SELECT audit_table('sms_cap', 'caps', ARRAY[]::text[],
  ARRAY['day', 'day_segments', 'day_told', 'month', 'month_segments', 'month_told', 'updated_at']);
