//! Why changes of a device are not taken.

use sync_protocol::document::{Refusal, RefusalCode};

use crate::store::DeviceRecord;

/// Another device has written it.
pub(super) fn foreign() -> Refusal {
    let sentence =
        "该修改是用另一台设备的身份写的，已交上级处理 | written in another device's name; kept for a supervisor";
    Refusal::new(RefusalCode::ForeignActor, sentence)
}

/// Nobody writes to a year that is sealed.
pub(super) fn sealed(period: &str) -> Refusal {
    let sentence = format!(
        "{period}年度已封存，该修改未写入，已交上级处理 | the year {period} is sealed: not written, kept for a supervisor"
    );
    Refusal::new(RefusalCode::Sealed, sentence)
}

/// The device may not write there.
pub(super) fn forbidden(device: &DeviceRecord) -> Refusal {
    let sentence = match (device.is_revoked, device.writes.is_empty()) {
        (true, _) => "本设备已停用，已交上级处理 | this device was revoked; kept for a supervisor",
        (_, true) => "本设备只能查看，已交上级处理 | this device may only read; kept for a supervisor",
        _ => {
            "本设备无权填写该单位的这本台账，已交上级处理 | this device may not write to that unit's book; kept for a supervisor"
        }
    };
    Refusal::new(RefusalCode::Forbidden, sentence)
}
