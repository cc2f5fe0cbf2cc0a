-- Whose number stands in the page's form, as texts are stored under it: by that the page goes when the person is erased. NULL: it is none.
-- What the version before opens has none; it is gone an hour after it has ended.
SET LOCAL lock_timeout = '2s';
ALTER TABLE screenpop_session ADD COLUMN customer_address text;
SELECT purge_table('screenpop_session');
