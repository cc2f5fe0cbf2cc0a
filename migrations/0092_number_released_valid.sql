SET LOCAL lock_timeout = '2s';
ALTER TABLE number VALIDATE CONSTRAINT number_released;
