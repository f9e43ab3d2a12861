-- Times are microseconds since the epoch, JSON is text, and every key starts with the chain.
-- Keys compare byte by byte (COLLATE "C"): faster, and the same order as in SQLite and in Rust.

CREATE TABLE chains (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    timezone TEXT NOT NULL,
    currency TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    -- Of the files that its folder had when they were last put in force, or were in force.
    folder_hash BYTEA,
    -- How often people changed it, and one.
    revision BIGINT NOT NULL
);

-- The state is the member as decided on: standing, history, identities. The days of the history stand beside it, packed.
-- `ended` is who was merged into another, or erased.
CREATE TABLE members (
    chain TEXT COLLATE "C" NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    version BIGINT NOT NULL,
    state TEXT NOT NULL,
    days BYTEA NOT NULL,
    enrolled_at BIGINT NOT NULL,
    next_wake_at BIGINT,
    ended BOOL NOT NULL,
    PRIMARY KEY (chain, id)
) WITH (fillfactor = 80); -- room to rewrite a member on its own page
CREATE INDEX members_by_wake ON members (chain, next_wake_at) WHERE next_wake_at IS NOT NULL;

CREATE TABLE identities (
    chain TEXT COLLATE "C" NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    value TEXT COLLATE "C" NOT NULL,
    member TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (chain, kind, value)
);

-- A key is remembered for ever, also when body and receipt are no longer kept: tills send again weeks later. Each names the
-- event that was decided for its member before it; the member's state names the last.
CREATE TABLE source_events (
    chain TEXT COLLATE "C" NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    previous TEXT COLLATE "C",
    key TEXT COLLATE "C" NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    status TEXT COLLATE "C" NOT NULL,
    runs BIGINT NOT NULL,
    member TEXT COLLATE "C",
    location TEXT,
    asked_by TEXT,
    trace TEXT,
    occurred_at BIGINT NOT NULL,
    received_at BIGINT NOT NULL,
    program_version BIGINT NOT NULL,
    body TEXT NOT NULL,
    body_hash BYTEA NOT NULL,
    receipt TEXT NOT NULL,
    PRIMARY KEY (chain, id),
    UNIQUE (chain, key)
);
-- Nearly every event is processed at once and never enters this index.
CREATE INDEX source_events_open ON source_events (chain, status, id) WHERE status <> 'processed';

CREATE TABLE orders (
    chain TEXT COLLATE "C" NOT NULL,
    order_id TEXT COLLATE "C" NOT NULL,
    version BIGINT NOT NULL,
    state TEXT NOT NULL,
    PRIMARY KEY (chain, order_id)
);

-- A redemption changes only with its member, whose version is its fence too.
CREATE TABLE redemptions (
    chain TEXT COLLATE "C" NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    member TEXT COLLATE "C" NOT NULL,
    reward TEXT NOT NULL,
    status TEXT COLLATE "C" NOT NULL,
    state TEXT NOT NULL,
    PRIMARY KEY (chain, id)
);
CREATE INDEX redemptions_by_member ON redemptions (chain, member, id);
CREATE INDEX redemptions_by_status ON redemptions (chain, status, id);

-- How many of a reward are taken. It is counted in place, so that nobody waits for anybody but at the last one.
CREATE TABLE reward_stock (
    chain TEXT COLLATE "C" NOT NULL,
    reward TEXT COLLATE "C" NOT NULL,
    taken BIGINT NOT NULL CHECK (taken >= 0),
    PRIMARY KEY (chain, reward)
);

-- What campaigns have given, in all (`total`) and within a day, a week or a month. Counted in place, like stock. `told` is the
-- budget that was told to have run out last.
CREATE TABLE campaign_budgets (
    chain TEXT COLLATE "C" NOT NULL,
    campaign TEXT COLLATE "C" NOT NULL,
    period TEXT COLLATE "C" NOT NULL,
    taken BIGINT NOT NULL CHECK (taken >= 0),
    told BIGINT NOT NULL,
    PRIMARY KEY (chain, campaign, period)
);

