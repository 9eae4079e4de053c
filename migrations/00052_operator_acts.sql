-- +goose Up
-- The audit: who did what, when, why, and what it changed. A line is written in the
-- commit of the act itself, and stays.
CREATE TABLE operator_acts (
    id          uuid NOT NULL,           -- UUIDv7: in the order of acting
    at          timestamptz NOT NULL,
    deed        text NOT NULL,
    subject     text NOT NULL,           -- what it was done to
    app_user_id text NOT NULL DEFAULT '',
    who         text NOT NULL,           -- the admin key's name; on the command line what --by says, or the login
    login       text NOT NULL,           -- who it certainly is: user@host, or the name again
    via         text NOT NULL,
    reason      text NOT NULL,
    before      jsonb NOT NULL,
    after       jsonb NOT NULL,
    CONSTRAINT operator_acts_pkey PRIMARY KEY (id),
    CONSTRAINT operator_acts_via_check CHECK (via IN ('cli', 'console')),
    CONSTRAINT operator_acts_said_check CHECK (deed <> '' AND subject <> '' AND who <> '' AND login <> '' AND btrim(reason) <> '')
);
CREATE INDEX operator_acts_subject_idx ON operator_acts (subject, id);
CREATE INDEX operator_acts_app_user_id_idx ON operator_acts (app_user_id, id) WHERE app_user_id <> '';

CREATE TRIGGER operator_acts_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON operator_acts
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- What is paused. Every process looks once or twice a second.
CREATE TABLE pauses (
    since  timestamptz NOT NULL,
    until  timestamptz,                  -- when it ends by itself; null: by an operator only
    act_id uuid NOT NULL,                -- the act that paused it
    scope  text NOT NULL,
    name   text NOT NULL,
    who    text NOT NULL,
    reason text NOT NULL,
    CONSTRAINT pauses_pkey PRIMARY KEY (scope, name),
    CONSTRAINT pauses_scope_check CHECK (scope IN ('consumer', 'lane', 'item', 'currency'))
);
