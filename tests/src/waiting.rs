//! What waits for somebody's decision, made up.

use server::store::{NewProposal, QuarantineState, Quarantined};
use sync_protocol::{
    ChangeHash, DeviceId, Identity, RowId,
    document::{RefusalCode, RowKey},
};

/// A change of a device that was not taken; it is no change at all.
pub fn held(number: u8, identity: &Identity, device: DeviceId) -> Quarantined {
    Quarantined {
        hash: ChangeHash([number; 32]),
        identity: identity.clone(),
        device,
        code: RefusalCode::Forbidden,
        sentence: "held".into(),
        received_at_ms: 0,
        bytes: b"no change".to_vec(),
        state: QuarantineState::Waiting,
        decided_by: None,
    }
}

/// A member's state, proposed by somebody who may not decide it.
pub fn proposed(row: RowId) -> NewProposal {
    NewProposal {
        row: RowKey { ledger: "members".into(), row },
        column: "membership_state".into(),
        before: Some("normal".into()),
        value: "removed".into(),
        who: "张三".into(),
        import: None,
    }
}