-- Lines are never changed. Each names the member's line before it; the member's state names the last.
CREATE TABLE transfers (
    chain TEXT COLLATE "C" NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    previous TEXT COLLATE "C",
    member TEXT COLLATE "C" NOT NULL,
    wallet TEXT NOT NULL,
    debit TEXT NOT NULL,
    credit TEXT NOT NULL,
    amount BIGINT NOT NULL CHECK (amount > 0),
    rule TEXT NOT NULL,
    rule_at TEXT NOT NULL,
    program_version BIGINT NOT NULL,
    campaign TEXT COLLATE "C",
    reason TEXT NOT NULL,
    source TEXT,
    at BIGINT NOT NULL,
    PRIMARY KEY (chain, id)
);

-- Each names the member's event before it; the member's state names the last. An event of no member names neither.
-- `late_at` is when it was committed, if that was long after the instant in its id.
CREATE TABLE loyalty_events (
    chain TEXT COLLATE "C" NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    previous TEXT COLLATE "C",
    kind TEXT COLLATE "C" NOT NULL,
    member TEXT COLLATE "C",
    at BIGINT NOT NULL,
    program_version BIGINT NOT NULL,
    late_at BIGINT,
    trace TEXT,
    body TEXT NOT NULL,
    PRIMARY KEY (chain, id)
);
CREATE INDEX loyalty_events_by_time ON loyalty_events (chain, at, id);
CREATE INDEX loyalty_events_by_kind ON loyalty_events (chain, kind, at, id);
CREATE INDEX loyalty_events_late ON loyalty_events (chain, late_at, id) WHERE late_at IS NOT NULL;

-- Credentials (signing secret and headers) are sealed. A deleted endpoint keeps its row, because its deliveries stay.
CREATE TABLE endpoints (
    chain TEXT COLLATE "C" NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    url TEXT NOT NULL,
    description TEXT,
    dialect TEXT NOT NULL,
    events TEXT NOT NULL,
    tags TEXT NOT NULL,
    credentials BYTEA NOT NULL,
    settings TEXT NOT NULL,
    disabled_reason TEXT,
    disabled_at BIGINT,
    paused_at BIGINT,
    paused_until BIGINT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    deleted_at BIGINT,
    -- How often it was changed, and one.
    revision BIGINT NOT NULL,
    PRIMARY KEY (chain, id)
);

-- The number of the last delivery made for an endpoint. `lane` says which of its deliveries wait for each other; while that
-- is being changed, `laned_to` is the last delivery that goes by it already. Who makes or settles deliveries locks this row.
CREATE TABLE endpoint_sequences (
    chain TEXT COLLATE "C" NOT NULL,
    endpoint TEXT COLLATE "C" NOT NULL,
    last_seq BIGINT NOT NULL,
    lane TEXT COLLATE "C" NOT NULL,
    laned_to BIGINT,
    PRIMARY KEY (chain, endpoint)
);

-- How an endpoint's receiver does, written with the attempt that changed it. `epoch` counts how often people began anew
-- with it; what was under way before changes nothing.
CREATE TABLE endpoint_conditions (
    chain TEXT COLLATE "C" NOT NULL,
    endpoint TEXT COLLATE "C" NOT NULL,
    epoch BIGINT NOT NULL,
    failing_since BIGINT,
    warned_at BIGINT,
    trips BIGINT NOT NULL,
    held_until BIGINT,
    PRIMARY KEY (chain, endpoint)
);

-- `attempts` counts the tries of the current retry ladder, which began at `ready_at`. `due_at` is null for what waits behind
-- another one of its `lane`, and once settled: the index by it holds nothing but what may leave. `mark` says who sent it
-- again or late: `retry`, or a recovery.
CREATE TABLE deliveries (
    chain TEXT COLLATE "C" NOT NULL,
    endpoint TEXT COLLATE "C" NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    seq BIGINT NOT NULL,
    event TEXT COLLATE "C" NOT NULL,
    member TEXT COLLATE "C",
    lane TEXT COLLATE "C",
    status TEXT COLLATE "C" NOT NULL,
    attempts BIGINT NOT NULL,
    ready_at BIGINT,
    due_at BIGINT,
    created_at BIGINT NOT NULL,
    settled_at BIGINT,
    mark TEXT COLLATE "C",
    PRIMARY KEY (chain, endpoint, id)
);
CREATE UNIQUE INDEX deliveries_by_seq ON deliveries (chain, endpoint, seq);
CREATE INDEX deliveries_due ON deliveries (chain, endpoint, due_at, id) WHERE due_at IS NOT NULL;
CREATE INDEX deliveries_owed ON deliveries (chain, endpoint, seq) WHERE settled_at IS NULL;
CREATE INDEX deliveries_in_lane ON deliveries (chain, endpoint, lane, seq) WHERE lane IS NOT NULL AND settled_at IS NULL;
CREATE INDEX deliveries_failed ON deliveries (chain, endpoint, status, id) WHERE status = 'failed';
CREATE INDEX deliveries_discarded ON deliveries (chain, endpoint, status, id) WHERE status = 'discarded';

