-- Deflections go after 90 days one by one, by what `removal` names, so that a legal hold keeps them as it keeps texts: the role that saw
-- their age alone does not see what is held.
SET LOCAL lock_timeout = '2s';
ALTER TABLE removal ADD COLUMN deflection_id uuid;
ALTER TABLE removal DROP CONSTRAINT removal_check;
ALTER TABLE removal ADD CONSTRAINT removal_check CHECK (num_nonnulls(conversation_id, customer_address, deflection_id) = 1);

CREATE OR REPLACE FUNCTION removal_is_allowed() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  -- Whose it is: a number, a conversation, or both.
  of_customer text := NEW.customer_address;
  of_conversation uuid := NEW.conversation_id;
  asked timestamptz;
BEGIN
  IF NEW.deflection_id IS NOT NULL THEN
    SELECT d.customer_address, d.conversation_id, d.asked_at INTO of_customer, of_conversation, asked
    FROM deflection d WHERE d.tenant_id = NEW.tenant_id AND d.id = NEW.deflection_id;
    IF asked >= now() - interval '90 days' THEN
      RAISE EXCEPTION 'a deflection is kept for 90 days' USING ERRCODE = 'restrict_violation';
    END IF;
  END IF;
  IF EXISTS (SELECT FROM conversation c WHERE c.tenant_id = NEW.tenant_id AND c.id = NEW.conversation_id AND c.state = 'open') THEN
    RAISE EXCEPTION 'an open conversation is not taken away' USING ERRCODE = 'restrict_violation';
  END IF;
  IF EXISTS (
    SELECT FROM legal_hold h
    WHERE h.tenant_id = NEW.tenant_id AND h.released_at IS NULL
      AND (h.scope = 'tenant' OR h.conversation_id = of_conversation OR h.customer_address = of_customer
           OR h.customer_address = (SELECT c.customer_address FROM conversation c
                                    WHERE c.tenant_id = NEW.tenant_id AND c.id = of_conversation)
           OR of_customer = (SELECT c.customer_address FROM conversation c
                             WHERE c.tenant_id = NEW.tenant_id AND c.id = h.conversation_id)))
  THEN
    RAISE EXCEPTION 'what is under a legal hold is not taken away' USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END $$;

CREATE FUNCTION app_removed_deflections() RETURNS uuid[]
  LANGUAGE sql STABLE PARALLEL SAFE
  RETURN (SELECT array_agg(deflection_id) FROM removal
          WHERE tenant_id = ANY ((SELECT app_tenants())::uuid[]) AND deflection_id IS NOT NULL);

-- As in 0156, and deflections by their own id.
CREATE OR REPLACE FUNCTION purge_table(purged regclass) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  guarded boolean := EXISTS (SELECT FROM pg_policy WHERE polrelid = purged AND polname = 'purge_only');
  allowed text := format('%I = ANY ((SELECT app_purged_tenants())::uuid[])',
                         CASE WHEN purged = 'tenant'::regclass THEN 'id' ELSE 'tenant_id' END);
  columns text[] := ARRAY(SELECT attname::text FROM pg_attribute WHERE attrelid = purged AND attnum > 0 AND NOT attisdropped);
  of_conversation text := CASE WHEN purged = 'conversation'::regclass THEN 'id' ELSE 'conversation_id' END;
BEGIN
  IF NOT guarded AND has_table_privilege('ccm_app', purged, 'DELETE') THEN
    RETURN;
  END IF;
  IF of_conversation = ANY (columns) THEN
    allowed := allowed || format(' OR %I = ANY ((SELECT app_removed_conversations())::uuid[])', of_conversation);
  END IF;
  IF 'customer_address' = ANY (columns) THEN
    allowed := allowed || ' OR customer_address = ANY ((SELECT app_removed_addresses())::text[])';
  END IF;
  IF purged = 'deflection'::regclass THEN
    allowed := allowed || ' OR id = ANY ((SELECT app_removed_deflections())::uuid[])';
  END IF;
  IF guarded THEN
    EXECUTE format('ALTER POLICY purge_only ON %s USING (%s)', purged, allowed);
  ELSE
    EXECUTE format('CREATE POLICY purge_only ON %s AS RESTRICTIVE FOR DELETE TO ccm_app USING (%s)', purged, allowed);
    EXECUTE format('GRANT DELETE ON %s TO ccm_app', purged);
  END IF;
END $$;
SELECT purge_table('deflection');

-- A pod of the version before deletes nothing, and says so once an hour, until it is replaced.
DROP POLICY forget ON deflection;
REVOKE DELETE ON deflection FROM ccm_system;
