-- From where a screen-pop key may be used, when it was used last, and which key takes its place.
SET LOCAL lock_timeout = '2s';
ALTER TABLE auth_key
  -- CIDR blocks; none: from anywhere.
  ADD COLUMN networks text[] NOT NULL DEFAULT '{}' CHECK (cardinality(networks) <= 50),
  ADD COLUMN last_used_at timestamptz,
  ADD COLUMN replaced_by uuid;
GRANT SELECT (networks) ON auth_key TO ccm_system;