CREATE TABLE attempts (
    chain TEXT COLLATE "C" NOT NULL,
    endpoint TEXT COLLATE "C" NOT NULL,
    delivery TEXT COLLATE "C" NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    at BIGINT NOT NULL,
    duration_ms BIGINT NOT NULL,
    status_code BIGINT,
    response_body TEXT,
    error TEXT,
    PRIMARY KEY (chain, endpoint, delivery, id)
);

-- How attempts went, counted beside them in slots of five minutes. `latency` is packed.
CREATE TABLE endpoint_minutes (
    chain TEXT COLLATE "C" NOT NULL,
    endpoint TEXT COLLATE "C" NOT NULL,
    slot BIGINT NOT NULL,
    first_tries BIGINT NOT NULL,
    retries BIGINT NOT NULL,
    delivered BIGINT NOT NULL,
    failed BIGINT NOT NULL,
    latency BYTEA NOT NULL,
    PRIMARY KEY (chain, endpoint, slot)
);

-- What endpoints missed and get sent. `position` is where a running one goes on.
CREATE TABLE recoveries (
    chain TEXT COLLATE "C" NOT NULL,
    endpoint TEXT COLLATE "C" NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    which TEXT COLLATE "C" NOT NULL,
    since BIGINT NOT NULL,
    until BIGINT NOT NULL,
    state TEXT COLLATE "C" NOT NULL,
    position TEXT COLLATE "C",
    requeued BIGINT NOT NULL,
    created BIGINT NOT NULL,
    waiting BIGINT NOT NULL,
    asked_by TEXT COLLATE "C" NOT NULL,
    begun_at BIGINT NOT NULL,
    ended_at BIGINT,
    PRIMARY KEY (chain, endpoint, id)
);
-- One at a time for each endpoint, whichever node begins it.
CREATE UNIQUE INDEX recoveries_running ON recoveries (chain, endpoint) WHERE ended_at IS NULL;

-- A key without a chain is for all of them.
CREATE TABLE api_keys (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    role TEXT NOT NULL,
    chain TEXT COLLATE "C",
    name TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    expires_at BIGINT,
    revoked_at BIGINT,
    last_used_at BIGINT,
    requests_per_minute BIGINT
);
CREATE INDEX api_keys_by_chain ON api_keys (chain, id);

-- Only the hashes of a key's texts are kept. The newest text has no end; those that it followed have one.
CREATE TABLE api_key_texts (
    hash BYTEA NOT NULL PRIMARY KEY,
    key TEXT COLLATE "C" NOT NULL,
    until BIGINT
);
CREATE INDEX api_key_texts_by_key ON api_key_texts (key);

-- Requests that came with a key, for a day. What was answered is sealed: it may show a secret.
CREATE TABLE idempotent_requests (
    caller TEXT COLLATE "C" NOT NULL,
    key TEXT COLLATE "C" NOT NULL,
    fingerprint BYTEA NOT NULL,
    reply BYTEA NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (caller, key)
);
CREATE INDEX idempotent_requests_by_age ON idempotent_requests (created_at);

-- Who changed what, when, from where: written with the change, never changed, deleted by retention alone. The id tells the
-- time. The author is the id of a key, or a word; a line without a chain is about none, or about all.
CREATE TABLE audit_log (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    chain TEXT COLLATE "C",
    author TEXT COLLATE "C" NOT NULL,
    author_name TEXT,
    author_role TEXT,
    address TEXT,
    request TEXT,
    action TEXT COLLATE "C" NOT NULL,
    target TEXT COLLATE "C" NOT NULL,
    before TEXT,
    after TEXT
);
CREATE INDEX audit_log_of_chain ON audit_log (chain, id);
CREATE INDEX audit_log_of_chain_by_action ON audit_log (chain, action, id);
CREATE INDEX audit_log_by_action ON audit_log (action, id);
CREATE INDEX audit_log_by_author ON audit_log (author, id);
CREATE INDEX audit_log_of_target ON audit_log (target, id);
-- One text of chain and author, or target: nothing else finds a chain's lines by them, so nobody else's lines are walked.
CREATE INDEX audit_log_of_chain_by_author ON audit_log ((chain || ' ' || author), id);
CREATE INDEX audit_log_of_chain_by_target ON audit_log ((chain || ' ' || target), id);
CREATE FUNCTION refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit log is append-only';
END
$$;
CREATE TRIGGER audit_log_is_append_only BEFORE UPDATE ON audit_log
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change();

