SET LOCAL lock_timeout = '2s';
CREATE FUNCTION webhook_of_account_event() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF webhook_listens() THEN
    PERFORM webhook_event('account.' || NEW.kind, NEW.tenant_id, NULL, NULL, NULL,
      jsonb_build_object('id', NEW.id, 'kind', NEW.kind, 'link_id', NULL, 'account_id', NEW.account_id, 'muted', false,
                         'detail', NEW.detail));
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER webhook_new AFTER INSERT ON account_event FOR EACH ROW EXECUTE FUNCTION webhook_of_account_event();
