SET LOCAL lock_timeout = '2s';
-- `link_down` is `link.down`.
CREATE FUNCTION webhook_of_link_event() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF webhook_listens() THEN
    PERFORM webhook_event('link.' || regexp_replace(NEW.kind, '^link_', ''), NEW.tenant_id, NULL, NULL, NULL,
      jsonb_build_object('id', NEW.id, 'kind', NEW.kind, 'link_id', NEW.link_id, 'account_id', NULL, 'muted', NEW.muted,
                         'detail', NEW.detail));
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER webhook_new AFTER INSERT ON link_event FOR EACH ROW EXECUTE FUNCTION webhook_of_link_event();