-- What, where to and how often is JSON.
CREATE TABLE export_schedules (
    chain TEXT COLLATE "C" NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    settings TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (chain, id)
);

-- One for each platform. What lets us in there is sealed.
CREATE TABLE integrations (
    chain TEXT COLLATE "C" NOT NULL,
    platform TEXT COLLATE "C" NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    credentials BYTEA NOT NULL,
    sync TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (chain, platform)
);

CREATE TABLE program_versions (
    chain TEXT COLLATE "C" NOT NULL,
    version BIGINT NOT NULL,
    hash BYTEA NOT NULL,
    files TEXT NOT NULL,
    -- folder, api, candidate; rollback and promotion, with the version whose files these are.
    origin TEXT COLLATE "C" NOT NULL,
    restores BIGINT,
    published_by TEXT COLLATE "C",
    note TEXT COLLATE "C",
    created_at BIGINT NOT NULL,
    PRIMARY KEY (chain, version)
);

-- Rules that are not run because they kept failing. One that is run again has no row: loyalty events tell what was.
CREATE TABLE suspended_rules (
    chain TEXT COLLATE "C" NOT NULL,
    version BIGINT NOT NULL,
    rule TEXT COLLATE "C" NOT NULL,
    at TEXT NOT NULL,
    since BIGINT NOT NULL,
    -- For how many in a row it had failed, where it did last, and how.
    members BIGINT NOT NULL,
    failed_at TEXT NOT NULL,
    error TEXT NOT NULL,
    PRIMARY KEY (chain, version, rule)
);
-- Candidates: versions that decide for some before they do, or do not, for all. `stages` is JSON: for whom, since when.
CREATE TABLE roll_outs (
    chain TEXT COLLATE "C" NOT NULL,
    version BIGINT NOT NULL,
    base BIGINT NOT NULL,
    stages TEXT NOT NULL,
    ending TEXT,
    ended_at BIGINT,
    ended_by TEXT,
    PRIMARY KEY (chain, version)
);
-- One at a time, whichever node begins it.
CREATE UNIQUE INDEX roll_outs_running ON roll_outs (chain) WHERE ended_at IS NULL;

-- Parameters and calibration are JSON. The newest is in force, a few before it show how it changed.
CREATE TABLE churn_models (
    chain TEXT COLLATE "C" NOT NULL,
    fitted_at BIGINT NOT NULL,
    from_day TEXT NOT NULL,
    to_day TEXT NOT NULL,
    horizon_days BIGINT NOT NULL,
    members BIGINT NOT NULL,
    visits BIGINT NOT NULL,
    parameters TEXT NOT NULL,
    log_likelihood DOUBLE PRECISION NOT NULL,
    calibration TEXT NOT NULL,
    PRIMARY KEY (chain, fitted_at)
);

-- Those of the API; the others are in program.toml.
CREATE TABLE coupon_books (
    chain TEXT COLLATE "C" NOT NULL,
    key TEXT COLLATE "C" NOT NULL,
    state TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (chain, key)
);

-- Shared by all members: what one of them has of a code is in `coupon_holdings`.
CREATE TABLE coupons (
    chain TEXT COLLATE "C" NOT NULL,
    code TEXT COLLATE "C" NOT NULL,
    book TEXT COLLATE "C" NOT NULL,
    version BIGINT NOT NULL,
    is_free BOOL NOT NULL,
    total_usages BIGINT NOT NULL,
    total_assigned BIGINT NOT NULL,
    expires_at BIGINT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    reservations TEXT,
    reserved_until BIGINT,
    custom_attributes TEXT,
    PRIMARY KEY (chain, code)
);
CREATE INDEX coupons_of_book ON coupons (chain, book, is_free, code, reserved_until);

