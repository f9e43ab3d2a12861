//! The tables, as both databases have them. Kept in step with `migrations/` by hand; a test compares them.
#![allow(missing_docs, unreachable_pub, reason = "written by a macro of diesel")]

diesel::table! {
    chains (id) {
        id -> Text,
        name -> Text,
        timezone -> Text,
        currency -> Text,
        created_at -> BigInt,
        folder_hash -> Nullable<Binary>,
        revision -> BigInt,
    }
}

diesel::table! {
    members (chain, id) {
        chain -> Text,
        id -> Text,
        version -> BigInt,
        state -> Text,
        days -> Binary,
        enrolled_at -> BigInt,
        next_wake_at -> Nullable<BigInt>,
        ended -> Bool,
    }
}

diesel::table! {
    identities (chain, kind, value) {
        chain -> Text,
        kind -> Text,
        value -> Text,
        member -> Text,
    }
}

diesel::table! {
    source_events (chain, id) {
        chain -> Text,
        id -> Text,
        previous -> Nullable<Text>,
        key -> Text,
        kind -> Text,
        status -> Text,
        runs -> BigInt,
        member -> Nullable<Text>,
        location -> Nullable<Text>,
        asked_by -> Nullable<Text>,
        trace -> Nullable<Text>,
        occurred_at -> BigInt,
        received_at -> BigInt,
        program_version -> BigInt,
        body -> Text,
        body_hash -> Binary,
        receipt -> Text,
    }
}

diesel::table! {
    orders (chain, order_id) {
        chain -> Text,
        order_id -> Text,
        version -> BigInt,
        state -> Text,
    }
}

diesel::table! {
    redemptions (chain, id) {
        chain -> Text,
        id -> Text,
        member -> Text,
        reward -> Text,
        status -> Text,
        state -> Text,
    }
}

diesel::table! {
    reward_stock (chain, reward) {
        chain -> Text,
        reward -> Text,
        taken -> BigInt,
    }
}

diesel::table! {
    campaign_budgets (chain, campaign, period) {
        chain -> Text,
        campaign -> Text,
        period -> Text,
        taken -> BigInt,
        told -> BigInt,
    }
}

diesel::table! {
    transfers (chain, id) {
        chain -> Text,
        id -> Text,
        previous -> Nullable<Text>,
        member -> Text,
        wallet -> Text,
        debit -> Text,
        credit -> Text,
        amount -> BigInt,
        rule -> Text,
        rule_at -> Text,
        program_version -> BigInt,
        campaign -> Nullable<Text>,
        reason -> Text,
        source -> Nullable<Text>,
        at -> BigInt,
    }
}

diesel::table! {
    loyalty_events (chain, id) {
        chain -> Text,
        id -> Text,
        previous -> Nullable<Text>,
        kind -> Text,
        member -> Nullable<Text>,
        at -> BigInt,
        program_version -> BigInt,
        late_at -> Nullable<BigInt>,
        trace -> Nullable<Text>,
        body -> Text,
    }
}

diesel::table! {
    endpoints (chain, id) {
        chain -> Text,
        id -> Text,
        url -> Text,
        description -> Nullable<Text>,
        dialect -> Text,
        events -> Text,
        tags -> Text,
        credentials -> Binary,
        settings -> Text,
        disabled_reason -> Nullable<Text>,
        disabled_at -> Nullable<BigInt>,
        paused_at -> Nullable<BigInt>,
        paused_until -> Nullable<BigInt>,
        created_at -> BigInt,
        updated_at -> BigInt,
        deleted_at -> Nullable<BigInt>,
        revision -> BigInt,
    }
}

diesel::table! {
    endpoint_conditions (chain, endpoint) {
        chain -> Text,
        endpoint -> Text,
        epoch -> BigInt,
        failing_since -> Nullable<BigInt>,
        warned_at -> Nullable<BigInt>,
        trips -> BigInt,
        held_until -> Nullable<BigInt>,
    }
}

