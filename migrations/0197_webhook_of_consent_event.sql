SET LOCAL lock_timeout = '2s';
CREATE FUNCTION webhook_of_consent_event() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF webhook_listens() THEN
    PERFORM webhook_event('consent.' || NEW.kind, NEW.tenant_id, NULL, NEW.customer_address, NEW.id, '{}');
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER webhook_new AFTER INSERT ON consent_event FOR EACH ROW EXECUTE FUNCTION webhook_of_consent_event();
