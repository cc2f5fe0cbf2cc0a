-- Texts that agents send again and again: of the whole tenant, of a skillset, or of one agent.
CREATE TABLE template (
  id uuid PRIMARY KEY,
  tenant_id uuid NOT NULL REFERENCES tenant (id),
  name text NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
  body text NOT NULL CHECK (length(body) BETWEEN 1 AND 1600),
  scope text NOT NULL CHECK (scope IN ('tenant', 'skillset', 'personal')),
  skillset_id uuid,
  -- The agent's name as a page's address claims it: it keeps lists apart, and keeps nothing secret.
  agent text CHECK (length(agent) BETWEEN 1 AND 100),
  language text CHECK (length(language) BETWEEN 2 AND 35),
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (tenant_id, id),
  CONSTRAINT template_name UNIQUE NULLS NOT DISTINCT (tenant_id, name, scope, skillset_id, agent, language),
  FOREIGN KEY (tenant_id, skillset_id) REFERENCES skillset (tenant_id, id),
  CHECK ((scope = 'skillset') = (skillset_id IS NOT NULL)),
  CHECK ((scope = 'personal') = (agent IS NOT NULL))
);
ALTER TABLE template ENABLE ROW LEVEL SECURITY;
ALTER TABLE template FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON template TO ccm_app USING (tenant_id = ANY ((SELECT app_tenants())::uuid[]));
GRANT SELECT, INSERT, UPDATE, DELETE ON template TO ccm_app;
