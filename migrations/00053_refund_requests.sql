-- +goose Up
-- Refunds of fulfilled spends that need a second person: whoever approves one is
-- neither of the name nor of the login that asked for it.
CREATE TABLE refund_requests (
    id            uuid NOT NULL,
    spend_id      uuid NOT NULL,
    asked_at      timestamptz NOT NULL,
    decided_at    timestamptz,
    change_id     uuid NOT NULL,         -- the act that changed it last: a commit whose answer was lost is known as ours
    state         text NOT NULL DEFAULT 'asked',
    asked_by      text NOT NULL,
    asked_login   text NOT NULL,
    reason        text NOT NULL,
    decided_by    text NOT NULL DEFAULT '',
    decided_login text NOT NULL DEFAULT '',
    decided_why   text NOT NULL DEFAULT '',
    CONSTRAINT refund_requests_pkey PRIMARY KEY (id),
    CONSTRAINT refund_requests_spend_id_fkey FOREIGN KEY (spend_id) REFERENCES spends (id),
    CONSTRAINT refund_requests_state_check CHECK (state IN ('asked', 'approved', 'refused')),
    CONSTRAINT refund_requests_decided_check CHECK ((state = 'asked') = (decided_at IS NULL)),
    CONSTRAINT refund_requests_second_person_check CHECK (state <> 'approved' OR decided_by <> asked_by AND decided_login <> asked_login)
);
-- A spend waits for one decision at most.
CREATE UNIQUE INDEX refund_requests_one_asked_idx ON refund_requests (spend_id) WHERE state = 'asked';