diesel::table! {
    deliveries (chain, endpoint, id) {
        chain -> Text,
        endpoint -> Text,
        id -> Text,
        seq -> BigInt,
        event -> Text,
        member -> Nullable<Text>,
        lane -> Nullable<Text>,
        status -> Text,
        attempts -> BigInt,
        ready_at -> Nullable<BigInt>,
        due_at -> Nullable<BigInt>,
        created_at -> BigInt,
        settled_at -> Nullable<BigInt>,
        mark -> Nullable<Text>,
    }
}

diesel::table! {
    endpoint_sequences (chain, endpoint) {
        chain -> Text,
        endpoint -> Text,
        last_seq -> BigInt,
        lane -> Text,
        laned_to -> Nullable<BigInt>,
    }
}

diesel::table! {
    attempts (chain, endpoint, delivery, id) {
        chain -> Text,
        endpoint -> Text,
        delivery -> Text,
        id -> Text,
        at -> BigInt,
        duration_ms -> BigInt,
        status_code -> Nullable<BigInt>,
        response_body -> Nullable<Text>,
        error -> Nullable<Text>,
    }
}

diesel::table! {
    endpoint_minutes (chain, endpoint, slot) {
        chain -> Text,
        endpoint -> Text,
        slot -> BigInt,
        first_tries -> BigInt,
        retries -> BigInt,
        delivered -> BigInt,
        failed -> BigInt,
        latency -> Binary,
    }
}

