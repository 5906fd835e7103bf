//! Heads and feet of printed pages, without how they look.

/// `&L…&C…&R…` as programs write it alike: what stands where.
pub(super) fn normalised(code: &str) -> String {
    let mut regions = [String::new(), String::new(), String::new()];
    let mut at = 1;
    let mut rest = code.chars().peekable();
    while let Some(c) = rest.next() {
        if c != '&' {
            regions[at].push(c);
            continue;
        }
        match rest.next().map(|c| c.to_ascii_uppercase()) {
            Some('L') => at = 0,
            Some('C') => at = 1,
            Some('R') => at = 2,
            Some('&') => regions[at].push('&'),
            Some('"') => while rest.next().is_some_and(|c| c != '"') {},
            // Bold, italic, underlined, above, below, struck through, with a shadow, in outline.
            Some('B' | 'I' | 'U' | 'E' | 'X' | 'Y' | 'O' | 'H') | None => {}
            Some('0'..='9') => while rest.next_if(char::is_ascii_digit).is_some() {},
            Some('K') => {
                let colour: String = (0..6).filter_map(|_| rest.next()).collect();
                if colour != "000000" && !colour.starts_with("01") {
                    regions[at].push_str(&colour);
                }
            }
            Some(other) => {
                regions[at].push('&');
                regions[at].push(other);
            }
        }
    }
    regions.map(|region| region.split_whitespace().collect::<Vec<_>>().join(" ")).join("|")
}

#[cfg(test)]
mod tests {
    use super::normalised;

    #[test]
    fn fonts_are_no_part_of_a_foot() {
        assert_eq!(normalised("&C第 &P 页 共 &N 页"), "|第 &P 页 共 &N 页|");
        assert_eq!(normalised("&L&\"宋体,常规\"&10 A && B&C&K000000第 &P 页 共 &N 页"), "A & B|第 &P 页 共 &N 页|");
        assert_eq!(normalised("&S19"), "|&S19|");
    }
}
