-- The platform's processes, whatever their role: each writes itself down every 15 s, in database time. Connectors' heartbeats, by which
-- tenants have owners, are the table `pod`.
CREATE TABLE process (
  id uuid PRIMARY KEY,
  role text NOT NULL CHECK (length(role) BETWEEN 1 AND 50),
  -- The pod's name.
  name text NOT NULL CHECK (length(name) BETWEEN 1 AND 300),
  version text NOT NULL CHECK (length(version) BETWEEN 1 AND 100),
  started_at timestamptz NOT NULL DEFAULT now(),
  seen_at timestamptz NOT NULL DEFAULT now(),
  draining boolean NOT NULL DEFAULT false
);
GRANT SELECT, INSERT, UPDATE, DELETE ON process TO ccm_system;
