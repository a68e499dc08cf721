//! What origin-sync says of its zones, in the words of the control socket.

use crate::control::protocol::{Transfer, Zone, ZoneOrigin};

pub(super) fn zone(status: origin_sync::ZoneStatus) -> Zone {
    let origin_sync::ZoneStatus {
        zone,
        state,
        serial,
        records,
        heap_bytes,
        age_s,
        expires_in_s,
        next_attempt_in_s,
        attempting,
        failures,
        last_attempt_age_s,
        last_error,
        snapshot_bytes,
        journal_bytes,
        origins,
    } = status;
    Zone {
        zone,
        state: word(&state),
        serial,
        records,
        heap_bytes,
        age_s,
        expires_in_s,
        next_attempt_in_s,
        attempting,
        failures,
        last_attempt_age_s,
        last_error,
        snapshot_bytes,
        journal_bytes,
        origins: origins.into_iter().map(origin).collect(),
    }
}

fn origin(status: origin_sync::OriginStatus) -> ZoneOrigin {
    let origin_sync::OriginStatus {
        origin,
        address,
        key,
        serial,
        last_attempt_age_s,
        last_result,
        last_error,
        last_error_kind,
        last_transfer,
        last_fallback,
    } = status;
    ZoneOrigin {
        origin,
        address,
        key,
        serial,
        last_attempt_age_s,
        last_result: last_result.as_ref().map(word),
        last_error,
        last_error_kind: last_error_kind.map(str::to_owned),
        last_transfer: last_transfer.map(transfer),
        last_fallback,
    }
}

fn transfer(status: origin_sync::TransferStatus) -> Transfer {
    let origin_sync::TransferStatus { question, transport, serial, bytes, records, took_ms } = status;
    Transfer { question, transport: word(&transport), serial, bytes, records, took_ms }
}

/// The word that an enum without data is written as.
fn word(value: &impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => "unknown".to_owned(),
    }
}
