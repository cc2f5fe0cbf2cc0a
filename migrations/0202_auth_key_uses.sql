-- What a screen-pop key opens. Those that there are open everything, as they did.
SET LOCAL lock_timeout = '2s';
ALTER TABLE auth_key ADD COLUMN uses text[] NOT NULL DEFAULT '{screenpop,deflection,number-check}';
ALTER TABLE auth_key ADD CONSTRAINT auth_key_uses
  CHECK (cardinality(uses) > 0 AND uses <@ ARRAY['screenpop', 'deflection', 'number-check']) NOT VALID;
GRANT SELECT (uses) ON auth_key TO ccm_system;