CREATE TABLE coupon_holdings (
    chain TEXT COLLATE "C" NOT NULL,
    member TEXT COLLATE "C" NOT NULL,
    code TEXT COLLATE "C" NOT NULL,
    book TEXT COLLATE "C" NOT NULL,
    assigned BIGINT NOT NULL,
    used BIGINT NOT NULL,
    expires_at BIGINT,
    -- Until when it may be of use to the member: NULL = it is not.
    worth_until BIGINT,
    PRIMARY KEY (chain, member, code)
);
CREATE INDEX coupon_holdings_of_worth ON coupon_holdings (chain, member, book, worth_until) WHERE worth_until IS NOT NULL;

CREATE TABLE coupon_tallies (
    chain TEXT COLLATE "C" NOT NULL,
    member TEXT COLLATE "C" NOT NULL,
    book TEXT COLLATE "C" NOT NULL,
    assigned BIGINT NOT NULL,
    used BIGINT NOT NULL,
    PRIMARY KEY (chain, member, book)
);

CREATE TABLE coupon_usages (
    chain TEXT COLLATE "C" NOT NULL,
    key TEXT COLLATE "C" NOT NULL,
    code TEXT COLLATE "C" NOT NULL,
    member TEXT COLLATE "C" NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    amount_used BIGINT NOT NULL,
    amount_assigned BIGINT NOT NULL,
    total_usages BIGINT NOT NULL,
    total_assigned BIGINT NOT NULL,
    reverts TEXT COLLATE "C",
    reverted_by TEXT COLLATE "C",
    at BIGINT NOT NULL,
    PRIMARY KEY (chain, key)
);
CREATE INDEX coupon_usages_in_force ON coupon_usages (chain, member, code) WHERE kind = 'used' AND reverted_by IS NULL;

-- By whom a code is known, which says who brought a member.
CREATE TABLE referral_codes (
    chain TEXT COLLATE "C" NOT NULL,
    code TEXT COLLATE "C" NOT NULL,
    member TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (chain, code)
);

-- For those who ask; decided on is what the receiver's state says. But `reward`, what it brought the sender, is theirs
-- alone to write and to take back.
CREATE TABLE referrals (
    chain TEXT COLLATE "C" NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    sender TEXT COLLATE "C" NOT NULL,
    receiver TEXT COLLATE "C" NOT NULL,
    status TEXT COLLATE "C" NOT NULL,
    channel TEXT,
    reason TEXT,
    created_at BIGINT NOT NULL,
    settled_at BIGINT,
    reward TEXT,
    PRIMARY KEY (chain, id)
);
CREATE INDEX referrals_of_sender ON referrals (chain, sender, id);
CREATE INDEX referrals_of_receiver ON referrals (chain, receiver);

-- What was told of a referral, to either side: each names the other one.
CREATE TABLE referral_events (
    chain TEXT COLLATE "C" NOT NULL,
    referral TEXT COLLATE "C" NOT NULL,
    event TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (chain, referral, event)
);

-- Members who were erased, until the log has forgotten them.
CREATE TABLE erasures (
    chain TEXT NOT NULL,
    member TEXT NOT NULL,
    PRIMARY KEY (chain, member)
);

-- Events about orders without a guest, under the id of the order and under the code of its receipt; `member` is who
-- claimed it. Those to be decided for them are in the index.
CREATE TABLE parked (
    chain TEXT NOT NULL,
    code TEXT NOT NULL,
    source TEXT NOT NULL,
    order_id TEXT NOT NULL,
    member TEXT,
    PRIMARY KEY (chain, code, source)
);
CREATE INDEX parked_claimed ON parked (chain, source) WHERE member IS NOT NULL AND code = order_id;

-- Parked events that name somebody who is no member, by what they name; `member` is who was erased under it since.
CREATE TABLE parked_guests (
    chain TEXT COLLATE "C" NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    value TEXT COLLATE "C" NOT NULL,
    source TEXT COLLATE "C" NOT NULL,
    member TEXT COLLATE "C",
    PRIMARY KEY (chain, kind, value, source)
);
CREATE INDEX parked_guests_of_source ON parked_guests (chain, source);
CREATE INDEX parked_guests_erased ON parked_guests (chain, member, source) WHERE member IS NOT NULL;

-- How far what is kept for a time only was cleared. `position` is where that goes on; without one, at the beginning.
CREATE TABLE sweeps (
    what TEXT COLLATE "C" NOT NULL,
    chain TEXT COLLATE "C" NOT NULL,
    position TEXT COLLATE "C",
    begun_at BIGINT NOT NULL,
    PRIMARY KEY (what, chain)
);
