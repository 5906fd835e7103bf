//! A few words for the readers of XML workbooks.

use quick_xml::events::{BytesStart, Event};

use super::read::{ReadError, damaged};

/// The value of an attribute, whatever its prefix.
pub(super) fn attribute(tag: &BytesStart<'_>, name: &str) -> Option<String> {
    let mut attributes = tag.attributes();
    let found =
        attributes.with_checks(false).flatten().find(|attribute| attribute.key.local_name().as_ref() == name)?;
    quick_xml::escape::unescape(&found.value).ok().map(std::borrow::Cow::into_owned)
}

/// Adds what an event says in words: text, character data, and the named or numbered characters that XML has of
/// itself. An entity that a document defines for itself is how bombs are built.
pub(super) fn push_text(event: &Event<'_>, into: &mut String) -> Result<(), ReadError> {
    match event {
        Event::Text(text) => into.push_str(text),
        Event::CData(data) => into.push_str(data),
        Event::GeneralRef(reference) => {
            if let Some(c) = reference.resolve_char_ref().map_err(damaged)? {
                into.push(c);
                return Ok(());
            }
            let name: &str = reference;
            let known = quick_xml::escape::resolve_predefined_entity(name);
            into.push_str(known.ok_or_else(|| ReadError::Damaged(format!("unknown entity &{name};")))?);
        }
        _ => {}
    }
    Ok(())
}
