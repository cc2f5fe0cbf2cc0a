-- How each link does, as its owner last said; what happened to it; and when it is meant to be away.
CREATE TABLE link_state (
  link_id uuid PRIMARY KEY,
  tenant_id uuid NOT NULL REFERENCES tenant (id),
  state text NOT NULL CHECK (state IN ('unknown', 'up', 'down', 'half_open', 'held', 'unusable')),
  since timestamptz NOT NULL,
  endpoint text NOT NULL CHECK (endpoint IN ('primary', 'secondary')),
  -- Why it is down, and what an operator can do. Never a customer's data.
  error text,
  remedy text,
  chats integer NOT NULL DEFAULT 0,
  waiting integer NOT NULL DEFAULT 0,
  certificate_until timestamptz,
  updated_at timestamptz NOT NULL,
  FOREIGN KEY (tenant_id, link_id) REFERENCES ewc_link (tenant_id, id)
);

CREATE TABLE link_event (
  id uuid PRIMARY KEY,
  tenant_id uuid NOT NULL REFERENCES tenant (id),
  link_id uuid NOT NULL,
  kind text NOT NULL CHECK (length(kind) BETWEEN 1 AND 50),
  at timestamptz NOT NULL,
  -- Nobody is to be woken: it happened in a maintenance window.
  muted boolean NOT NULL DEFAULT false,
  detail jsonb NOT NULL DEFAULT '{}',
  FOREIGN KEY (tenant_id, link_id) REFERENCES ewc_link (tenant_id, id)
);
CREATE INDEX link_event_newest ON link_event (tenant_id, link_id, id DESC);

CREATE TABLE maintenance_window (
  id uuid PRIMARY KEY,
  tenant_id uuid NOT NULL REFERENCES tenant (id),
  link_id uuid NOT NULL,
  begins_at timestamptz NOT NULL,
  ends_at timestamptz NOT NULL,
  reason text NOT NULL CHECK (length(reason) BETWEEN 1 AND 200),
  created_at timestamptz NOT NULL DEFAULT now(),
  CHECK (ends_at > begins_at),
  FOREIGN KEY (tenant_id, link_id) REFERENCES ewc_link (tenant_id, id)
);
CREATE INDEX maintenance_window_of_link ON maintenance_window (tenant_id, link_id, ends_at);

DO $$
DECLARE
  t text;
BEGIN
  FOREACH t IN ARRAY ARRAY['link_state', 'link_event', 'maintenance_window'] LOOP
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
    EXECUTE format('CREATE POLICY own ON %I TO ccm_app USING (tenant_id = ANY ((SELECT app_tenants())::uuid[]))', t);
    EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO ccm_app', t);
  END LOOP;
END $$;