diesel::table! {
    recoveries (chain, endpoint, id) {
        chain -> Text,
        endpoint -> Text,
        id -> Text,
        which -> Text,
        since -> BigInt,
        until -> BigInt,
        state -> Text,
        position -> Nullable<Text>,
        requeued -> BigInt,
        created -> BigInt,
        waiting -> BigInt,
        asked_by -> Text,
        begun_at -> BigInt,
        ended_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    api_keys (id) {
        id -> Text,
        role -> Text,
        chain -> Nullable<Text>,
        name -> Text,
        created_at -> BigInt,
        created_by -> Text,
        expires_at -> Nullable<BigInt>,
        revoked_at -> Nullable<BigInt>,
        last_used_at -> Nullable<BigInt>,
        requests_per_minute -> Nullable<BigInt>,
    }
}

diesel::table! {
    api_key_texts (hash) {
        hash -> Binary,
        key -> Text,
        until -> Nullable<BigInt>,
    }
}

diesel::table! {
    idempotent_requests (caller, key) {
        caller -> Text,
        key -> Text,
        fingerprint -> Binary,
        reply -> Binary,
        created_at -> BigInt,
    }
}

diesel::table! {
    audit_log (id) {
        id -> Text,
        chain -> Nullable<Text>,
        author -> Text,
        author_name -> Nullable<Text>,
        author_role -> Nullable<Text>,
        address -> Nullable<Text>,
        request -> Nullable<Text>,
        action -> Text,
        target -> Text,
        before -> Nullable<Text>,
        after -> Nullable<Text>,
    }
}

diesel::table! {
    program_versions (chain, version) {
        chain -> Text,
        version -> BigInt,
        hash -> Binary,
        files -> Text,
        origin -> Text,
        restores -> Nullable<BigInt>,
        published_by -> Nullable<Text>,
        note -> Nullable<Text>,
        created_at -> BigInt,
    }
}

diesel::table! {
    suspended_rules (chain, version, rule) {
        chain -> Text,
        version -> BigInt,
        rule -> Text,
        at -> Text,
        since -> BigInt,
        members -> BigInt,
        failed_at -> Text,
        error -> Text,
    }
}

diesel::table! {
    roll_outs (chain, version) {
        chain -> Text,
        version -> BigInt,
        base -> BigInt,
        stages -> Text,
        ending -> Nullable<Text>,
        ended_at -> Nullable<BigInt>,
        ended_by -> Nullable<Text>,
    }
}

diesel::table! {
    churn_models (chain, fitted_at) {
        chain -> Text,
        fitted_at -> BigInt,
        from_day -> Text,
        to_day -> Text,
        horizon_days -> BigInt,
        members -> BigInt,
        visits -> BigInt,
        parameters -> Text,
        log_likelihood -> Double,
        calibration -> Text,
    }
}

diesel::table! {
    coupon_books (chain, key) {
        chain -> Text,
        key -> Text,
        state -> Text,
        created_at -> BigInt,
    }
}

diesel::table! {
    coupons (chain, code) {
        chain -> Text,
        code -> Text,
        book -> Text,
        version -> BigInt,
        is_free -> Bool,
        total_usages -> BigInt,
        total_assigned -> BigInt,
        expires_at -> Nullable<BigInt>,
        created_at -> BigInt,
        updated_at -> BigInt,
        reservations -> Nullable<Text>,
        reserved_until -> Nullable<BigInt>,
        custom_attributes -> Nullable<Text>,
    }
}

diesel::table! {
    coupon_holdings (chain, member, code) {
        chain -> Text,
        member -> Text,
        code -> Text,
        book -> Text,
        assigned -> BigInt,
        used -> BigInt,
        expires_at -> Nullable<BigInt>,
        worth_until -> Nullable<BigInt>,
    }
}

diesel::table! {
    coupon_tallies (chain, member, book) {
        chain -> Text,
        member -> Text,
        book -> Text,
        assigned -> BigInt,
        used -> BigInt,
    }
}

diesel::table! {
    coupon_usages (chain, key) {
        chain -> Text,
        key -> Text,
        code -> Text,
        member -> Text,
        kind -> Text,
        amount_used -> BigInt,
        amount_assigned -> BigInt,
        total_usages -> BigInt,
        total_assigned -> BigInt,
        reverts -> Nullable<Text>,
        reverted_by -> Nullable<Text>,
        at -> BigInt,
    }
}

diesel::table! {
    referral_codes (chain, code) {
        chain -> Text,
        code -> Text,
        member -> Text,
    }
}

diesel::table! {
    referral_events (chain, referral, event) {
        chain -> Text,
        referral -> Text,
        event -> Text,
    }
}

diesel::table! {
    parked_guests (chain, kind, value, source) {
        chain -> Text,
        kind -> Text,
        value -> Text,
        source -> Text,
        member -> Nullable<Text>,
    }
}

diesel::table! {
    export_schedules (chain, id) {
        chain -> Text,
        id -> Text,
        settings -> Text,
        created_at -> BigInt,
    }
}

diesel::table! {
    integrations (chain, platform) {
        chain -> Text,
        platform -> Text,
        id -> Text,
        credentials -> Binary,
        sync -> Text,
        created_at -> BigInt,
        updated_at -> BigInt,
    }
}

diesel::table! {
    erasures (chain, member) {
        chain -> Text,
        member -> Text,
    }
}

diesel::table! {
    referrals (chain, id) {
        chain -> Text,
        id -> Text,
        sender -> Text,
        receiver -> Text,
        status -> Text,
        channel -> Nullable<Text>,
        reason -> Nullable<Text>,
        created_at -> BigInt,
        settled_at -> Nullable<BigInt>,
        reward -> Nullable<Text>,
    }
}

diesel::table! {
    parked (chain, code, source) {
        chain -> Text,
        code -> Text,
        source -> Text,
        order_id -> Text,
        member -> Nullable<Text>,
    }
}

diesel::table! {
    sweeps (what, chain) {
        what -> Text,
        chain -> Text,
        position -> Nullable<Text>,
        begun_at -> BigInt,
    }
}

diesel::allow_tables_to_appear_in_same_query!(deliveries, loyalty_events, endpoints, attempts);
diesel::allow_tables_to_appear_in_same_query!(endpoint_minutes, endpoints);
diesel::allow_tables_to_appear_in_same_query!(coupon_holdings, coupons);
diesel::allow_tables_to_appear_in_same_query!(api_key_texts, api_keys);

// To sum up each side of the ledger by account and wallet.
diesel::allow_columns_to_appear_in_same_group_by_clause!(
    transfers::credit,
    transfers::debit,
    transfers::wallet,
);
