-- A text that was on its way while its number was released opens no conversation on it: as if the number were not there.
SET LOCAL lock_timeout = '2s';
CREATE FUNCTION conversation_has_number() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  -- Waits for whoever is about to release it, and is waited for.
  PERFORM 1 FROM number WHERE tenant_id = NEW.tenant_id AND id = NEW.number_id AND released_at IS NULL FOR KEY SHARE;
  IF NOT FOUND THEN
    RAISE foreign_key_violation USING MESSAGE = 'the number was released', CONSTRAINT = 'conversation_number_released';
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER conversation_number_released AFTER INSERT ON conversation
  FOR EACH ROW EXECUTE FUNCTION conversation_has_number();
