//! `docs/permissions.md`: what each role may do, printed from the rules themselves.

use std::fmt::Write;

use sync_protocol::{Book, unit::UnitLevel};

use super::{Grant, Permission, Role};

/// The document.
pub fn table() -> String {
    let unit = sync_protocol::UnitId::from_bytes([0; 16]);
    let mut text = String::from(
        "# 权限表 · Permissions\n\nPrinted by `taizhang permissions` from `server/src/auth/role.rs`; a test compares the two.\n\
         Everything is within the subtree of the unit that a person is given.\n\n## 操作 · Actions\n\n",
    );
    let roles = Role::ALL.map(|role| format!("{}<br>`{role}`", role.chinese()));
    let _ = writeln!(text, "| | {} |\n|---|{}", roles.join(" | "), "---|".repeat(roles.len()));
    for permission in Permission::ALL {
        let mark = |role: Role| {
            let may = |is_handler| Grant { role, unit, is_handler }.may(permission);
            match (may(false), may(true)) {
                (true, _) => "✓",
                (false, true) => "专人 handler",
                (false, false) => "–",
            }
        };
        let _ = writeln!(text, "| {} | {} |", permission.words(), Role::ALL.map(mark).join(" | "));
    }
    text.push_str(
        "\nA device does only what is synced, imports where its carrier may, and sees units; everything else needs a person who has signed in.\n\
         \n## 台账册 · Books\n\nR read, W read and write. A named handler 专人 has the restricted twins of the same books besides.\n\n",
    );
    let books = [Book::Unit, Book::Township, Book::County];
    text.push_str("| 角色 role | 所在单位 at | `unit` | `township` | `county` | 明文可见 in clear | 专人 handler |\n|---|---|---|---|---|---|---|\n");
    let levels =
        [(UnitLevel::Organisation, "党组织"), (UnitLevel::ReportingUnit, "填报单位"), (UnitLevel::County, "县")];
    for role in Role::ALL {
        for (level, name) in levels {
            if role.is_of_county() && level != UnitLevel::County {
                continue;
            }
            let held = role.books(level, false);
            let mark = |book: Book| match (held.writes.contains(&book), held.reads.contains(&book)) {
                (true, _) => "W",
                (false, true) => "R",
                (false, false) => "–",
            };
            let clear = |is_handler| format!("{:?}", Grant { role, unit, is_handler }.clearance());
            let handler = if role.may_be_handler() { clear(true) } else { "–".into() };
            let marks = books.map(mark).join(" | ");
            let _ = writeln!(text, "| {} | {name} | {marks} | ≤ {} | {handler} |", role.chinese(), clear(false));
        }
    }
    text.push_str(
        "\nFigures of one or two people (`small_cell_min`, in returns that say so) are printed as `*` for whoever does not see S2 in clear, and in every \
         submitted copy: with as many others as it takes so that they cannot be computed, in the table of the county and in that of each unit. Such a \
         return is not drawn for them as of the past.\n",
    );
    text
}
