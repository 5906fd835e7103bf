//! Passwords: argon2id, a few at once, and never in a log.

use argon2::{Argon2, PasswordHasher, PasswordVerifier, password_hash::phc::PasswordHash};
use tokio::sync::Semaphore;

use crate::clock;

/// Hashes that are computed at once: each takes 19 MiB and a few dozen milliseconds.
static TURNS: Semaphore = Semaphore::const_new(2);
/// Characters of a password, at least.
const CHARS_MIN: usize = 10;
/// Characters of a password, at most: a longer one only costs.
const CHARS_MAX: usize = 128;
/// Different characters in it, at least.
const DIFFERENT_MIN: usize = 5;

/// A password that is easily guessed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "密码应有{CHARS_MIN}至{CHARS_MAX}个字符、至少{DIFFERENT_MIN}种不同字符，且不含登录名 | a password has {CHARS_MIN} to {CHARS_MAX} characters, {DIFFERENT_MIN} different ones, and not the sign-in name"
)]
pub struct Weak;

/// What is stored of a new password.
pub async fn hash(name: &str, password: &str) -> Result<String, Weak> {
    let mut chars: Vec<char> = password.chars().collect();
    let is_named = !name.is_empty() && password.to_lowercase().contains(&name.to_lowercase());
    if chars.len() < CHARS_MIN || chars.len() > CHARS_MAX || is_named {
        return Err(Weak);
    }
    chars.sort_unstable();
    chars.dedup();
    if chars.len() < DIFFERENT_MIN {
        return Err(Weak);
    }
    let password = password.to_owned();
    let salt = clock::random::<16>();
    let hash = move || {
        let hash: PasswordHash = Argon2::default()
            .hash_password_with_salt(password.as_bytes(), &salt)
            .expect("the default parameters and a salt of 16 bytes are valid");
        hash.to_string()
    };
    Ok(blocking(hash).await)
}

/// Whether it is the password of which this is stored. Without anything stored it takes as long, and is not.
pub async fn is_right(password: &str, stored: Option<&str>) -> bool {
    // Nobody has this one, and it costs what everybody's costs: how long an answer takes does not tell who exists.
    const NOBODY: &str =
        "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    if password.chars().count() > CHARS_MAX {
        return false;
    }
    let (password, stored) = (password.to_owned(), stored.unwrap_or(NOBODY).to_owned());
    blocking(move || {
        PasswordHash::new(&stored)
            .is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok())
    })
    .await
}

/// A password for somebody who changes it at once: 16 characters that are read aloud without mistakes.
pub fn new_password() -> String {
    let mut specification = data_encoding::Specification::new();
    specification.symbols.push_str("23456789abcdefghjkmnpqrstuvwxyz#");
    let encoding = specification.encoding().expect("32 different symbols");
    encoding.encode(&clock::random::<10>())
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let _turn = TURNS.acquire().await;
    tokio::task::spawn_blocking(work).await.expect("hashing does not panic")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_is_stored_so_that_only_it_opens() {
        let stored = hash("liming", "青山绿水一二三四五六").await.expect("strong");
        assert!(stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{stored}");
        assert!(is_right("青山绿水一二三四五六", Some(&stored)).await);
        for wrong in ["", "青山绿水一二三四五七", &"青".repeat(200)] {
            assert!(!is_right(wrong, Some(&stored)).await, "{wrong}");
        }
        assert!(!is_right("anything at all", None).await);
    }

    #[tokio::test]
    async fn weak_passwords_are_refused() {
        for weak in ["", "short", "aaaaaaaaaaaa", "LiMing2012liming", &"长".repeat(129)] {
            assert_eq!(hash("liming", weak).await, Err(Weak), "{weak}");
        }
        assert!(hash("liming", &new_password()).await.is_ok());
    }
}
